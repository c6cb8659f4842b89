"""The guide's canary on spot instances, on a real API server with the whole ring; pods are played.

The manifests are the guide's as they are written: the Deployment says where the primary runs, the
Canary where the canary does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.ring import Ring
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.nats import NatsServer
from tests.servers.stub import Answers, Script, Stub
from tests.servers.waiting import eventually

pytestmark = pytest.mark.timeout(400)

BOUND_S = 120.0
CANARY = ("flagger.app/v1beta1", "Canary")
DEPLOYMENT = ("apps/v1", "Deployment")
SCALER = ("autoscaling/v2", "HorizontalPodAutoscaler")
ON_DEMAND, SPOT = "on-demand", "spot"

MYAPP: Obj = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "myapp"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "myapp"}},
        "template": {
            "metadata": {"labels": {"app": "myapp"}},
            "spec": {
                "nodeSelector": {"node-type": "on-demand"},
                "tolerations": [{"key": "node-type", "value": "on-demand", "effect": "NoSchedule"}],
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "web", "image": "example.test/myapp:1"}],
            },
        },
    },
}
OVERRIDE: Obj = {
    "templateVariables": {
        "nodeSelector": {"node-type": "spot"},
        "tolerations": [
            {"key": "node-type", "value": "spot", "effect": "NoSchedule"},
            {"key": "spot-instance", "operator": "Exists", "effect": "NoSchedule"},
        ],
    }
}

AUTOSCALER: Obj = {
    "apiVersion": SCALER[0],
    "kind": SCALER[1],
    "metadata": {"name": "myapp"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "myapp"},
        "minReplicas": 2,
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 80},
                },
            }
        ],
    },
}


def a_canary(metrics_server: str) -> Obj:
    return {
        "apiVersion": CANARY[0],
        "kind": CANARY[1],
        "metadata": {"name": "myapp"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "myapp"},
            "autoscalerRef": {"apiVersion": SCALER[0], "kind": SCALER[1], "name": "myapp"},
            "service": {"port": 80},
            "revertOnDeletion": True,
            "metricsServer": metrics_server,
            "analysis": {
                "interval": "400ms",
                "threshold": 2,
                "stepWeight": 20,
                "maxWeight": 60,
                "metrics": [
                    {"name": "request-success-rate", "thresholdRange": {"min": 99}},
                ],
            },
            "canaryAnalysis": OVERRIDE,
        },
    }


class Service:
    """The guide's service, and all that was seen of its pods and its Canary."""

    def __init__(self, kube: Kube, namespace: str, script: Script) -> None:
        self.kube, self.namespace, self.script = kube, namespace, script
        self.weights: list[int] = []
        # (workload, image) -> node types of the pods that were seen.
        self.nodes: dict[tuple[str, str], set[str]] = {}
        self.labels: dict[str, Obj] = {}

    async def apply(self, image: str) -> None:
        """kubectl apply of the whole manifest, number of replicas included."""
        manifest = {**MYAPP, "spec": {**MYAPP["spec"], "template": with_image(image)}}
        await self.kube.apply(manifest, self.namespace)

    async def status(self) -> Obj:
        found: Obj = (await self.kube.get(*CANARY, self.namespace, "myapp")).get("status") or {}
        return found

    async def until(self, phase: str, weight: int = 0) -> None:
        async def probe() -> bool:
            status = await self.status()
            return status.get("phase") == phase and status.get("canaryWeight", 0) >= weight

        try:
            await eventually(probe, f"{phase} {weight}", BOUND_S)
        except TimeoutError as error:
            raise AssertionError(f"{error}; {await self.status()}; {self.nodes}") from None

    async def at_rest(self, *, is_back: bool = False) -> None:
        """No stand-in and no autoscaler of one; the target without pods, or with them again."""

        async def probe() -> bool:
            standin = await self.kube.find(*DEPLOYMENT, self.namespace, "myapp-canary")
            scaler = await self.kube.find(*SCALER, self.namespace, "myapp-canary")
            target = await self.kube.get(*DEPLOYMENT, self.namespace, "myapp")
            has_pods = (target.get("status") or {}).get("availableReplicas", 0) > 0
            return standin is None is scaler and has_pods == is_back

        await eventually(probe, "at rest", BOUND_S)

    async def delete_canary(self) -> None:
        await self.kube.delete(*CANARY, self.namespace, "myapp")

        async def probe() -> bool:
            return await self.kube.find(*CANARY, self.namespace, "myapp") is None

        await eventually(probe, "the Canary is gone", BOUND_S)

    async def size(self, name: str) -> int:
        return int((await self.kube.get(*DEPLOYMENT, self.namespace, name))["spec"]["replicas"])

    async def image(self, name: str) -> str:
        found = await self.kube.get(*DEPLOYMENT, self.namespace, name)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    async def template(self) -> Obj:
        found = await self.kube.get(*DEPLOYMENT, self.namespace, "myapp")
        template: Obj = found["spec"]["template"]
        return template

    async def watch(self) -> None:
        async for change, pod in self.kube.watch("v1", "Pod", self.namespace):
            if change == "DELETED" or not is_ready(pod):
                continue
            name = pod["metadata"]["name"].rsplit("-", 2)[0]
            image = pod["spec"]["containers"][0]["image"].rsplit(":")[-1]
            found = self.nodes.setdefault((name, image), set())
            found.add(pod["spec"]["nodeSelector"]["node-type"])
            self.labels[name] = pod["metadata"]["labels"]


