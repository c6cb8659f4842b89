"""Time as something that is handed in. The only place that reads the machine's clock."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

# How far a clock may be from the cluster's and still be right: synchronised ones are within parts
# of a second.
ASTRAY_S = 1.0
# An answer that took longer says too little about what time it is now.
PROMPT_S = 1.0


class Clock(Protocol):
    """What time it is, and how to wait."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def heard(self, at: float, took_s: float) -> None:
        """What time it is for the cluster: whole Unix seconds of an answer that took so long."""
        ...


class SystemClock:
    """The machine's own clock as long as it agrees with the cluster's, which all replicas hear.

    Where it does not, time is the cluster's, and passes as this machine's seconds do: when a clock
    is set by minutes, or that of one node is wrong, no step comes early, and none waits for it.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        # Of the monotonic clock; None before the cluster was heard of.
        self._ahead_s: float | None = None

    def now(self) -> float:
        return self._wall() if self._ahead_s is None else self._monotonic() + self._ahead_s

    def monotonic(self) -> float:
        return self._monotonic()

    def heard(self, at: float, took_s: float) -> None:
        if took_s > PROMPT_S:
            return
        earliest, latest = at - ASTRAY_S, at + 1.0 + took_s + ASTRAY_S
        told = at + 0.5
        right = (t for t in (self._wall(), self.now(), told) if earliest <= t <= latest)
        self._ahead_s = next(right) - self._monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class LoopClock:
    """Time of the running event loop, counted from `epoch`: for tests on virtual time."""

    def __init__(self, epoch: float = 1_700_000_000.0) -> None:
        self.epoch = epoch

    def now(self) -> float:
        return self.epoch + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def heard(self, at: float, took_s: float) -> None:
        """Virtual time is nobody else's."""


def spread(seconds: float, by: float = 0.2) -> float:
    """`seconds`, a random part of at most `by` more or less: so that many do not wait in step."""
    return seconds * random.uniform(1.0 - by, 1.0 + by)  # noqa: S311  (no secret depends on it)


def rfc3339(at: float) -> str:
    """Unix seconds as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
