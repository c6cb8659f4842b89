"""What happened to whom and when, as watches in this process saw it.

Times are monotonic seconds of the moment when the news was read here: whatever this process is late
counts against the suite, never for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct
from tests.servers.kube import Kube

from serinus.events import API_VERSION

Obj = dict[str, Any]
ROUTE = ("traefik.io/v1alpha1", "TraefikService")


class Seen(Struct, frozen=True):
    """A canary's phase and ordered weight, or (with no phase) its route's weight."""

    at: float
    phase: str
    weight: int


Wanted = Callable[[Seen], bool]


class Journal:
    """Follows the Canaries and routes of one namespace while its context is open."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self.canaries: dict[str, list[Seen]] = defaultdict(list)
        self.routes: dict[str, list[Seen]] = defaultdict(list)
        self._waiting: list[_Waiting] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Journal:
        self._tasks = [
            asyncio.create_task(self._follow((API_VERSION, "Canary"), self.canaries, _canary)),
            asyncio.create_task(self._follow(ROUTE, self.routes, _route)),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError):
                raise RuntimeError("a watch ended") from ended

    def expect(
        self, names: Iterable[str], wanted: Wanted, *, of_routes: bool = False
    ) -> asyncio.Future[dict[str, float]]:
        """When each of these is first seen so from now on; see `until`."""
        table = self.routes if of_routes else self.canaries
        waiting = _Waiting(table, set(names), wanted)
        self._waiting.append(waiting)
        return waiting.all_seen

    async def until(
        self, expected: asyncio.Future[dict[str, float]], within_s: float
    ) -> dict[str, float]:
        """Waits for all that was expected. Raises TimeoutError that says how many never came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                return await asyncio.shield(expected)
        waiting = next(one for one in self._waiting if one.all_seen is expected)
        late = sorted(waiting.left)
        last = self.canaries[late[0]][-1:]
        raise TimeoutError(f"{len(late)} not within {within_s:g} s: {late[:3]}, {last}")

    async def _follow(
        self, kind: tuple[str, str], table: dict[str, list[Seen]], read: Callable[[Obj], Seen]
    ) -> None:
        async for change, obj in self._kube.watch(*kind, self._namespace):
            if change == "DELETED":
                continue
            name, seen = obj["metadata"]["name"], read(obj)
            before = table[name][-1:]
            if before and (before[0].phase, before[0].weight) == (seen.phase, seen.weight):
                continue
            table[name].append(seen)
            self._waiting = [one for one in self._waiting if not one.hears(table, name, seen)]


class _Waiting:
    def __init__(self, table: dict[str, list[Seen]], names: set[str], wanted: Wanted) -> None:
        self.left = names
        self.all_seen: asyncio.Future[dict[str, float]] = asyncio.get_running_loop().create_future()
        self._table = table
        self._wanted = wanted
        self._found: dict[str, float] = {}

    def hears(self, table: dict[str, list[Seen]], name: str, seen: Seen) -> bool:
        """Takes note; whether it has heard all it waited for."""
        if table is self._table and name in self.left and self._wanted(seen):
            self.left.discard(name)
            self._found[name] = seen.at
            if not self.left:
                self.all_seen.set_result(self._found)
        return not self.left


def _canary(obj: Obj) -> Seen:
    status = obj.get("status") or {}
    return Seen(time.monotonic(), status.get("phase", ""), status.get("canaryWeight", 0))


def _route(obj: Obj) -> Seen:
    services = obj["spec"]["weighted"]["services"]
    weights = {one["name"]: one.get("weight", 0) for one in services}
    return Seen(time.monotonic(), "", weights.get(f"{obj['metadata']['name']}-canary", 0))
