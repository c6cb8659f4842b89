"""When to look again: one due time per canary, on the Clock, without polling."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from serinus.runtime.clock import Clock

# A machine's clock may be set while we wait; no wait is longer than this without looking.
NAP_MAX_S = 60.0


class Ticks:
    """A heap of due times; `ring` is called with the canary's key when one has come."""

    def __init__(self, clock: Clock, ring: Callable[[str], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def due(self, canary: str) -> float | None:
        """When this canary is looked at next."""
        return self._due.get(canary)

    def set(self, canary: str, at: float | None) -> None:
        """Look at this canary at `at` (Unix seconds), instead of any other time; None: do not."""
        if at is None:
            self._due.pop(canary, None)
            return
        if self._due.get(canary) == at:
            return
        self._due[canary] = at
        heapq.heappush(self._heap, (at, canary))
        if self._heap[0] == (at, canary):
            self._changed.set()
        if len(self._heap) > 2 * len(self._due) + 64:
            # Times that were replaced stay in the heap until they come up; not too many of them.
            self._heap = [(due, key) for key, due in self._due.items()]
            heapq.heapify(self._heap)

    async def run(self) -> None:
        """Rings, for ever."""
        while True:
            self._changed.clear()
            now = self._clock.now()
            while self._heap and self._heap[0][0] <= now:
                at, canary = heapq.heappop(self._heap)
                if self._due.get(canary) == at:
                    del self._due[canary]
                    self._ring(canary)
            wait = min(self._heap[0][0] - now, NAP_MAX_S) if self._heap else NAP_MAX_S
            await self._nap(wait)

    async def _nap(self, seconds: float) -> None:
        """Sleeps, but not through an earlier time that is set meanwhile."""
        sleep = asyncio.ensure_future(self._clock.sleep(seconds))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((sleep, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Not awaited: waiting for them here could swallow the end of this very task.
            sleep.cancel()
            changed.cancel()
