"""StatefulSets against a real API server and the real StatefulSet controller; pods are played.

The ring is whole: watcher, analyzer and router decide and act as they do anywhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Health, Kubelet, Rule
from tests.servers.waiting import eventually

from serinus.analyzer.app import service as analyzer
from serinus.analyzer.settings import Settings as AnalyzerSettings
from serinus.kube.partition import PARKED, REVISION_LABEL
from serinus.router.app import service as router
from serinus.router.settings import Settings as RouterSettings
from serinus.runtime import MemoryBroker, MemoryBus, SystemClock, serve
from serinus.watcher.app import service as watcher
from serinus.watcher.settings import Settings as WatcherSettings

BOUND_S = 90.0
SIZE = 4


class Set:
    """A StatefulSet of four pods with a volume each, and a Canary in front of it."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace
        self.fewest_ready = SIZE
        self.is_counting = False

    async def create(self) -> None:
        await self.kube.apply(a_stateful_set(), self.namespace)
        await self.kube.apply(a_canary(), self.namespace)

    async def live(self) -> Obj:
        return await self.kube.get("apps/v1", "StatefulSet", self.namespace, "db")

    async def partition(self) -> int:
        strategy = (await self.live())["spec"]["updateStrategy"]
        return int(strategy["rollingUpdate"]["partition"])

    async def push(self, image: str) -> None:
        path = "/spec/template/spec/containers/0/image"
        patch = [{"op": "replace", "path": path, "value": image}]
        await self.kube.patch("apps/v1", "StatefulSet", self.namespace, "db", patch)

    async def images(self) -> list[str]:
        """What the pods run, by ordinal."""
        pods = await self.kube.list("v1", "Pod", self.namespace)
        return [image_of(pod) for pod in sorted(pods, key=lambda p: str(p["metadata"]["name"]))]

    async def volumes(self) -> dict[str, str]:
        """Uids of the claims by name: each is a piece of the user's data."""
        claims = await self.kube.list("v1", "PersistentVolumeClaim", self.namespace)
        return {c["metadata"]["name"]: c["metadata"]["uid"] for c in claims}

    async def selector(self, service: str) -> Any:
        found = await self.kube.get("v1", "Service", self.namespace, service)
        return found["spec"]["selector"]

    async def canary(self) -> Obj:
        return await self.kube.get("flagger.app/v1beta1", "Canary", self.namespace, "db")

    async def annotate(self, **values: str) -> None:
        patch = {"metadata": {"annotations": {f"flagger.app/{k}": v for k, v in values.items()}}}
        await self.kube.patch("flagger.app/v1beta1", "Canary", self.namespace, "db", patch)

    async def until(self, phase: str, weight: int | None = None) -> None:
        async def probe() -> bool:
            status = (await self.canary()).get("status") or {}
            is_there = weight is None or status.get("canaryWeight") == weight
            return status.get("phase") == phase and is_there

        try:
            await eventually(probe, f"{phase} {weight}", BOUND_S)
        except TimeoutError as error:
            canary = (await self.canary()).get("status")
            raise AssertionError(f"{error}; {canary}; {(await self.live())['status']}") from None

    async def until_all_run(self, image: str) -> None:
        async def probe() -> bool:
            return await self.images() == [image] * SIZE

        await eventually(probe, f"all run {image}", BOUND_S)

    async def watch(self) -> None:
        """Follows the pods: how few are ready at one time, once all were."""
        pods: dict[str, Obj] = {}
        async for change, pod in self.kube.watch("v1", "Pod"):
            if pod["metadata"]["namespace"] != self.namespace:
                continue
            name = pod["metadata"]["name"]
            if change == "DELETED":
                pods.pop(name, None)
            else:
                pods[name] = pod
            ready = sum(is_ready(one) for one in pods.values())
            self.is_counting = self.is_counting or ready == SIZE
            if self.is_counting:
                self.fewest_ready = min(self.fewest_ready, ready)


def is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    is_going = "deletionTimestamp" in pod["metadata"]
    return not is_going and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def image_of(pod: Obj) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def a_stateful_set(image: str = "db:1") -> Obj:
    labels = {"app": "db", "tier": "data"}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db"},
        "spec": {
            "replicas": SIZE,
            "serviceName": "db-peers",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "db", "image": image}],
                },
            },
            "volumeClaimTemplates": [claim],
        },
    }


def a_canary() -> Obj:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "db"},
        "spec": {
            "provider": "traefik",
            "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"},
            "service": {"port": 80},
            "analysis": {"interval": "1s", "threshold": 2, "stepWeight": 30, "maxWeight": 60},
        },
    }


