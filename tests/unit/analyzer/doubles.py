"""Stand-ins for what the analyzer acts on: an object store, a web, and a whole loop on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from tests.builders import REF, a_canary, a_routes_observed, an_observed

from serinus.analyzer.core.rollout import Policy
from serinus.analyzer.providers.catalog import Tools, tools
from serinus.analyzer.providers.scrape import Scraper
from serinus.analyzer.shell.exports import Exports
from serinus.analyzer.shell.loop import Loop
from serinus.events import CanaryObserved, CanarySpec, CanaryStatus, Fact, Intent
from serinus.kube.cluster import Cluster
from serinus.kube.errors import Conflict, NotFound, error_of
from serinus.kube.errors import Unreachable as ApiAway
from serinus.kube.kinds import Resource, path_of
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.kube.share import Everything, Share
from serinus.runtime.broker import MemoryBroker
from serinus.runtime.clock import Clock, LoopClock
from serinus.runtime.http import Dialogue, Frame, HttpRequest, HttpResponse, Unanswered
from serinus.runtime.memory import MemoryBus
from serinus.runtime.telemetry import PrometheusMetrics


class FakeCluster:
    """Objects with resourceVersions; merge patches keep the precondition. `faults` come first.

    A fault is raised instead of a patch (before) or after it was done (a lost answer).
    """

    def __init__(self, *objects: Obj) -> None:
        self.objects: dict[Ref, Obj] = {}
        self.patches: list[tuple[Ref, str, Obj]] = []
        self.reads: list[Ref] = []
        self.before: list[Exception] = []
        self.lost: list[Exception] = []
        self._version = 1000
        for obj in objects:
            self.put(obj)

    def put(self, obj: Obj) -> Obj:
        self._version += 1
        stored = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        self.objects[ref_of(stored)] = stored
        return stored

    async def get(self, ref: Ref) -> Obj:
        self.reads.append(ref)
        await asyncio.sleep(0)
        if ref not in self.objects:
            raise NotFound(f"{ref} not found")
        return self.objects[ref]

    async def patch(
        self,
        ref: Ref,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        manager: str,
        subresource: str = "",
    ) -> Obj:
        await asyncio.sleep(0)
        assert isinstance(patch, Mapping)
        if self.before:
            raise self.before.pop(0)
        live = await self.get(ref)
        self.reads.pop()
        wanted = patch.get("metadata", {}).get("resourceVersion")
        if wanted not in (None, live["metadata"]["resourceVersion"]):
            raise Conflict(f"{ref} changed")
        self.patches.append((ref, subresource, dict(patch)))
        merged = self.put(merge(live, patch))
        if self.lost:
            raise self.lost.pop(0)
        return merged

    def list(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    watch = create = apply = delete = list


def merge(old: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


Reply = HttpResponse | Unanswered
Script = Callable[[HttpRequest], Reply]


def reply(status: int = 200, body: str = "", **headers: str) -> HttpResponse:
    return HttpResponse(status=status, body=body.encode(), headers=headers)


class FakeHttp:
    """Answers by a function of the request, after `delay_s`; remembers what was sent and when."""

    def __init__(self, script: Script, clock: Clock | None = None, delay_s: float = 0.0) -> None:
        self.script = script
        self.clock = clock or LoopClock()
        self.delay_s = delay_s
        self.sent: list[HttpRequest] = []
        self.times: list[float] = []
        self.under_way = 0
        self.most_under_way = 0
        self.said: list[str] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        self.times.append(self.clock.monotonic())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.clock.sleep(self.delay_s)
        finally:
            self.under_way -= 1
        answer = self.script(request)
        if isinstance(answer, Unanswered):
            raise answer
        return answer

    async def converse(self, request: HttpRequest, dialogue: Dialogue[Any]) -> Any:
        """A websocket whose frames are the lines of the answer; `0x` begins a binary one."""
        answer = await self.send(request)
        if answer.status >= 300:
            raise Unanswered(f"GET {request.url}: no websocket there: {answer.status}")
        frames = [_frame(line) for line in answer.text.splitlines()]
        try:
            self.said += next(dialogue)
            for frame in frames:
                self.said += dialogue.send(frame)
        except StopIteration as end:
            return end.value
        raise Unanswered(f"GET {request.url}: the server closed the connection")


def _frame(line: str) -> Frame:
    return bytes.fromhex(line[2:]) if line.startswith("0x") else line


class WebCluster:
    """An API server whose answers are those of a web."""

    def __init__(self, http: FakeHttp) -> None:
        self.http = http

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> Obj:
        return await self._ask("GET", path, query)

    async def get(self, ref: Ref) -> Obj:
        return await self._ask("GET", _path(ref))

    async def create(self, obj: Obj) -> Obj:
        return await self._ask("POST", _path(ref_of(obj)), body=obj)

    async def delete(self, ref: Ref, **_: str) -> None:
        await self._ask("DELETE", _path(ref))

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Obj:
        url = f"https://api.test{path}" + (f"?{urlencode(query)}" if query else "")
        raw = msgspec.json.encode(body) if body else b""
        try:
            answer = await self.http.send(HttpRequest(url=url, method=method, body=raw))
        except Unanswered as error:
            raise ApiAway(str(error)) from None
        if answer.status >= 400:
            raise error_of(answer.status, answer.body)
        return msgspec.json.decode(answer.body, type=dict)


def _path(ref: Ref) -> str:
    return path_of(ref.api_version, Resource(f"{ref.kind.lower()}s"), ref.namespace, ref.name)


def toolbox(
    http: FakeHttp,
    spawn: Callable[..., None] | None = None,
    cluster: Any = None,
    group_from: int = 0,
) -> Tools:
    """Tools on this web; the API server is one of its places unless another is given."""
    served: Cluster = cluster or WebCluster(http)
    scraper = Scraper(http, http.clock, spawn or Spawner())
    return tools(http, served, http.clock, scraper, group_from)


def in_turn(*replies: Reply) -> Script:
    """These answers one after another; the last one repeats."""
    left = list(replies)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


class Spawner:
    """Background tasks of one test; they end with it."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def __call__(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def close(self) -> None:
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Stage:
    """An analyzer loop in memory with one canary object in its cluster."""

    def __init__(
        self,
        script: Script,
        *,
        policy: Policy | None = None,
        share: Share | None = None,
        **canary: Any,
    ) -> None:
        self.clock = LoopClock(epoch=1_800_000_000.0)
        self.broker = MemoryBroker(self.clock)
        self.bus = MemoryBus(self.broker, "analyzer")
        self.http = FakeHttp(script, self.clock)
        self.cluster = FakeCluster(a_canary(**canary))
        self.metrics = PrometheusMetrics()
        self.spawn = Spawner()
        self.policy = policy or Policy()
        self.share = share or Everything()
        self.loop = self.restarted()

    def restarted(self) -> Loop:
        """A new loop on the same world, as after a crash."""
        self.loop = Loop(
            bus=self.bus,
            cluster=self.cluster,
            http=self.http,
            clock=self.clock,
            exports=Exports(self.metrics, version="0", mesh=self.policy.mesh),
            policy=self.policy,
            share=self.share,
            spawn=self.spawn,
            concurrent_asks=10,
            group_queries_from=0,
        )
        self.loop.start()
        return self.loop

    @property
    def canary(self) -> Obj:
        """The Canary object as it is in the cluster."""
        return next(o for r, o in self.cluster.objects.items() if r.kind == "Canary")

    def seen(self, observed: CanaryObserved) -> CanaryObserved:
        """`observed` with everything that comes from the object as it is in the cluster now."""
        obj = self.canary
        fresh = msgspec.convert(
            {"spec": obj["spec"], "status": obj.get("status", {})}, _SpecAndStatus
        )
        return msgspec.structs.replace(
            observed,
            resource_version=obj["metadata"]["resourceVersion"],
            finalizers=tuple(obj["metadata"].get("finalizers", ())),
            spec=fresh.spec,
            status=fresh.status,
        )

    async def observe(self, **fields: Any) -> None:
        """The watcher sees the object as it is; `fields` of the snapshot differ."""
        await self.loop.observe(self.seen(an_observed(**fields)))

    async def route(self, **fields: Any) -> None:
        """The router reports that the newest intent is true."""
        newest = await self.bus.latest(Intent, REF)
        assert newest is not None
        intent: Intent = newest.message
        weight = intent.routes.canary
        await self.loop.observe_routes(a_routes_observed(intent.id, weight, **fields))

    def intents(self) -> list[Intent]:
        return list(self.broker.messages(Intent))

    def texts(self) -> list[str]:
        """What was told, in order."""
        return [fact.text for fact in self.broker.messages(Fact) if fact.text]

    def status_writes(self) -> list[Obj]:
        return [p["status"] for _, sub, p in self.cluster.patches if sub == "status"]

    def exposed(self) -> str:
        return self.metrics.exposition().decode()


class _SpecAndStatus(msgspec.Struct):
    spec: CanarySpec
    status: CanaryStatus
