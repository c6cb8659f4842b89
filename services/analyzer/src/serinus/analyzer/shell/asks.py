"""Finds answers: one question per canary at a time, many canaries side by side, bounded.

An ask that is superseded is cancelled; its answer could only count for a moment that has passed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import assert_never

from msgspec import Struct

from serinus.analyzer.core.rollout import (
    Answer,
    Ask,
    HookAnswer,
    HookAsk,
    MetricAsk,
    ProbeAsk,
    Rollout,
    Unreachable,
)
from serinus.analyzer.shell.hooks import ask_hook
from serinus.analyzer.shell.sources import Sources
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http

log = logging.getLogger(__name__)

Answered = Callable[[str, Answer], Awaitable[None]]
"""Called with the canary's key and the answer, outside of any limit."""


class _Pending(Struct, frozen=True):
    key: str
    task: asyncio.Task[None]


class Asks:
    """The questions under way.

    limit  how many are asked at one time, over all canaries
    """

    def __init__(
        self, *, sources: Sources, http: Http, clock: Clock, answered: Answered, limit: int
    ) -> None:
        self._sources = sources
        self._http = http
        self._clock = clock
        self._answered = answered
        self._slots = asyncio.Semaphore(limit)
        self._pending: dict[str, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def start(self, canary: str, ask: Ask, rollout: Rollout) -> None:
        """Asks, unless this very question is under way; any other of the canary is dropped."""
        pending = self._pending.get(canary)
        if pending is not None:
            if pending.key == ask.key:
                return
            self.drop(canary)
        task = asyncio.create_task(self._run(canary, ask, rollout), name=f"ask {canary}")
        self._pending[canary] = _Pending(ask.key, task)

    def drop(self, canary: str) -> None:
        """Nobody waits for this canary's answer any more."""
        pending = self._pending.pop(canary, None)
        if pending is not None and pending.task is not asyncio.current_task():
            pending.task.cancel()

    async def close(self) -> None:
        """Drops everything and waits until it is gone."""
        tasks = [pending.task for pending in self._pending.values()]
        for canary in list(self._pending):
            self.drop(canary)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def answer(self, ask: Ask, rollout: Rollout) -> Answer:
        """The answer; a failure of ours is an answer too, so that a rollout never just hangs."""
        async with self._slots:
            try:
                match ask:
                    case HookAsk():
                        return await ask_hook(ask, rollout.seen.canary, self._http, self._clock)
                    case MetricAsk():
                        return await self._sources.measure(ask, rollout)
                    case ProbeAsk():
                        return await self._sources.probe(ask, rollout)
                    case _ as never:
                        assert_never(never)
            except Exception as error:
                log.exception("ask failed", extra={"canary": str(rollout.seen.canary)})
                why = f"internal error: {type(error).__name__}"
                if isinstance(ask, HookAsk):
                    return HookAnswer(key=ask.key, passed=False, text=why)
                return Unreachable(key=ask.key, why=why)

    async def _run(self, canary: str, ask: Ask, rollout: Rollout) -> None:
        found = await self.answer(ask, rollout)
        pending = self._pending.get(canary)
        if pending is None or pending.task is not asyncio.current_task():
            return
        del self._pending[canary]
        await self._answered(canary, found)
