"""Tells facts about tasks and gates, in order, without anybody waiting for the bus."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self

from serinus.events import CanaryRef, Fact, GateChanged, LoadFinished, LoadStarted
from serinus.loadtester.core.payload import Payload
from serinus.loadtester.crew import Run
from serinus.loadtester.gates import Space
from serinus.runtime.bus import Bus
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Retry, SerinusError
from serinus.runtime.service import Metrics

log = logging.getLogger(__name__)

Word = Callable[[], Awaitable[object]]
"""Something to say to the bus: called again while that is away."""

WAITING = 1000
LINGER_S = 3.0
TAIL = 2000


class Scribe:
    """A bounded queue before the bus, which may be away for a while.

    What does not fit is counted and left out. A context manager: inside, facts are told; its end
    waits for the last ones, `LINGER_S` at most. Without a bus facts are left out.
    """

    def __init__(self, bus: Bus | None, clock: Clock, metrics: Metrics) -> None:
        self._bus = bus
        self._clock = clock
        self._writer: asyncio.Task[None] | None = None
        self._queue: asyncio.Queue[Word] = asyncio.Queue(WAITING)
        self._unsaid = metrics.gauge(
            "serinus_load_unsaid", "Facts and results that the bus has not taken yet."
        )
        self._waiting = 0
        self._unsaid.set(0)
        self._lost = metrics.counter(
            "serinus_load_facts_lost_total", "Facts that could not be told."
        )

    def started(self, run: Run) -> None:
        if canary := _ref(run.task.about):
            self._tell(
                LoadStarted(
                    canary=canary,
                    id=f"load:{run.id}:started",
                    at=run.started_at,
                    task=run.task.id,
                    kind=run.task.kind,
                )
            )

    def finished(self, run: Run) -> None:
        """Output travels only where the hook asked for it to be shown: it may hold secrets."""
        canary, ended = _ref(run.task.about), run.ended
        if canary is None or ended is None:
            return
        self._tell(
            LoadFinished(
                canary=canary,
                id=f"load:{run.id}:finished",
                at=run.started_at + run.seconds,
                task=run.task.id,
                kind=run.task.kind,
                exit_status=ended.status,
                seconds=run.seconds,
                numbers=run.numbers,
                output=ended.output[-TAIL:] if run.task.is_public else "",
            )
        )

    def gate(self, space: Space, call: Payload, is_open: bool, by: str) -> None:
        if canary := _ref(call.about):
            at = self._clock.now()
            word = "open" if is_open else "closed"
            self._tell(
                GateChanged(
                    canary=canary,
                    id=f"gate:{space}:{call.canary}:{at:.3f}:{word}",
                    at=at,
                    gate=space,
                    open=is_open,
                    by=by,
                )
            )

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write(), name="scribe")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._writer is not None
        try:
            async with asyncio.timeout(LINGER_S):
                await self._queue.join()
        except TimeoutError:
            self._lost.inc(by=float(self._queue.qsize()))
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)

    def later(self, word: Word) -> None:
        """Says it to the bus as soon as that can be reached, after what was said before."""
        try:
            self._queue.put_nowait(word)
        except asyncio.QueueFull:
            self._lost.inc()
        else:
            self._count(1)

    async def _write(self) -> None:
        while True:
            word = await self._queue.get()
            try:
                await self._said(word)
            except SerinusError as error:
                self._lost.inc()
                log.warning("a fact could not be told", extra={"reason": str(error)})
            finally:
                self._queue.task_done()
                self._count(-1)

    def _count(self, change: int) -> None:
        self._waiting += change
        self._unsaid.set(self._waiting)

    async def _said(self, word: Word) -> None:
        is_new = True
        while True:
            try:
                await word()
            except Retry as error:
                if is_new:
                    log.warning("the bus is away, facts wait", extra={"reason": error.reason})
                is_new = False
                await self._clock.sleep(error.after_s)
            else:
                return

    def _tell(self, fact: Fact) -> None:
        if self._bus is not None:
            self.later(partial(self._bus.publish, fact))


def _ref(about: tuple[str, str] | None) -> CanaryRef | None:
    return CanaryRef(*about) if about else None
