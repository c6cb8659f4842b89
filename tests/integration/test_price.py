"""What the whole ring asks of a real API server: nothing of an idle canary, little of a step.

The suite runs as five processes; the audit log says who asked what.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.ring import Ring
from tests.servers.control_plane import SERVICES, ControlPlane, Request
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.nats import NatsServer
from tests.servers.stub import Answers, Stub
from tests.servers.waiting import eventually

from serinus.events import API_VERSION

BOUND_S = 60.0
STEPS = (20, 40, 60)
PHASES = ("Progressing", "Promoting", "Finalising", "Succeeded")


def target(version: int) -> Obj:
    container = {"name": "web", "image": f"web:{version}", "ports": [{"containerPort": 8080}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
        },
    }


def canary() -> Obj:
    metric = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"}
    return {
        "apiVersion": API_VERSION,
        "kind": "Canary",
        "metadata": {"name": "web"},
        "spec": {
            "provider": "traefik",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {
                "interval": "1s",
                "threshold": 2,
                "stepWeights": list(STEPS),
                "metrics": [metric],
            },
        },
    }


class Released:
    """One canary in a namespace of its own."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace

    async def apply(self, *manifests: Obj) -> None:
        for manifest in manifests:
            await self.kube.apply(manifest, self.namespace)

    async def comes_to(self, phase: str) -> None:
        async def there() -> bool:
            found = await self.kube.get(API_VERSION, "Canary", self.namespace, "web")
            return bool((found.get("status") or {}).get("phase") == phase)

        await eventually(there, f"{self.namespace} is {phase}", BOUND_S)

    async def has_told(self, beginning: str) -> None:
        async def told() -> bool:
            return any(text.startswith(beginning) for text in await self.told())

        await eventually(told, f"{self.namespace} says {beginning}", BOUND_S)

    async def told(self) -> Counter[str]:
        """How often each sentence was said."""
        listed = await self.kube.list("v1", "Event", self.namespace)
        about = [one for one in listed if one["involvedObject"]["kind"] == "Canary"]
        return Counter({one["message"]: one["count"] for one in about})


def kinds(requests: list[Request], namespace: str) -> Counter[str]:
    return Counter(
        f"{one.verb} {one.object_ref.resource}/{one.object_ref.subresource}".rstrip("/")
        for one in requests
        if one.object_ref.namespace == namespace
    )


async def test_an_idle_canary_costs_nothing_and_a_step_three_requests(
    control_plane: ControlPlane,
    kube: Kube,
    kubelet: Kubelet,
    nats: NatsServer,
    stub: Stub,
    tmp_path: Path,
) -> None:
    """While one canary is released the other one stands still: several intervals for both."""
    stub.script("price").set_prometheus((Answers(match="", values=(99.9,)),))
    settings = {
        "SERINUS_METRICS_SERVER": stub.url("prometheus", "price"),
        "SERINUS_MIN_INTERVAL_S": "1",
    }
    idle = Released(kube, await kube.namespace("price-idle"))
    busy = Released(kube, await kube.namespace("price-busy"))
    async with Ring(
        kubeconfig=control_plane.kubeconfig, nats=nats.url, settings=settings, folder=tmp_path
    ):
        for one in (idle, busy):
            await one.apply(target(1), canary())
        for one in (idle, busy):
            await one.comes_to("Initialized")
            await one.has_told("Initialization done!")
        since, told_before = control_plane.audit_log.stat().st_size, await busy.told()

        await busy.apply(target(2))
        await busy.has_told("Promotion completed!")

        asked = [r for r in control_plane.requests(since=since) if r.user.username in SERVICES]
        told = await busy.told() - told_before
    spent = kinds(asked, busy.namespace)
    assert not kinds(asked, idle.namespace)
    assert not [r for r in asked if not r.object_ref.namespace and r.verb != "watch"]
    assert len(PHASES) + len(STEPS) == spent["patch canaries/status"]
    assert len(STEPS) + 1 == spent["patch traefikservices"]
    assert 0 == spent["get canaries"] + spent["get traefikservices"]
    assert 1 <= spent["list endpointslices"] <= 2  # before the first share, and for no other
    assert told.total() == spent["create events"] + spent["patch events"]
    assert {1} == {told[f"Advance web.{busy.namespace} canary weight {step}"] for step in STEPS}
    for one in (idle, busy):
        await kube.delete("v1", "Namespace", None, one.namespace)
