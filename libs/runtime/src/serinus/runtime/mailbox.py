"""One worker per canary: what services do with a message, and what becomes of it afterwards.

Canaries are handled side by side, one canary's messages one after the other.

    snapshots, intents   the newest of a subject replaces one that waits; Retry comes again for
                         ever, ever later, unless something newer arrives
    facts                each one, in order; Retry and bugs a bounded number of times, then parked
    both                 Refuse parks, Stale drops

A worker lives as long as there is something to do: an idle canary costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serinus.events import Intent, encode
from serinus.events.codec import is_last_value
from serinus.runtime import context, wire
from serinus.runtime.bus import Bus, Delivery
from serinus.runtime.clock import Clock, spread
from serinus.runtime.errors import Refuse, Retry, SerinusError, Stale
from serinus.runtime.service import Metrics
from serinus.runtime.telemetry import NoTracing, Tracing

log = logging.getLogger(__name__)

FACTS_HELD_MAX = 512
"""Facts taken from the bus and not finished; beyond it, taking more waits."""

HANDLERS_MAX = 256
"""Handlers at work at one time, over all canaries."""

ATTEMPTS_MAX = 10
"""Tries of one fact (with Retry), about four minutes when each waits as long as it may."""

BUGS_MAX = 3
"""Tries of a message whose handler fails in a way that nobody foresaw."""

DELIVERIES_MAX = 10
"""A message that came this often and was never finished takes the service down with it: parked."""

LAGS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)
BACKOFF_MAX_S = 60.0
PARK_AGAIN_S = 5.0

Handle = Callable[[Any], Awaitable[None]]


@dataclass
class _Item:
    """One message on its way through the mailbox."""

    delivery: Delivery
    handle: Handle
    fact: bool
    due: float = 0.0
    attempts: int = 0
    bugs: int = 0
    verdict: str = ""
    """Why it is to be parked, once that is decided."""
    label: str = ""


class Mailbox:
    """Takes deliveries, runs handlers, decides what becomes of each message."""

    def __init__(
        self,
        service: str,
        handlers: Mapping[type[Any], Handle],
        *,
        bus: Bus,
        clock: Clock,
        metrics: Metrics,
        tracing: Tracing | None = None,
        jitter: Callable[[float], float] = spread,
        facts_held_max: int = FACTS_HELD_MAX,
        handlers_max: int = HANDLERS_MAX,
        on_crash: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._on_crash = on_crash
        self._service = service
        self._handlers = handlers
        self._bus = bus
        self._clock = clock
        self._tracing = tracing or NoTracing()
        self._jitter = jitter
        self._boxes: dict[str, _Box] = {}
        self._held = asyncio.Semaphore(facts_held_max)
        self._slots = asyncio.Semaphore(handlers_max)
        self._depth = 0
        self._draining = False
        self._dead = wire.dead_counter(metrics)
        self._depth_gauge = metrics.gauge(
            "serinus_mailbox_depth", "Messages taken from the bus and not finished"
        )
        self._seconds = metrics.histogram(
            "serinus_handler_seconds", "Time to handle one message, by service and kind"
        )
        self._depth_gauge.set(0, {"service": service})
        self._lag = metrics.histogram(
            "serinus_intent_lag_seconds", "Age of an intent when work on it begins", LAGS
        )

    @property
    def depth(self) -> int:
        """Messages taken and not finished."""
        return self._depth

    @property
    def workers(self) -> int:
        return len(self._boxes)

    async def put(self, delivery: Delivery) -> None:
        """Takes a message; waits while too many facts are unfinished."""
        message = delivery.message
        handle = self._handlers.get(type(message))
        if handle is None:
            await delivery.ack()
            return
        fact = not is_last_value(message)
        if fact:
            await self._held.acquire()
        item = _Item(delivery, handle, fact)
        if fact and delivery.delivered > DELIVERIES_MAX:
            item.verdict, item.label = f"delivered {delivery.delivered} times", "crashes"
        key = message.canary.key
        box = self._boxes.get(key)
        if box is None:
            box = self._boxes[key] = _Box(key)
            box.task = asyncio.get_running_loop().create_task(
                self._work(box), name=f"mailbox {self._service} {key}"
            )
            box.task.add_done_callback(self._ended)
        self._count(box.add(item))

    async def drain(self, within_s: float) -> bool:
        """Finishes the message that each worker is at, takes up no other; says if all finished."""
        self._draining = True
        tasks = {box.task for box in self._boxes.values() if box.task is not None}
        for box in self._boxes.values():
            box.wake.set()
        if not tasks:
            return True
        _, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return not late

    async def idle(self) -> None:
        """Returns when nothing is being handled or waits."""
        while self._boxes:
            tasks = [box.task for box in self._boxes.values() if box.task is not None]
            await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and self._on_crash is not None:
            self._on_crash(error)

    def _count(self, by: int) -> None:
        if by:
            self._depth += by
            self._depth_gauge.set(self._depth, {"service": self._service})

    async def _work(self, box: _Box) -> None:
        """Handles what is due until nothing is left or the service stops."""
        try:
            while not self._draining:
                now = self._clock.monotonic()
                item, next_due = box.pick(now)
                if item is not None:
                    async with self._slots:
                        await self._step(box, item)
                elif next_due is None:
                    return
                else:
                    await box.wait(self._clock, next_due - now)
        finally:
            if self._boxes.get(box.key) is box:
                del self._boxes[box.key]
            self._count(-len(box.items))

    async def _step(self, box: _Box, item: _Item) -> None:
        """One try of one message; afterwards it is finished or has a later due time."""
        if item.verdict:
            finished = await self._park(item)
        else:
            finished = await self._try(box, item)
        if finished:
            await self._ack(item)
            if box.remove(item):
                self._count(-1)
            if item.fact:
                self._held.release()

    async def _try(self, box: _Box, item: _Item) -> bool:
        """Runs the handler; whether the message is finished with."""
        delivery = item.delivery
        kind = type(delivery.message).__name__
        started = self._clock.monotonic()
        self._observe_lag(item)
        message_id = delivery.headers.get("Nats-Msg-Id") or delivery.headers.get("ce-id", "")
        with context.handling(box.key, message_id, context.extract(delivery.headers)):
            try:
                with self._tracing.span(f"handle {kind}", "consumer", canary=box.key):
                    await item.handle(delivery.message)
                return True
            except Stale as error:
                log.debug("dropped, the world moved on", extra={"reason": str(error), "kind": kind})
                return True
            except Retry as error:
                return await self._retry(item, kind, error)
            except Refuse as error:
                item.verdict, item.label = error.reason, "refused"
                return await self._park(item)
            except Exception as error:  # a bug of ours, whatever it is
                return await self._bug(item, kind, error)
            finally:
                self._seconds.observe(
                    self._clock.monotonic() - started, {"service": self._service, "kind": kind}
                )

    def _observe_lag(self, item: _Item) -> None:
        """Once per intent, at its first try."""
        if not isinstance(item.delivery.message, Intent) or item.attempts or item.bugs:
            return
        try:
            sent = datetime.fromisoformat(item.delivery.headers.get("ce-time", "")).timestamp()
        except ValueError:
            return  # not sent by us: its age is not known
        self._lag.observe(max(0.0, self._clock.now() - sent), {"service": self._service})

    async def _retry(self, item: _Item, kind: str, error: Retry) -> bool:
        item.attempts += 1
        if item.fact and item.attempts >= ATTEMPTS_MAX:
            item.verdict, item.label = f"{item.attempts} attempts: {error.reason}", "exhausted"
            return await self._park(item)
        wait_s = min(BACKOFF_MAX_S, error.after_s * 2 ** min(item.attempts - 1, 10))
        wait_s = self._jitter(max(wait_s, error.after_s))
        item.due = self._clock.monotonic() + wait_s
        log.info(
            "will try again",
            extra={"reason": error.reason, "kind": kind, "attempt": item.attempts, "in_s": wait_s},
        )
        return False

    async def _bug(self, item: _Item, kind: str, error: Exception) -> bool:
        item.bugs += 1
        reason = f"{type(error).__name__}: {error}"
        log.error(
            "handler failed",
            exc_info=error,
            extra={"reason": reason, "kind": kind, "attempt": item.bugs},
        )
        if item.bugs >= BUGS_MAX:
            item.verdict, item.label = reason, "bug"
            return await self._park(item)
        item.due = self._clock.monotonic() + self._jitter(2.0 ** (item.bugs - 1))
        return False

    async def _park(self, item: _Item) -> bool:
        """Leaves a note and is done with the message; while the bus is away it stays."""
        delivery = item.delivery
        body = encode(delivery.message)
        note = wire.parked(self._service, delivery.subject, item.verdict, body, self._clock.now())
        try:
            await self._bus.publish(note)
        except SerinusError as error:
            log.warning("could not park", extra={"reason": str(error)})
            item.due = self._clock.monotonic() + self._jitter(PARK_AGAIN_S)
            return False
        self._dead.inc({"reason": item.label})
        log.warning(
            "parked", extra={"reason": item.verdict, "kind": type(delivery.message).__name__}
        )
        return True

    async def _ack(self, item: _Item) -> None:
        try:
            await item.delivery.ack()
        except SerinusError as error:
            # It comes again and is handled again: handlers are idempotent.
            log.warning("could not acknowledge", extra={"reason": str(error)})


class _Box:
    """One canary's messages, by slot in order of arrival: a subject's newest, or one fact."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.items: dict[str, _Item] = {}
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._facts = 0

    def add(self, item: _Item) -> int:
        """Takes it in; returns by how much the box has grown."""
        self.wake.set()
        if item.fact:
            self._facts += 1
            self.items[f"#{self._facts}"] = item
            return 1
        slot = item.delivery.subject
        older = self.items.get(slot)
        if older is None:
            self.items[slot] = item
            return 1
        # The news is looked at now, but if it fails too, the pauses go on growing.
        item.attempts = older.attempts
        self.items[slot] = item
        return 0

    def pick(self, now: float) -> tuple[_Item | None, float | None]:
        """What is due, oldest first; else when the next one is (None: nothing is left).

        A fact that waits for its next try holds back the facts behind it and nothing else.
        """
        next_due: float | None = None
        fact_waits = False
        for item in self.items.values():
            if item.fact and fact_waits:
                continue
            if item.due <= now:
                return item, None
            fact_waits = fact_waits or item.fact
            next_due = item.due if next_due is None else min(next_due, item.due)
        return None, next_due

    def remove(self, item: _Item) -> bool:
        """Forgets it, unless something newer took its slot meanwhile."""
        for slot, held in self.items.items():
            if held is item:
                del self.items[slot]
                return True
        return False

    async def wait(self, clock: Clock, seconds: float) -> None:
        """Waits until something arrives, at most `seconds`."""
        self.wake.clear()
        timer = asyncio.ensure_future(clock.sleep(seconds))
        news = asyncio.ensure_future(self.wake.wait())
        try:
            await asyncio.wait({timer, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            news.cancel()
