"""Finds answers: the questions of a canary and of all canaries side by side, bounded.

An ask that is superseded is cancelled; its answer could only count for a moment that has passed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import assert_never

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
from serinus.analyzer.shell.loadtester import Credentials
from serinus.analyzer.shell.sources import Sources
from serinus.events.canary import analysis_of
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http

log = logging.getLogger(__name__)

Answered = Callable[[str, Answer], Awaitable[None]]
"""Called with the canary's key and the answer, outside of any limit."""


class Asks:
    """The questions under way.

    limit  how many are asked at one time, over all canaries
    ours   what hooks at our own load tester are sent with
    """

    def __init__(
        self,
        *,
        sources: Sources,
        http: Http,
        clock: Clock,
        answered: Answered,
        limit: int,
        ours: Credentials | None = None,
    ) -> None:
        self._ours = ours
        self._sources = sources
        self._http = http
        self._clock = clock
        self._answered = answered
        self._slots = asyncio.Semaphore(limit)
        self._pending: dict[str, dict[str, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return sum(len(tasks) for tasks in self._pending.values())

    def start(self, canary: str, asks: Iterable[Ask], rollout: Rollout) -> None:
        """Asks what is not under way already; any other question of the canary is dropped."""
        wanted = {ask.key: ask for ask in asks}
        tasks = self._pending.setdefault(canary, {})
        for key in [key for key in tasks if key not in wanted]:
            _cancel(tasks.pop(key))
        for key, ask in wanted.items():
            if key not in tasks:
                work = self._run(canary, ask, rollout)
                tasks[key] = asyncio.create_task(work, name=f"ask {canary}")
        if not tasks:
            del self._pending[canary]

    def drop(self, canary: str) -> None:
        """Nobody waits for this canary's answers any more."""
        for task in self._pending.pop(canary, {}).values():
            _cancel(task)

    async def close(self) -> None:
        """Drops everything and waits until it is gone."""
        tasks = [task for found in self._pending.values() for task in found.values()]
        for canary in list(self._pending):
            self.drop(canary)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def answer(self, ask: Ask, rollout: Rollout) -> Answer:
        """The answer; a failure of ours is an answer too, so that a rollout never just hangs."""
        async with self._slots:
            try:
                match ask:
                    case HookAsk():
                        return await self._hook(ask, rollout)
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

    async def _hook(self, ask: HookAsk, rollout: Rollout) -> HookAnswer:
        canary, secret = rollout.seen.canary, ask.hook.secret_ref
        token = ""
        if secret is not None:
            try:
                token = await self._sources.token(rollout, secret.name, _secret_path(ask, rollout))
            except LookupError as error:
                return HookAnswer(key=ask.key, passed=False, text=str(error))
        return await ask_hook(ask, canary, self._http, self._clock, token, self._ours)

    async def _run(self, canary: str, ask: Ask, rollout: Rollout) -> None:
        found = await self.answer(ask, rollout)
        tasks = self._pending.get(canary, {})
        if tasks.get(ask.key) is not asyncio.current_task():
            return
        del tasks[ask.key]
        if not tasks:
            del self._pending[canary]
        await self._answered(canary, found)


def _secret_path(ask: HookAsk, rollout: Rollout) -> str:
    """Where the canary names the Secret of a hook; what is asked has its templates filled in."""
    hook = ask.hook
    found = (
        index
        for index, one in enumerate(analysis_of(rollout.spec).webhooks)
        if (one.name, one.secret_ref) == (hook.name, hook.secret_ref)
    )
    return f"spec.analysis.webhooks[{next(found, hook.name)}].secretRef"


def _cancel(task: asyncio.Task[None]) -> None:
    if task is not asyncio.current_task():
        task.cancel()
