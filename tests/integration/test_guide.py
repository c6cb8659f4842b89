"""The user's guide on a real API server: its examples, scenarios and timeline by the whole ring.

What each of them does is told on virtual time (tests/laws/test_guide.py); here the same manifests
go the same way with real objects, watches, hooks and queries. Intervals are shorter: a minute is a
fifth of a second.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.contract import manifests
from tests.laws.test_guide import EXCEEDED, INTERMITTENT
from tests.ring import Ring
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.nats import NatsServer
from tests.servers.stub import Answers, Reply, Stub
from tests.servers.waiting import eventually

pytestmark = pytest.mark.timeout(400)

BOUND_S = 200.0
MINUTE_S = 0.2
CANARY = ("flagger.app/v1beta1", "Canary")
DEPLOYMENT = ("apps/v1", "Deployment")
ROUTE = ("networking.istio.io/v1beta1", "VirtualService")
NO, YES = Reply(status=403, body="Forbidden"), Reply()
FORBIDDEN = {"/confirm-promotion": (NO,), "/db-rollback": (NO,)}


class Service:
    """One of the guide's services, and what the API server showed of its release."""

    def __init__(self, kube: Kube, stub: Stub, namespace: str, name: str) -> None:
        self._kube, self._stub, self._namespace, self.name = kube, stub, namespace, name
        self.status: Obj = {}
        self.statuses: list[tuple[str, int, int]] = []
        self.failed_checks: list[int] = []
        self.routes: list[Obj] = []
        self.script = stub.script(f"guide-{name}")

    async def open(self, spec: Obj) -> None:
        labels = {"app": self.name}
        container = {"name": "web", "image": "example.test/web:1"}
        deployment = {
            "apiVersion": DEPLOYMENT[0],
            "kind": DEPLOYMENT[1],
            "metadata": {"name": self.name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
        canary = {
            "apiVersion": CANARY[0],
            "kind": CANARY[1],
            "metadata": {"name": self.name},
            "spec": self._here(spec),
        }
        await self._kube.apply(deployment, self._namespace)
        await self._kube.apply(canary, self._namespace)

    def _here(self, spec: Obj) -> Obj:
        """The guide's manifest with our addresses and shorter intervals."""
        found: Obj = json.loads(json.dumps(spec))
        found["targetRef"]["name"] = self.name
        found["metricsServer"] = self._stub.url("prometheus", f"guide-{self.name}")
        analysis = found["analysis"]
        minutes = {"2m": 2, "1h": 0.5}.get(analysis["interval"], 1)
        analysis["interval"] = f"{minutes * MINUTE_S * 1000:.0f}ms"
        for hook in analysis.get("webhooks", ()):
            hook["url"] = self._stub.url("hook", f"guide-{self.name}") + f"/{hook['name']}"
        for metric in analysis.get("metrics", ()):
            metric.get("templateRef", {}).pop("namespace", None)
        return found

    def see(self, obj: Obj) -> None:
        if obj["kind"] == ROUTE[1]:
            self.routes.append(obj["spec"]["http"])
            return
        status = obj.get("status") or {}
        if not status.get("phase"):
            return
        self.status = status
        now = (status["phase"], status.get("canaryWeight", 0), status.get("iterations", 0))
        for seen, value in ((self.statuses, now), (self.failed_checks, status["failedChecks"])):
            if seen[-1:] != [value]:
                seen.append(value)

    async def until(self, phase: str) -> None:
        async def reached() -> bool:
            return bool(self.statuses) and self.statuses[-1][0] == phase

        try:
            await eventually(reached, f"{self.name} in {phase}", BOUND_S)
        except TimeoutError as error:
            raise AssertionError(f"{error}; {self.statuses[-5:]}") from None

    async def release(self) -> None:
        await self.until("Initialized")
        path = "/spec/template/spec/containers/0/image"
        patch = [{"op": "replace", "path": path, "value": "example.test/web:2"}]
        await self._kube.patch(*DEPLOYMENT, self._namespace, self.name, patch)

    async def image(self, name: str) -> str:
        found = await self._kube.get(*DEPLOYMENT, self._namespace, name)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    async def annotate(self, annotations: dict[str, str]) -> None:
        patch = {"metadata": {"annotations": annotations}}
        await self._kube.patch(*CANARY, self._namespace, self.name, patch)

    @property
    def weights(self) -> list[int]:
        """The shares that the release had, in order, without 0."""
        return list(dict.fromkeys(weight for _, weight, _ in self.statuses if weight))

    @property
    def iterations(self) -> int:
        return max(iterations for *_, iterations in self.statuses)

    def asked(self) -> list[str]:
        """The hooks in the order in which they were first asked."""
        calls = self._stub.of(f"guide-{self.name}", "hook")
        return list(dict.fromkeys(call.path.strip("/") for call in calls))

    def shares(self) -> list[int]:
        """The canary's share in the last rule of each version of the route, repeats left out."""
        found: list[int] = []
        for rules in self.routes:
            split = {d["destination"]["host"]: d.get("weight", 0) for d in rules[-1]["route"]}
            share = split.get(f"{self.name}-canary", 0)
            if found[-1:] != [share]:
                found.append(share)
        return found


Open = Callable[..., Any]


@pytest.fixture
async def opened(
    control_plane: ControlPlane,
    kubelet: Kubelet,
    kube: Kube,
    own_nats: NatsServer,
    stub: Stub,
    namespace: str,
) -> AsyncIterator[Open]:
    """Opens services by name and spec on one ring; Istio is the mesh of who names none."""
    control_plane.install_crds(crds.of_mesh("istio"))
    services: dict[str, Service] = {}
    settings = {
        "SERINUS_NAMESPACE": namespace,
        "SERINUS_MESH_PROVIDER": "istio",
        "SERINUS_MIN_INTERVAL_S": "0.05",
        "SERINUS_SETTLE_S": "0",
    }

    async def watch(api_version: str, kind: str) -> None:
        async for change, obj in kube.watch(api_version, kind, namespace):
            service = services.get(obj["metadata"]["name"])
            if service is not None and change != "DELETED":
                service.see({"kind": kind} | obj)

    async def open_one(name: str, spec: Obj) -> Service:
        services[name] = Service(kube, stub, namespace, name)
        services[name].script.set_prometheus([Answers(match=".", values=(100,))])
        services[name].script.set_hooks(FORBIDDEN)
        await services[name].open(spec)
        return services[name]

    tasks = [asyncio.create_task(watch(*kind)) for kind in (CANARY, ROUTE)]
    ring = Ring(kubeconfig=control_plane.kubeconfig, nats=own_nats.url, settings=settings)
    try:
        async with ring:
            yield open_one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def example(name: str) -> Obj:
    (found,) = (m for m in manifests.of_the_examples() if m["metadata"]["name"] == name)
    spec: Obj = found["spec"]
    return spec


def a_template(name: str) -> Obj:
    return {
        "apiVersion": CANARY[0],
        "kind": "MetricTemplate",
        "metadata": {"name": name},
        "spec": {
            "provider": {"type": "prometheus", "address": ""},
            "query": f"{name.replace('-', '_')}",
        },
    }


async def test_the_worked_examples_1_to_4(
    opened: Open, kube: Kube, namespace: str, stub: Stub
) -> None:
    names = ("payment-api", "recommendation-api", "user-service", "api-gateway")
    templates = stub.url("prometheus", "guide-payment-api")
    for name in ("request-success-rate", "latency-p99"):
        template = a_template(name)
        template["spec"]["provider"]["address"] = templates
        await kube.apply(template, namespace)
    services = {name: await opened(name, example(name)) for name in (*names, "api-gateway-eu-west")}
    payment, recommendation, user, gateway, west = services.values()
    payment.script.set_prometheus(
        [Answers(match="errors_total", values=(0,)), Answers(match=".", values=(100,))]
    )
    user.script.set_prometheus(
        [Answers(match="db_errors", values=(0,)), Answers(match=".", values=(100,))]
    )
    gateway.script.set_prometheus([Answers(match=".", values=(1,))])

    await asyncio.gather(*(service.release() for service in services.values()))

    await payment.until("WaitingPromotion")
    assert payment.weights == list(range(5, 51, 5))
    payment.script.set_hooks({"/confirm-promotion": (YES,)})
    await asyncio.gather(*(service.until("Succeeded") for service in services.values()))
    assert payment.shares() == [*range(0, 51, 5), 0]
    assert payment.asked()[:2] == ["load-test", "acceptance-test"]
    assert recommendation.iterations == 168
    assert any("match" in rules[0] for rules in recommendation.routes)
    assert user.asked()[0] in ("db-rollback", "db-migration")
    assert user.asked()[-1] == "db-cleanup"
    assert user.shares() == [0, 100, 0]
    assert any("mirror" in rules[0] for rules in gateway.routes)
    assert gateway.shares() == [0, 100, 0]
    assert "check-us-east-status" in west.asked()


SCENARIO = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": ""},
    "service": {"port": 80},
    "analysis": {
        "interval": "1m",
        "threshold": 5,
        "iterations": 10,
        "metrics": [
            {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"},
            {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "1m"},
        ],
    },
}


async def test_rollback_scenarios_1_and_2_and_the_timeline(opened: Open) -> None:
    timeline = json.loads(json.dumps(SCENARIO))
    del timeline["analysis"]["iterations"]
    timeline["analysis"] |= {"threshold": 10, "stepWeight": 5, "maxWeight": 50, "metrics": []}
    exceeded = await opened("exceeded", SCENARIO)
    outlived = await opened("outlived", SCENARIO)
    weights = await opened("timeline", timeline)
    for service, table in ((exceeded, EXCEEDED), (outlived, INTERMITTENT)):
        rates, durations = tuple(row[0] for row in table), tuple(row[1] for row in table)
        service.script.set_prometheus(
            [Answers(match="duration", values=durations), Answers(match=".", values=rates)]
        )

    await asyncio.gather(*(one.release() for one in (exceeded, outlived, weights)))

    await exceeded.until("Failed")
    assert exceeded.shares() == [0]
    assert exceeded.failed_checks[:5] == [0, 1, 2, 3, 4]
    await outlived.until("Succeeded")
    assert max(outlived.failed_checks) == 1
    await weights.until("Succeeded")
    assert weights.weights == list(range(5, 51, 5))
    assert weights.shares() == [*range(0, 51, 5), 0]


async def test_what_was_live_comes_back_on_request(opened: Open) -> None:
    """flagger.app/undo by the whole ring: the primary changes, the target and all shares do not."""
    spec = json.loads(json.dumps(SCENARIO))
    spec["analysis"] = {"interval": "1m", "threshold": 1, "stepWeight": 50, "maxWeight": 50}
    service = await opened("undone", spec)
    await service.release()
    await service.until("Succeeded")
    assert await service.image("undone-primary") == "example.test/web:2"

    await service.annotate({"flagger.app/undo": "alice: wrong prices"})
    await service.until("Failed")

    assert await service.image("undone-primary") == "example.test/web:1"
    assert await service.image("undone") == "example.test/web:2"
    assert service.shares() == [0, 50, 0]
    outcomes = [(r["outcome"], r.get("by", "")) for r in service.status["history"]]
    assert [outcome for outcome, _ in outcomes] == ["undone", "promoted"]
    assert outcomes[0][1].startswith("alice: wrong prices")