def with_image(image: str) -> Obj:
    template: Obj = MYAPP["spec"]["template"]
    container = {"name": "web", "image": image}
    return {**template, "spec": {**template["spec"], "containers": [container]}}


def is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.fixture
async def ring(
    control_plane: ControlPlane, own_nats: NatsServer, namespace: str
) -> AsyncIterator[Ring]:
    control_plane.install_crds(crds.of_mesh("istio"))
    settings = {
        "SERINUS_NAMESPACE": namespace,
        "SERINUS_MESH_PROVIDER": "istio",
        "SERINUS_MIN_INTERVAL_S": "0.05",
        "SERINUS_SETTLE_S": "0.2",
    }
    async with Ring(
        kubeconfig=control_plane.kubeconfig, nats=own_nats.url, settings=settings
    ) as running:
        yield running


@pytest.fixture
async def myapp(
    ring: Ring, kubelet: Kubelet, kube: Kube, stub: Stub, namespace: str
) -> AsyncIterator[Service]:
    """Initialised, with the ring at work on it."""
    service = Service(kube, namespace, stub.script("spot"))
    watch = asyncio.create_task(service.watch())
    await service.apply("example.test/myapp:1")
    await kube.apply(AUTOSCALER, namespace)
    await kube.apply(a_canary(stub.url("prometheus", "spot")), namespace)
    service.script.set_prometheus([Answers(match=".", values=(100,))])
    await service.until("Initialized")
    yield service
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch


def queries(stub: Stub) -> str:
    return " ".join(str(call) for call in stub.of("spot", "prometheus"))


async def test_the_guides_canary_runs_on_spot_and_its_primary_on_demand(
    myapp: Service, ring: Ring, stub: Stub
) -> None:
    """Through a good release, with every service of the ring killed in its middle, a bad one, and
    one whose Canary is deleted in its middle."""
    before = await myapp.template()

    await myapp.apply("example.test/myapp:2")
    await myapp.until("Progressing", 20)
    scaler = await myapp.kube.get(*SCALER, myapp.namespace, "myapp-canary")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "myapp-canary"
    ring.kill("router")
    await ring.start("router")
    await myapp.until("Progressing", 40)
    ring.kill("watcher", "analyzer")
    await ring.start("watcher", "analyzer")
    await myapp.until("Succeeded")
    await myapp.at_rest()

    assert await myapp.image("myapp-primary") == "example.test/myapp:2"
    assert 'destination_workload=~"myapp-canary"' in queries(stub)
    assert 'destination_workload=~"myapp"' not in queries(stub)

    myapp.script.set_prometheus([Answers(match=".", values=(10,))])
    await myapp.apply("example.test/myapp:3")
    await myapp.until("Failed")
    await myapp.at_rest()

    assert await myapp.image("myapp-primary") == "example.test/myapp:2"
    seen: dict[Any, Any] = {key: nodes for key, nodes in myapp.nodes.items() if key[0] != "myapp"}
    assert seen == {
        ("myapp-primary", "1"): {ON_DEMAND},
        ("myapp-primary", "2"): {ON_DEMAND},
        ("myapp-canary", "2"): {SPOT},
        ("myapp-canary", "3"): {SPOT},
    }
    assert myapp.labels["myapp-canary"]["app"] == "myapp"
    after = await myapp.template()
    assert {**after, "spec": {**after["spec"], "containers": []}} == {
        **before,
        "spec": {**before["spec"], "containers": []},
    }

    myapp.script.set_prometheus([Answers(match=".", values=(100,))])
    await myapp.apply("example.test/myapp:4")
    await myapp.until("Progressing", 20)
    await myapp.delete_canary()
    await myapp.at_rest(is_back=True)
    assert myapp.nodes["myapp", "4"] == {ON_DEMAND}


async def test_an_autoscaler_that_is_named_no_more_goes_after_the_run_and_the_size_stays(
    myapp: Service,
) -> None:
    """The primary's own, and a stand-in's: they stayed until the Canary was deleted."""
    kube, namespace = myapp.kube, myapp.namespace
    await myapp.apply("example.test/myapp:2")
    await myapp.until("Progressing", 20)
    await kube.patch(*DEPLOYMENT, namespace, "myapp-primary", {"spec": {"replicas": 3}})
    await kube.patch(*CANARY, namespace, "myapp", {"spec": {"autoscalerRef": None}})
    await myapp.until("Progressing", 60)
    assert await kube.find(*SCALER, namespace, "myapp-primary") is not None
    await myapp.until("Succeeded")
    await myapp.at_rest()

    async def probe() -> bool:
        return await kube.find(*SCALER, namespace, "myapp-primary") is None

    await eventually(probe, "the primary's autoscaler is gone", BOUND_S)
    assert await kube.find(*SCALER, namespace, "myapp") is not None
    assert await myapp.image("myapp-primary") == "example.test/myapp:2"
    assert await myapp.size("myapp-primary") == 3
