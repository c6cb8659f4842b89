"""All lanes on one ring: up to their phases, through a kill, to their ends; and what was seen."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import nats
from tests.faults.lanes import (
    LANES,
    VERSION_1,
    VERSION_2,
    Lane,
    Status,
    canary,
    deployment,
)
from tests.ring import Ring
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Health, Kubelet, Rule
from tests.servers.nats import NatsServer
from tests.servers.stub import Answers, Reply, Stub

BOUND_S = 45.0
CANARY = ("flagger.app/v1beta1", "Canary")
ROUTES = {
    "TraefikService": "traefik.io/v1alpha1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
}
FORBIDDEN, OK = Reply(status=403, body="Forbidden"), Reply()
Kill = Callable[[], Awaitable[None]]


class Story:
    """What the API server showed of one lane: its statuses and shares, when each of them came."""

    def __init__(self) -> None:
        self.statuses: list[tuple[float, Status]] = []
        self.shares: list[tuple[float, int]] = []
        self.failed_checks = 0
        self.replicas = -1
        self.changed = asyncio.Condition()

    async def see(self, obj: Obj) -> None:
        async with self.changed:
            now = asyncio.get_running_loop().time()
            status = obj.get("status") or {}
            if obj["kind"] == "Canary":
                self.failed_checks = max(self.failed_checks, status.get("failedChecks", 0))
                if status.get("phase"):
                    _add(self.statuses, now, (status["phase"], status.get("canaryWeight", 0)))
            elif obj["kind"] == "Deployment":
                if obj["metadata"]["name"] == "web":
                    self.replicas = obj["spec"]["replicas"]
            else:
                _add(self.shares, now, share(obj))
            self.changed.notify_all()

    @property
    def status(self) -> Status:
        return self.statuses[-1][1] if self.statuses else ("", 0)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(BOUND_S), self.changed:
                await self.changed.wait_for(condition)
        except TimeoutError:
            raise AssertionError(f"never {what}; statuses {self.statuses}") from None


def _add(seen: list[Any], now: float, value: Any) -> None:
    if not seen or seen[-1][1] != value:
        seen.append((now, value))


def share(route: Obj) -> int:
    """The canary's share in a TraefikService or HTTPRoute."""
    if route["kind"] == "TraefikService":
        backends = route["spec"]["weighted"]["services"]
    else:
        backends = route["spec"]["rules"][0]["backendRefs"]
    return int(next((b.get("weight", 1) for b in backends if b["name"] == "web-canary"), 0))


class Told(msgspec.Struct, frozen=True):
    """What was said about one lane: Kubernetes Events and facts, by text."""

    events: Counter[str]
    facts: Counter[str]
    hooks: Counter[str]


class Run(msgspec.Struct, frozen=True):
    """One victim's run. `killed_at`, `back_at`, `freed_at`: when, on the loop's clock."""

    stories: dict[str, Story]
    told: dict[str, Told]
    killed_at: float
    back_at: float
    freed_at: float


