"""The watcher as a whole service: a real kube-apiserver on one side, a bus on the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube
from tests.servers.kubelet import Health, Kubelet, Rule
from tests.servers.waiting import eventually

from serinus.events import CanaryGone, CanaryObserved, CanaryRef
from serinus.kube.refs import Obj
from serinus.runtime.clock import SystemClock
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.run import Running, serve
from serinus.watcher.app import service
from serinus.watcher.settings import Settings

BOUND_S = 60.0
CANARY = "flagger.app/v1beta1"
Message = CanaryObserved | CanaryGone


class Watching:
    """A running watcher, heard as the analyzer hears it."""

    def __init__(self, broker: MemoryBroker, running: Running) -> None:
        self.broker = broker
        self.running = running

    async def until(self, condition: Callable[[Any], bool], kind: type = CanaryObserved) -> Any:
        """The first message of that kind, old or new, of which the condition is true."""
        bus = MemoryBus(self.broker, "analyzer")
        async with asyncio.timeout(BOUND_S):
            async for delivery in bus.follow([CanaryObserved, CanaryGone]):
                if isinstance(delivery.message, kind) and condition(delivery.message):
                    return delivery.message
        raise AssertionError("the bus ended")

    def heard(self) -> int:
        """How many snapshots were published so far."""
        return self.broker.streams["SNAPSHOTS"].last

    async def readiness(self, wanted: int) -> None:
        """Waits until /readyz answers so."""

        async def is_so() -> bool:
            return (await self.get("/readyz"))[0] == wanted

        await eventually(is_so, f"/readyz answers {wanted}", BOUND_S)

    async def get(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.running.server.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def watching(
    plane: ControlPlane, namespace: str, broker: MemoryBroker | None = None, **settings: Any
) -> AsyncIterator[Watching]:
    """A watcher of one namespace, from its start to its stop."""
    broker = broker or MemoryBroker(SystemClock())
    stop = asyncio.Event()
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    made = Settings(
        kubeconfig=str(plane.kubeconfig("watcher")),
        namespace=namespace,
        listen="127.0.0.1:0",
        **settings,
    )
    task = asyncio.create_task(
        serve(
            service,
            made,
            bus=MemoryBus(broker, "watcher"),
            stop=stop,
            started=started.set_result,
        )
    )
    try:
        async with asyncio.timeout(BOUND_S):
            yield_to = await started
        yield Watching(broker, yield_to)
    finally:
        stop.set()
        await task


def a_deployment(name: str = "web", image: str = "web:1", **pod_spec: Any) -> Obj:
    labels = {"app": name}
    container = {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], **pod_spec},
            },
        },
    }


def a_canary(name: str = "web", target: str = "web", **analysis: Any) -> Obj:
    return {
        "apiVersion": CANARY,
        "kind": "Canary",
        "metadata": {"name": name},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "service": {"port": 80},
            "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 20, **analysis},
        },
    }


async def test_a_canary_and_its_target_become_one_snapshot(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    """What the API server holds of a canary is in its snapshot, down to ready pods."""
    await kube.apply(a_deployment(), namespace)
    made = await kube.apply(a_canary(), namespace)

    async with watching(control_plane, namespace) as watcher:
        seen = await watcher.until(lambda s: s.target.readiness.state == "ready")

    assert seen.canary == CanaryRef(namespace, "web", made["metadata"]["uid"])
    assert seen.resource_version == made["metadata"]["resourceVersion"]
    assert seen.spec.analysis.step_weight == 20
    assert (seen.target.replicas, seen.target.images) == (2, {"web": "web:1"})
    assert seen.target.ports == {"http": 8080}
    assert seen.target.revision.startswith("s1-")
    assert not seen.primary.found
    assert seen.same_template is None
    assert seen.problems == ()


async def test_a_new_image_is_a_new_revision_and_replicas_are_not(
    control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    await kube.apply(a_deployment(), namespace)
    await kube.apply(a_canary(), namespace)
    async with watching(control_plane, namespace) as watcher:
        first = await watcher.until(lambda s: s.target.found)

        await kube.patch("apps/v1", "Deployment", namespace, "web", {"spec": {"replicas": 5}})
        scaled = await watcher.until(lambda s: s.target.replicas == 5)
        await kube.apply(a_deployment(image="web:2") | {}, namespace)
        pushed = await watcher.until(lambda s: s.target.images == {"web": "web:2"})

    assert scaled.target.revision == first.target.revision
    assert pushed.target.revision != first.target.revision


async def test_a_changed_config_changes_its_checksum_and_stays_at_home(
    control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """A Secret that the template uses is in the snapshot as a checksum, and only as that."""
    volume = {"name": "keys", "secret": {"secretName": "keys"}}
    await kube.apply(a_deployment(volumes=[volume]), namespace)
    await kube.apply(a_canary(), namespace)
    async with watching(control_plane, namespace) as watcher:
        without = await watcher.until(lambda s: s.target.found)
        await kube.apply(a_secret("keys", "hunter2"), namespace)
        first = await watcher.until(lambda s: bool(s.configs))
        await kube.apply(a_secret("keys", "hunter3"), namespace)

        second = await watcher.until(lambda s: s.configs != first.configs and s.configs)

    assert without.missing_configs == ("secret/keys",)
    assert first.missing_configs == ()
    assert first.configs.keys() == second.configs.keys() == {"secret/keys"}
    bodies = b"".join(r.body for r in watcher.broker.stored("SNAPSHOTS"))
    assert b"hunter" not in bodies
    assert b"aHVudGVy" not in bodies


def a_secret(name: str, password: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"password": password},
    }


async def test_crashing_pods_are_told_at_once(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    kubelet.set_rules(namespace, [Rule(pods="web-", health=Health.CRASHING)])
    await kube.apply(a_deployment(), namespace)
    await kube.apply(a_canary(), namespace)

    async with watching(control_plane, namespace) as watcher:
        seen = await watcher.until(lambda s: s.target.readiness.crash)

    assert "container web of pod web-" in seen.target.readiness.crash
    assert seen.target.readiness.crash.endswith("is in CrashLoopBackOff")


async def test_a_deleted_canary_is_gone(
    control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    await kube.apply(a_canary(), namespace)
    async with watching(control_plane, namespace) as watcher:
        seen = await watcher.until(lambda s: True)

        await kube.delete(CANARY, "Canary", namespace, "web")
        gone = await watcher.until(lambda s: True, CanaryGone)

    assert gone.canary == seen.canary


async def test_a_canary_deleted_while_nobody_watched_is_gone_too(
    control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """At its start the watcher compares the bus's last values with the cluster."""
    broker = MemoryBroker(SystemClock())
    await kube.apply(a_canary(), namespace)
    async with watching(control_plane, namespace, broker) as watcher:
        seen = await watcher.until(lambda s: True)
    await kube.delete(CANARY, "Canary", namespace, "web")

    async with watching(control_plane, namespace, broker) as watcher:
        gone = await watcher.until(lambda s: True, CanaryGone)

    assert gone.canary == seen.canary


