"""An API server in a dict, with watches, for the router's shell; and a router on virtual time.

Only what the router relies on: versions and generations, preconditions, the three kinds of patch.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.builders import a_canary

from serinus.events import Intent, IntentRefused, RoutesObserved
from serinus.kube.cluster import Change, Listing
from serinus.kube.errors import Conflict, Invalid, NoKind, NotFound, Unreachable
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.kube.share import Everything, Share
from serinus.router.app import Deps, running
from serinus.router.core.objects import overlaid
from serinus.router.settings import Settings
from serinus.runtime import Context, LoopClock, MemoryBroker, MemoryBus
from serinus.runtime.health import HealthBoard
from serinus.runtime.http import Http
from serinus.runtime.telemetry import PrometheusMetrics


class FakeCluster:
    """Objects by reference. `asked` holds every request but lists and watches, in order.

    failures     raised by the next requests, one each
    failures_of  the same by (verb, "Kind/name")
    unserved     kinds whose CRD is not installed
    hidden       kinds that no list is answered of
    latency_s    how long a request takes
    rivals       what somebody else makes of an object soon after we have written it
    """

    def __init__(self, *objects: Obj) -> None:
        self.objects: dict[Ref, Obj] = {}
        self.asked: list[tuple[str, str]] = []
        self.failures: list[Exception] = []
        self.failures_of: dict[tuple[str, str], list[Exception]] = {}
        self.unserved: set[str] = set()
        self.hidden: set[str] = set()
        self.latency_s = 0.0
        self.rivals: dict[Ref, Obj] = {}
        self._listed: list[str] = []
        self._versions = itertools.count(1000)
        self._watches: list[tuple[str, str, asyncio.Queue[Change]]] = []
        for obj in objects:
            self.put(obj)

    def put(self, obj: Obj, kind: Any = "MODIFIED") -> Obj:
        """Stores an object as its newest version and tells the watches."""
        obj = copy.deepcopy(obj)
        ref = ref_of(obj)
        old = self.objects.get(ref)
        meta = obj["metadata"]
        meta.setdefault("uid", f"uid-of-{ref.kind}-{ref.name}")
        meta["resourceVersion"] = str(next(self._versions))
        generation = old["metadata"].get("generation", 1) if old else 0
        changed = old is None or old.get("spec") != obj.get("spec")
        meta["generation"] = generation + changed
        self.objects[ref] = obj
        self._tell("ADDED" if old is None else kind, obj)
        return copy.deepcopy(obj)

    def remove(self, ref: Ref) -> None:
        self._tell("DELETED", self.objects.pop(ref))

    def edit(self, ref: Ref, **fields: Any) -> None:
        """What somebody else does: fields laid over the object."""
        self.put(overlaid(self.objects[ref], fields))

    def silent_edit(self, ref: Ref, **fields: Any) -> None:
        """The same, and the watches are late."""
        watches, self._watches = self._watches, []
        self.edit(ref, **fields)
        self._watches = watches

    async def get(self, ref: Ref) -> Obj:
        await self._asks("get", ref)
        return copy.deepcopy(self._one(ref))

    async def list(
        self, api_version: str, kind: str, namespace: str = "", selector: str = ""
    ) -> Listing:
        if kind in self.unserved:
            raise NoKind(f"the API server does not serve {kind} in {api_version}")
        if kind in self.hidden:
            raise Unreachable("no answer")
        self._listed.append(kind)
        found = [copy.deepcopy(o) for o in self.objects.values() if _selected(o, kind, selector)]
        return Listing(tuple(found), str(next(self._versions)))

    def lists(self, kind: str) -> int:
        """How often this kind was listed."""
        return self._listed.count(kind)

    async def watch(
        self,
        api_version: str,
        kind: str,
        resource_version: str,
        namespace: str = "",
        selector: str = "",
    ) -> AsyncIterator[Change]:
        queue: asyncio.Queue[Change] = asyncio.Queue()
        self._watches.append((kind, selector, queue))
        yield Change("BOOKMARK", {"metadata": {"resourceVersion": resource_version}})
        while True:
            yield await queue.get()

    async def create(self, obj: Obj) -> Obj:
        ref = ref_of(obj)
        await self._asks("create", ref)
        if ref in self.objects:
            raise Conflict(f"{ref} already exists")
        return self.put(obj)

    async def apply(
        self, obj: Obj, *, manager: str, force: bool = True, dry_run: bool = False
    ) -> Obj:
        ref = ref_of(obj)
        await self._asks("apply", ref)
        found = self.put(overlaid(self.objects.get(ref), obj))
        if ref in self.rivals:
            asyncio.get_running_loop().call_later(0.1, self.put, self.rivals[ref])
        return found

    async def patch(
        self,
        ref: Ref,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        manager: str,
        subresource: str = "",
    ) -> Obj:
        await self._asks("patch", ref)
        live = self._one(ref)
        if not isinstance(patch, Mapping):
            return self.put(_json_patched(live, patch))
        version = (patch.get("metadata") or {}).get("resourceVersion")
        if version not in (None, live["metadata"]["resourceVersion"]):
            raise Conflict(f"{ref} has been modified")
        return self.put(_merged(live, patch))

    async def delete(self, ref: Ref, *, uid: str = "", resource_version: str = "") -> None:
        await self._asks("delete", ref)
        if ref in self.objects:
            self.remove(ref)

    async def _asks(self, verb: str, ref: Ref) -> None:
        what = (verb, f"{ref.kind}/{ref.name}")
        self.asked.append(what)
        await asyncio.sleep(self.latency_s)
        for failures in (self.failures, self.failures_of.get(what, [])):
            if failures:
                raise failures.pop(0)
        if ref.kind in self.unserved:
            raise NoKind(f"the API server does not serve {ref.kind} in {ref.api_version}")

    def _one(self, ref: Ref) -> Obj:
        if ref not in self.objects:
            raise NotFound(f"{ref} not found")
        return self.objects[ref]

    def _tell(self, kind: Any, obj: Obj) -> None:
        for watched, selector, queue in self._watches:
            if _selected(obj, watched, selector):
                queue.put_nowait(Change(kind, copy.deepcopy(obj)))


def _selected(obj: Obj, kind: str, selector: str) -> bool:
    """Whether an object is of this kind, with the labels of the selector."""
    labels = obj["metadata"].get("labels") or {}
    wanted = (part.partition("=") for part in selector.split(",") if part)
    return obj["kind"] == kind and all(labels.get(key) == value for key, _, value in wanted)


def _merged(live: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _json_patched(live: Obj, operations: Sequence[Mapping[str, Any]]) -> Obj:
    found = copy.deepcopy(live)
    for operation in operations:
        *path, last = operation["path"].strip("/").split("/")
        place: Any = found
        for key in path:
            place = place.setdefault(key, {})
        if operation["op"] == "test" and place.get(last) != operation["value"]:
            raise Invalid(f"testing value {operation['path']} failed")
        if operation["op"] != "test":
            place[last] = copy.deepcopy(operation["value"])
    return found


class Router:
    """The running router, seen from outside."""

    def __init__(self, cluster: FakeCluster, broker: MemoryBroker, deps: Deps) -> None:
        self.cluster = cluster
        self.broker = broker
        self.desks = deps.desks

    async def take(self, intent: Intent, *, for_s: float = 0.5) -> None:
        """Hands it an intent and lets some (virtual) time go by."""
        self.desks.take(intent)
        await asyncio.sleep(for_s)

    @property
    def news(self) -> list[RoutesObserved]:
        return self.broker.messages(RoutesObserved)

    @property
    def last(self) -> RoutesObserved:
        return self.news[-1]

    @property
    def refusals(self) -> list[IntentRefused]:
        return self.broker.messages(IntentRefused)

    def asked(self) -> list[tuple[str, str]]:
        """What was asked of the API server since this was last called."""
        asked, self.cluster.asked = self.cluster.asked, []
        return asked


@asynccontextmanager
async def a_router(
    *objects: Obj,
    broker: MemoryBroker | None = None,
    share: Share | None = None,
    **settings: Any,
) -> AsyncIterator[Router]:
    """A router on these objects and their Canary.

    broker  a bus that has a past
    share   which canaries are its own; None: all
    """
    cluster = FakeCluster(a_canary(), *objects)
    clock = LoopClock()
    broker = broker or MemoryBroker(clock)
    tasks: list[asyncio.Task[None]] = []
    http: Any = Http
    context = Context(
        name="router",
        settings=Settings(**settings),
        bus=MemoryBus(broker, "router"),
        clock=clock,
        http=http,
        metrics=PrometheusMetrics(),
        health=HealthBoard(),
        spawn=lambda work, name: tasks.append(asyncio.ensure_future(work)),
    )
    try:
        async with running(context, cluster, share or Everything()) as deps:
            yield Router(cluster, broker, deps)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