class Stage:
    """What all runs share."""

    def __init__(
        self,
        *,
        kube: Kube,
        kubelet: Kubelet,
        stub: Stub,
        ring: Ring,
        nats: NatsServer,
        plane: ControlPlane,
    ) -> None:
        self.kube = kube
        self.kubelet = kubelet
        self.stub = stub
        self.ring = ring
        self.nats = nats
        self.plane = plane
        self.stories: dict[str, Story] = {}
        self.held_routes: set[str] = set()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Follows canaries, targets and routes of all namespaces, and plays the gateway."""
        kinds = [CANARY, ("apps/v1", "Deployment"), *((v, k) for k, v in ROUTES.items())]
        tasks = [asyncio.create_task(self._watch(*kind)) for kind in kinds]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, api_version: str, kind: str) -> None:
        async for change, item in self.kube.watch(api_version, kind):
            story = self.stories.get(item["metadata"]["namespace"])
            if change == "DELETED" or story is None:
                continue
            await story.see({"apiVersion": api_version, "kind": kind} | item)
            if kind == "HTTPRoute":
                await self.accept(item)

    async def accept(self, route: Obj) -> None:
        """What a gateway says, unless it is made to hesitate when all traffic goes back."""
        namespace = route["metadata"]["namespace"]
        shares = [one for _, one in self.stories[namespace].shares]
        if namespace in self.held_routes and shares[-1] == 0 and len(shares) > 1:
            return
        status = {"parents": [_parent(ref, route) for ref in route["spec"]["parentRefs"]]}
        if (route.get("status") or {}).get("parents"):
            seen = route["status"]["parents"][0]["conditions"][0]["observedGeneration"]
            if seen == route["metadata"]["generation"]:
                return
        api_version, name = ROUTES["HTTPRoute"], route["metadata"]["name"]
        patch = {"status": status}
        await self.kube.patch(api_version, "HTTPRoute", namespace, name, patch, "/status")

    # --- one run ---------------------------------------------------------------------------------

    async def run(self, victim: str, kill: Kill) -> Run:
        """Every lane once, with `kill` (it returns when the victim is back) in the middle."""
        names = {lane: f"{victim}-{lane}" for lane in LANES}
        first_fact = await self._last_fact() + 1
        await self._each(self._begin(names[name], lane) for name, lane in LANES.items())
        await self._each(self._hold(names[name], lane) for name, lane in LANES.items())
        loop = asyncio.get_running_loop()
        for name in ("stepping", "asking"):
            self._answer(names[name], "/traffic", OK)
        stepping = self.stories[names["stepping"]]
        await stepping.until(lambda: stepping.status == ("Progressing", 20), "at 20")
        rolling = self.stories[names["rolling-back"]]
        self.kubelet.set_rules(names["rolling-back"], [CRASHING])
        await rolling.until(lambda: rolling.status[0] == "Failed", "Failed")
        killed_at = loop.time()
        await kill()
        back_at = loop.time()
        await self._free(names)
        freed_at = loop.time()
        await self._each(self._end(names[name], lane) for name, lane in LANES.items())
        told = {lane: await self._told(name, first_fact) for lane, name in names.items()}
        stories = {lane: self.stories.pop(name) for lane, name in names.items()}
        for name in names.values():
            await self.kube.delete(*CANARY, name, "web")
            await self.kube.delete("v1", "Namespace", None, name)
        return Run(stories, told, killed_at, back_at, freed_at)

    async def _each(self, work: Iterable[Awaitable[None]]) -> None:
        await asyncio.gather(*work)

    async def _begin(self, namespace: str, lane: Lane) -> None:
        self.stories[namespace] = Story()
        script = self.stub.script(namespace)
        script.set_prometheus([Answers(match="traefik|http", values=(100,))])
        script.set_hooks({"/traffic": [FORBIDDEN], "/slow": [Reply(delay=1.0)]})
        script.set_hooks({"/after": [Reply(delay=1.0)]})
        if lane.name == "initialising":
            self.kubelet.set_rules(namespace, [Rule(pods="web-primary")])
        if lane.name == "promoting":
            self.kubelet.set_rules(namespace, [Rule(pods="web-primary", image=VERSION_2)])
        if lane.name == "rolling-back":
            script.set_hooks({"/traffic": [OK, FORBIDDEN]})
        if lane.name == "finalising":
            self.held_routes.add(namespace)
        await self.kube.namespace(namespace)
        await self.kube.apply(deployment(VERSION_1), namespace)
        addresses = (
            self.stub.url("prometheus", namespace),
            self.stub.url("hook", namespace),
            self.ring.loadtester_url,
        )
        await self.kube.apply(canary(lane, *addresses), namespace)

    async def _hold(self, namespace: str, lane: Lane) -> None:
        """Up to the status in which it stays."""
        story = self.stories[namespace]
        if lane.name != "initialising":
            await story.until(lambda: story.status == ("Initialized", 0), "Initialized")
            await story.until(lambda: story.replicas == 0, "parked")
            patch = [
                {
                    "op": "replace",
                    "path": "/spec/template/spec/containers/0/image",
                    "value": VERSION_2,
                }
            ]
            await self.kube.patch("apps/v1", "Deployment", namespace, "web", patch)
        await story.until(lambda: story.status == lane.held, f"{lane.held}")

    async def _free(self, names: dict[str, str]) -> None:
        """Lets everybody go who is held."""
        for name in ("initialising", "promoting"):
            self.kubelet.set_rules(names[name], [])
        self._answer(names["rolling-back"], "/traffic", OK)
        await self._open_gate(names["waiting"])
        self.held_routes.discard(names["finalising"])
        route = (ROUTES["HTTPRoute"], "HTTPRoute", names["finalising"], "web")
        await self.accept(await self.kube.get(*route) | {"kind": "HTTPRoute"})

    async def _open_gate(self, namespace: str) -> None:
        url = f"{self.ring.loadtester_url}/gate/open"
        headers = {"Authorization": f"Bearer {self.ring.loadtester_token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, json={"name": "web", "namespace": namespace}) as answer,
        ):
            assert answer.status == 202, await answer.text()

    def _answer(self, namespace: str, path: str, *replies: Reply) -> None:
        self.stub.script(namespace).set_hooks({path: replies})

    async def _end(self, namespace: str, lane: Lane) -> None:
        """To the last status, the last share, the parked target and the last hook."""
        story = self.stories[namespace]
        last = lane.statuses[-1]
        await story.until(lambda: story.status == last, f"{last}")
        await story.until(lambda: story.shares[-1][1] == lane.shares[-1], "routed back")
        await story.until(lambda: story.replicas == 0, "parked")
        if any(hook.type == "post-rollout" for hook in lane.hooks):
            await self.stub.until(
                lambda calls: any((c.space, c.path) == (namespace, "/after") for c in calls),
                BOUND_S,
            )

    # --- what was said ---------------------------------------------------------------------------

    async def _told(self, namespace: str, first_fact: int) -> Told:
        """Waits until every fact with a text is an Event, too."""
        async with asyncio.timeout(BOUND_S):
            while True:
                facts = await self._facts(namespace, first_fact)
                events = Counter[str]()
                for event in await self.kube.list("v1", "Event", namespace):
                    if event["involvedObject"]["kind"] == "Canary":
                        text = _general(event["message"], namespace)
                        events[text] += event.get("count") or 1
                if facts.keys() <= events.keys():
                    break
                await asyncio.sleep(0.2)
        hooks = Counter(call.path for call in self.stub.of(namespace, "hook"))
        return Told(events, facts, hooks)

    async def _facts(self, namespace: str, first: int) -> Counter[str]:
        found = Counter[str]()
        client = await nats.connect(self.nats.url)
        try:
            jetstream = client.jetstream()
            last = (await jetstream.stream_info("FACTS")).state.last_seq
            for sequence in range(first, last + 1):
                message = await jetstream.get_msg("FACTS", sequence)
                body = msgspec.json.decode(message.data or b"{}")
                if body.get("canary", {}).get("namespace") == namespace and body.get("text"):
                    found[_general(body["text"], namespace)] += 1
        finally:
            await client.close()
        return found

    async def _last_fact(self) -> int:
        client = await nats.connect(self.nats.url)
        try:
            return int((await client.jetstream().stream_info("FACTS")).state.last_seq)
        finally:
            await client.close()


def _general(text: str, namespace: str) -> str:
    """The sentence without the names that differ from run to run."""
    return re.sub(r"pod web-[a-z0-9-]+", "pod web", text.replace(namespace, "shop"))


CRASHING = Rule(image=VERSION_2, health=Health.CRASHING)


def _parent(ref: Obj, route: Obj) -> Obj:
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "",
        "observedGeneration": route["metadata"]["generation"],
        "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {
        "parentRef": ref,
        "controllerName": "example.test/gateway",
        "conditions": [condition],
    }