async def test_what_says_nothing_new_is_not_sent(
    control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Labels on a Deployment, and configs nobody uses, change no snapshot."""
    await kube.apply(a_deployment(), namespace)
    await kube.apply(a_canary(), namespace)
    async with watching(control_plane, namespace) as watcher:
        before = await watcher.until(
            lambda s: (
                "new replicas" in s.target.readiness.text
                or "are available" in s.target.readiness.text
            )
        )
        revision = before.target.revision
        count = watcher.heard()
        await kube.apply(a_secret("unused", "x"), namespace)
        await kube.apply(a_canary("other", "nothing"), namespace)
        await watcher.until(lambda s: s.canary.name == "other")

        after = await watcher.until(lambda s: s.canary.name == "web")

    assert after.target.revision == revision
    # One for `other`; of `web` at most what the Deployment controller still had to tell.
    assert watcher.heard() - count <= 3


async def test_of_two_canaries_on_one_target_the_younger_one_knows_of_the_older(
    control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    await kube.apply(a_deployment(), namespace)
    await kube.apply(a_canary("web"), namespace)
    async with watching(control_plane, namespace) as watcher:
        # Ages are told in seconds; within one of them names decide.
        await kube.apply(a_canary("web-too"), namespace)
        younger = await watcher.until(lambda s: s.canary.name == "web-too")
        older = await watcher.until(lambda s: s.canary.name == "web")
        assert (younger.rivals, older.rivals) == (("web",), ())

        await kube.delete(CANARY, "Canary", namespace, "web")
        await watcher.until(lambda s: s.canary.name == "web-too" and not s.rivals)


async def test_everything_is_told_again_when_the_bus_lost_its_memory(
    control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    await kube.apply(a_canary(), namespace)
    async with watching(control_plane, namespace) as watcher:
        before = await watcher.until(lambda s: True)

        watcher.broker.lose_everything()
        after = await watcher.until(lambda s: True)

    assert after.canary == before.canary


async def test_the_watcher_writes_nothing_and_is_green(
    control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Its verbs only read, and readiness and metrics say what it follows."""
    await kube.apply(a_deployment(), namespace)
    await kube.apply(a_canary(), namespace)
    async with watching(control_plane, namespace) as watcher:
        await watcher.until(lambda s: s.target.found)

        ready, _ = await watcher.get("/readyz")
        _, metrics = await watcher.get("/metrics")

    asked = {request.verb for request in control_plane.requests("watcher")}
    assert asked <= {"get", "list", "watch"}
    assert ready == 200
    assert 'serinus_watched_objects{kind="Canary"} 1' in metrics
    assert "serinus_snapshot_age_seconds_bucket" in metrics
    assert "serinus_kube_requests_total" in metrics


async def test_an_api_server_outage_is_red_and_then_made_up_for(
    control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    await kube.apply(a_deployment(), namespace)
    await kube.apply(a_canary(), namespace)
    async with watching(control_plane, namespace) as watcher:
        await watcher.until(lambda s: s.target.found)
        control_plane.child("kube-apiserver").kill()
        await watcher.readiness(503)
        status, why = await watcher.get("/readyz")

        control_plane.start_api_server()
        await kube.apply(a_deployment(image="web:2"), namespace)
        await watcher.until(lambda s: s.target.images == {"web": "web:2"})
        await watcher.readiness(200)

    assert status == 503
    assert "kube Canary" in why
