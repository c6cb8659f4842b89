"""Follows the facts: each is acknowledged when everything it calls for is told or given up.

Acknowledging late is what makes a crash harmless: what was under way comes back and the memory of
things told leaves out what had arrived. The bus hands out only so many facts without an answer, so
of those that wait for a deaf audience the oldest are acknowledged early; a crash would lose them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable

from serinus.events import Fact, message_id
from serinus.kube.share import Share
from serinus.notifier.core.outcomes import Outcome
from serinus.notifier.voice import HEARD, Voice
from serinus.runtime import context
from serinus.runtime.bus import Bus, Delivery
from serinus.runtime.errors import Retry

log = logging.getLogger(__name__)

DURABLE = "notifier"
TRIES = 5
PAUSE_S = 5.0
HELD_MAX = 500
# What replicas share here is not canaries: facts are told in order, so by one replica.
FACTS = "facts"


class Ear:
    """One loop over all facts, which never waits for a sender."""

    def __init__(self, bus: Bus, voice: Voice, share: Share, *, held_max: int = HELD_MAX) -> None:
        self._bus = bus
        self._voice = voice
        self._share = share
        self._held_max = held_max
        self._under_way: OrderedDict[str, list[Delivery]] = OrderedDict()
        self._settling: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """For ever, while the facts are ours."""
        changed = asyncio.Event()
        self._share.on_change(changed.set)
        following: asyncio.Task[None] | None = None
        try:
            while True:
                changed.clear()
                if self._share.owns(FACTS) and following is None:
                    following = asyncio.create_task(self._follow(), name="follow facts")
                elif not self._share.owns(FACTS) and following is not None:
                    await _end(following)
                    following = None
                await _either(changed, following)
                if following is not None and following.done():
                    await following  # it never ends by itself: its error is ours
        finally:
            if following is not None:
                await _end(following)

    async def _follow(self) -> None:
        deliveries = self._bus.follow(HEARD, durable=DURABLE)
        try:
            async for delivery in deliveries:
                await self.hear(delivery)
        finally:
            if isinstance(deliveries, AsyncGenerator):
                await deliveries.aclose()

    async def hear(self, delivery: Delivery) -> None:
        """Queues what one fact calls for; acknowledges it when that has ended."""
        fact: Fact = delivery.message
        fact_id = message_id(fact)
        if fact_id in self._under_way:
            self._under_way[fact_id].append(delivery)  # said twice, told once
            return
        try:
            with context.handling(fact.canary.key, fact_id, context.extract(delivery.headers)):
                endings = await self._voice.tell(fact)
        except Retry as error:
            await delivery.nak(error.after_s)
            return
        except Exception:
            # Ours: one fact that we cannot read must not make us deaf for the others.
            log.exception("a fact could not be handled", extra={"canary": fact.canary.key})
            if delivery.delivered < TRIES:
                await delivery.nak(PAUSE_S)
            else:
                await delivery.ack()
            return
        if not endings:
            await delivery.ack()
            return
        self._under_way[fact_id] = [delivery]
        if len(self._under_way) > self._held_max:
            _, oldest = self._under_way.popitem(last=False)
            await self._ack(oldest)
        task = asyncio.create_task(self._settle(fact_id, endings), name=f"settle {fact_id}")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def drain(self) -> None:
        """Waits for the acknowledgements of what has ended; call it after the courier's drain."""
        if self._settling:
            await asyncio.gather(*self._settling, return_exceptions=True)

    async def _settle(self, fact_id: str, endings: Iterable[asyncio.Future[Outcome]]) -> None:
        ended = await asyncio.gather(*endings, return_exceptions=True)
        held = self._under_way.pop(fact_id, None)
        if held is None or any(isinstance(one, BaseException) for one in ended):
            return  # acknowledged early; or stopped in the middle: it comes back after the restart
        await self._ack(held)

    async def _ack(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            try:
                await delivery.ack()
            except Retry as error:
                log.warning("cannot acknowledge a fact", extra={"reason": error.reason})


async def _either(event: asyncio.Event, task: asyncio.Task[None] | None) -> None:
    """Returns when the event has come or the task has ended."""
    waiting = asyncio.create_task(event.wait(), name="other hands")
    try:
        await asyncio.wait(
            [waiting, task] if task else [waiting], return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        waiting.cancel()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
