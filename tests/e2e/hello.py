"""A user's service in a namespace of its own: released, watched, looked at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from tests.e2e import judge
from tests.e2e.judge import Moment
from tests.e2e.load import Traffic, flowing
from tests.e2e.stage import FRONTS, Stage, manifest, status
from tests.servers.kube import Kube, Obj
from tests.servers.waiting import eventually

from serinus.analyzer.providers.exposition import samples

APPS = "apps/v1"
CANARY = "flagger.app/v1beta1"
TRAEFIK = "traefik.io/v1alpha1"
NAME = "hello"
INTERVAL_S = 10


class Hello:
    """`moments` is what its Canary's status has said so far, `front` is whom clients ask."""

    def __init__(self, kube: Kube, stage: Stage, namespace: str, front: str = FRONTS[0]) -> None:
        self.kube = kube
        self.front = front
        self.namespace = namespace
        self.host = f"{namespace}.example"
        self.moments: list[Moment] = []
        self.stage = stage
        self._news = asyncio.Event()

    @property
    def _url(self) -> str:
        return self.stage.urls[self.front]

    async def deploy(
        self,
        version: str = "1.0",
        *,
        from_config: bool = False,
        drain_s: int = 5,
        replicas: int = 2,
    ) -> None:
        """The workload and its route. `from_config`: its ConfigMap says which version it is.

        drain_s  for how long pods serve that were told to end
        """
        source: Obj = {"value": version}
        if from_config:
            source = {"valueFrom": {"configMapKeyRef": {"name": NAME, "key": "version"}}}
        # Proxies learn late that a pod ends: like any service behind one it drains first.
        env = [{"name": "VERSION", **source}, {"name": "DRAIN_S", "value": str(drain_s)}]
        values = {
            "hello": self.stage.references["hello"],
            "host": self.host,
            "replicas": str(replicas),
            "env": json.dumps(env),
        }
        for name in ("hello", f"hello-{self.front}"):
            for obj in manifest(name, values):
                await self.kube.apply(obj, self.namespace)

    async def canary(
        self,
        *,
        step: int = 20,
        most: int = 60,
        threshold: int = 2,
        measured: bool = True,
        webhooks: Sequence[Obj] = (),
        baseline: bool = False,
        **spec: Any,
    ) -> None:
        """An ordinary Canary; `spec` is put over it. `measured`: it is judged by its requests."""
        analysis = {
            "interval": f"{INTERVAL_S}s",
            "threshold": threshold,
            "stepWeight": step,
            "maxWeight": most,
            "metrics": [
                {
                    "name": "request-success-rate",
                    "interval": f"{INTERVAL_S}s",
                    "thresholdRange": {"min": 99},
                },
                {
                    "name": "request-duration",
                    "interval": f"{INTERVAL_S}s",
                    "thresholdRange": {"max": 2000},
                },
            ],
            "webhooks": list(webhooks),
            "baseline": baseline,
        }
        if not measured:
            del analysis["metrics"]
        whole = {
            "provider": self.front,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "progressDeadlineSeconds": 120,
            "service": {"port": 80, "targetPort": 9898},
            "analysis": analysis,
            **spec,
        }
        meta = {"name": NAME}
        await self.kube.apply(
            {"apiVersion": CANARY, "kind": "Canary", "metadata": meta, "spec": whole},
            self.namespace,
        )

    async def primary(self) -> None:
        """Returns when there is one."""

        async def found() -> bool:
            name = f"{NAME}-primary"
            return await self.kube.find(APPS, "Deployment", self.namespace, name) is not None

        await eventually(found, f"{self.namespace}: a primary", 60)

    async def push(self, version: str) -> None:
        """A new revision of the workload."""
        path = "/spec/template/spec/containers/0/env/0/value"
        patch = [{"op": "replace", "path": path, "value": version}]
        await self.kube.patch(APPS, "Deployment", self.namespace, NAME, patch)

    async def configure(self, version: str) -> None:
        """A new content of its ConfigMap, and nothing else."""
        patch = {"data": {"version": version}}
        await self.kube.patch("v1", "ConfigMap", self.namespace, NAME, patch)

    async def own_route(self) -> None:
        """A Service and a TraefikService of the user's, as they are without any Canary."""
        ports = [{"name": "http", "port": 80, "targetPort": 9898}]
        service = {"selector": {"app": NAME}, "ports": ports}
        weighted = {"services": [{"name": NAME, "port": 80, "weight": 1}]}
        meta = {"name": NAME}
        for api_version, kind, spec in (
            ("v1", "Service", service),
            (TRAEFIK, "TraefikService", {"weighted": weighted}),
        ):
            obj = {"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": spec}
            await self.kube.apply(obj, self.namespace)

    async def answered_by(self, workload: str) -> dict[str, int]:
        """How many requests each pod of a workload has answered, by its own account."""
        found = {}
        for pod in await self.kube.list("v1", "Pod", self.namespace):
            name = pod["metadata"]["name"]
            if name.startswith(f"{workload}-"):
                path = f"/api/v1/namespaces/{self.namespace}/pods/{name}:9898/proxy/metrics"
                page = await self.kube.text(path)
                counted = samples(page, ("http_request_duration_seconds_count",))
                found[name] = int(sum(value for _, _, value in counted))
        return found

    async def serving(self) -> None:
        """Returns when requests to its host are answered."""

        async def answered() -> bool:
            return await status(self._url, self.host) == 200

        await eventually(answered, f"{self.host} answers", 30)

    async def until(self, *phases: str, within_s: float = 60.0) -> Moment:
        """The first moment of one of these phases from now on, the present one included.

        Raises TimeoutError that tells the story so far.
        """
        wanted = " or ".join(phases)
        return await self._until(wanted, lambda m: m.phase in phases, within_s)

    async def until_weight(self, weight: int, within_s: float = 60.0) -> Moment:
        """The first moment with this share for the canary. Raises TimeoutError as `until` does."""
        return await self._until(f"at {weight} %", lambda m: m.weight == weight, within_s)

    async def _until(self, wanted: str, found: Callable[[Moment], bool], within_s: float) -> Moment:
        try:
            async with asyncio.timeout(within_s):
                while not (self.moments and found(self.moments[-1])):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            story = "\n".join(await self.events()) or "no events"
            raise TimeoutError(
                f"{self.namespace}: not {wanted} within {within_s:g} s; "
                f"last: {self.moments[-1:]}\n{story}\n{await self.stage.logs(self.kube)}"
            ) from None
        return self.moments[-1]

    async def events(self) -> list[str]:
        """The sentences told about the Canary as Kubernetes Events, oldest first."""
        found = await self._told()
        found.sort(
            key=lambda event: (event["firstTimestamp"], event["metadata"]["creationTimestamp"])
        )
        return [str(event["message"]) for event in found]

    async def objects(self) -> dict[str, Obj]:
        """What the namespace holds beside its Canary and what tells of things: all that is said."""
        kinds = [(APPS, "Deployment"), (APPS, "ReplicaSet"), (TRAEFIK, "TraefikService")]
        kinds += [(TRAEFIK, "IngressRoute"), *(("v1", kind) for kind in ("Service", "ConfigMap"))]
        passing = ("managedFields", "resourceVersion")
        found = {}
        for api_version, kind in kinds:
            for obj in await self.kube.list(api_version, kind, self.namespace):
                meta = {k: v for k, v in obj["metadata"].items() if k not in passing}
                whole = {**obj, "metadata": meta, "status": None}
                found[f"{kind} {meta['name']}"] = whole
        return found

    async def history(self) -> judge.History:
        """Its phases, weights and Events so far."""
        told = Counter[tuple[str, str]]()
        for event in await self._told():
            text = event["message"].replace(self.namespace, "shop")
            told[event["reason"], text] += event.get("count") or 1
        return judge.History(judge.statuses(self.moments), told)

    async def _told(self) -> list[Obj]:
        events = await self.kube.list("v1", "Event", self.namespace)
        return [event for event in events if event["involvedObject"]["kind"] == "Canary"]

    async def get(self, kind: str, name: str, api_version: str = "v1") -> Obj:
        return await self.kube.get(api_version, kind, self.namespace, name)

    async def version_of(self, deployment: str) -> str:
        """What a Deployment is told to run."""
        found = await self.get("Deployment", deployment, APPS)
        return str(found["spec"]["template"]["spec"]["containers"][0]["env"][0].get("value"))

    async def replicas_of(self, deployment: str) -> int:
        found = await self.get("Deployment", deployment, APPS)
        return int(found["spec"]["replicas"])

    @contextlib.asynccontextmanager
    async def traffic(self) -> AsyncIterator[Traffic]:
        """Requests to its host while the block runs."""
        async with flowing(self._url, self.host) as traffic:
            yield traffic

    async def watch(self) -> None:
        """Keeps `moments` up to date until it is cancelled."""
        async for change, canary in self.kube.watch(CANARY, "Canary", self.namespace):
            status = canary.get("status") or {}
            phase = "gone" if change == "DELETED" else str(status.get("phase", ""))
            self.moments.append(Moment(time.time(), phase, int(status.get("canaryWeight", 0))))
            self._news.set()


@contextlib.asynccontextmanager
async def hello_in(
    kube: Kube, stage: Stage, namespace: str, front: str = FRONTS[0]
) -> AsyncIterator[Hello]:
    """A namespace for one service, watched while the block runs, and removed after it."""
    await kube.namespace(namespace)
    hello = Hello(kube, stage, namespace, front)
    watching = asyncio.create_task(hello.watch())
    try:
        yield hello
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await kube.delete(CANARY, "Canary", namespace, NAME)
        await kube.delete("v1", "Namespace", None, namespace)