@asynccontextmanager
async def ring(plane: ControlPlane, namespace: str) -> AsyncIterator[None]:
    """Eyes, brain and hands in this process."""
    broker = MemoryBroker(SystemClock())
    stop = asyncio.Event()
    common: dict[str, Any] = {"namespace": namespace, "listen": ""}
    eyes = WatcherSettings(kubeconfig=str(plane.kubeconfig("watcher")), **common)
    brain = AnalyzerSettings(
        kubeconfig=str(plane.kubeconfig("analyzer")),
        min_interval_s=1.0,
        metrics_server="scrape:http://127.0.0.1:9/metrics",
        **common,
    )
    hands = RouterSettings(kubeconfig=str(plane.kubeconfig("router")), settle_s=0.2, **common)
    tasks = [
        asyncio.create_task(serve(watcher, eyes, bus=MemoryBus(broker, "watcher"), stop=stop)),
        asyncio.create_task(serve(analyzer, brain, bus=MemoryBus(broker, "analyzer"), stop=stop)),
        asyncio.create_task(serve(router, hands, bus=MemoryBus(broker, "router"), stop=stop)),
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


@pytest.fixture
async def db(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> AsyncIterator[Set]:
    """Initialised, with a ring that works on it."""
    made = Set(kube, namespace)
    await made.create()
    async with ring(control_plane, namespace):
        await made.until("Initialized")
        watching = asyncio.create_task(made.watch())
        yield made
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_release_goes_through_pods_and_leaves_their_volumes(db: Set) -> None:
    volumes = await db.volumes()
    assert await db.partition() == PARKED
    first = await db.selector("db")
    assert first.keys() == {"app", "tier", REVISION_LABEL}

    await db.push("db:2")
    await db.until("Progressing", 30)
    images = await db.images()
    assert images[0] == "db:1"
    assert "db:2" in images
    assert await db.selector("db") == first
    assert (await db.selector("db-canary"))[REVISION_LABEL] != first[REVISION_LABEL]

    await db.until("Succeeded")
    assert await db.images() == ["db:2"] * SIZE
    assert await db.volumes() == volumes
    assert await db.partition() == PARKED
    assert (await db.selector("db"))[REVISION_LABEL] != first[REVISION_LABEL]
    assert await db.selector("db") == await db.selector("db-primary")
    assert db.fewest_ready >= SIZE - 1


async def test_a_parked_set_lets_no_template_through(db: Set) -> None:
    """Not even to a pod that dies while nobody is there to decide."""
    await db.annotate(pause="nobody decides")
    await db.push("db:2")
    await db.kube.delete("v1", "Pod", db.namespace, "db-2")
    await db.until_all_run("db:1")


async def test_a_crashing_canary_goes_back_without_a_trace(db: Set, kubelet: Kubelet) -> None:
    kubelet.set_rules(db.namespace, [Rule(image="db:2", health=Health.CRASHING)])
    volumes, first = await db.volumes(), await db.selector("db")

    # Pods that never serve end a rollout at its deadline; a person is faster.
    await db.push("db:2")
    await db.until("Progressing")
    await eventually(lambda: has_image(db, "db:2"), "a canary pod", BOUND_S)
    await db.annotate(abort="somebody")
    await db.until("Failed")
    await db.until_all_run("db:1")

    assert await db.volumes() == volumes
    assert await db.selector("db") == first
    assert await db.partition() == PARKED
    assert db.fewest_ready >= SIZE - 1


async def test_a_healthy_canary_goes_back_one_pod_at_a_time(db: Set) -> None:
    await db.annotate(pause="")
    await db.push("db:2")
    await db.until("Progressing", 60)
    await db.annotate(abort="somebody")
    await db.until("Failed")
    await db.until_all_run("db:1")

    assert db.fewest_ready >= SIZE - 1
    weighted = await db.kube.get("traefik.io/v1alpha1", "TraefikService", db.namespace, "db")
    assert [s["name"] for s in weighted["spec"]["weighted"]["services"]] == ["db-primary"]


async def test_a_promotion_that_gets_stuck_goes_back_too(db: Set, kubelet: Kubelet) -> None:
    """The last pod never comes up with what the others run: none of them keeps it."""
    kubelet.set_rules(db.namespace, [Rule(pods="db-0", image="db:2")])
    volumes, first = await db.volumes(), await db.selector("db")
    patch = {"spec": {"progressDeadlineSeconds": 5}}
    await db.kube.patch("flagger.app/v1beta1", "Canary", db.namespace, "db", patch)

    await db.push("db:2")
    await db.until("Promoting")
    await db.until("Failed")
    await db.until_all_run("db:1")

    assert await db.volumes() == volumes
    assert db.fewest_ready >= SIZE - 1

    async def is_narrow() -> bool:
        return bool(await db.selector("db") == first)

    await eventually(is_narrow, "S leads to the promoted revision again", BOUND_S)


async def has_image(db: Set, image: str) -> bool:
    return image in await db.images()
