"""The router against a real API server: what it makes of intents, and at what price."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.servers.control_plane import ControlPlane, Request
from tests.servers.kube import ApiError, Kube, Obj
from tests.servers.kubelet import Kubelet, Rule
from tests.servers.waiting import eventually

from serinus.events import (
    CanaryRef,
    Exposure,
    Intent,
    IntentRefused,
    ObjectRef,
    Routes,
    RoutesObserved,
    ServiceSpec,
    Workload,
)
from serinus.events.canary import GatewayRef, Undo
from serinus.kube.configs import checksum
from serinus.kube.revision import revised, template_hash
from serinus.router.app import service
from serinus.router.core import capacity
from serinus.router.core.objects import PROMOTED_REVISION
from serinus.router.settings import Settings
from serinus.runtime import MemoryBroker, MemoryBus, SystemClock, serve

BOUND_S = 60.0
SETTLE_S = 0.3
VERSIONS = {
    "Deployment": "apps/v1",
    "DaemonSet": "apps/v1",
    "TraefikService": "traefik.io/v1alpha1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Canary": "flagger.app/v1beta1",
}
TARGET = ObjectRef(api_version="apps/v1", kind="Deployment", name="web")


class Bench:
    """One canary on a real API server, a router, and intents in place of an analyzer."""

    def __init__(self, kube: Kube, namespace: str, mesh: str) -> None:
        self.kube = kube
        self.namespace = namespace
        self.broker = MemoryBroker(SystemClock())
        self.bus = MemoryBus(self.broker, "analyzer")
        self.canary = CanaryRef(namespace, "web")
        spec = ServiceSpec(port=80, target_port=8080)
        if mesh.startswith("gatewayapi"):
            gateway = GatewayRef(name="gateway", namespace="ingress")
            spec = ServiceSpec(port=80, target_port=8080, gateway_refs=(gateway,))
        self.exposure = Exposure(mesh=mesh, namespace=namespace, name="web", service=spec)
        self.sent: Intent | None = None
        self.versions = itertools.count(1)

    async def set_up(self, deployment: Obj | None = None) -> None:
        """The user's manifests: a Deployment and a Canary."""
        await self.kube.apply(deployment or a_deployment(), self.namespace)
        found = await self.kube.apply(a_canary(self.exposure.mesh), self.namespace)
        self.canary = CanaryRef(self.namespace, "web", found["metadata"]["uid"])

    def intent(self, *, weight: int = 0, **fields: Any) -> Intent:
        """As the analyzer would say it; `fields` beginning with an underscore are the intent's."""
        own = {k.removeprefix("_"): fields.pop(k) for k in list(fields) if k.startswith("_")}
        return Intent(
            canary=self.canary,
            workload=Workload(**{"target": TARGET, "canary": "parked", **fields}),
            exposure=self.exposure,
            routes=Routes(primary=100 - weight, canary=weight),
            version=str(next(self.versions)),
            **own,
        )

    async def send(self, intent: Intent) -> None:
        self.sent = intent
        await self.bus.publish(intent)

    async def settled(self, intent: Intent) -> RoutesObserved:
        await self.send(intent)
        return await self.until(lambda news: news.settled, "settled")

    async def until(self, condition: Callable[[RoutesObserved], bool], what: str) -> RoutesObserved:
        """The first news about the newest intent of which the condition is true."""

        async def probe() -> bool:
            return any(condition(news) for news in self.news())

        try:
            await eventually(probe, what, BOUND_S)
        except TimeoutError as error:
            raise AssertionError(f"{error}; last news: {self.news()[-1:]}") from None
        return next(news for news in self.news() if condition(news))

    def news(self) -> list[RoutesObserved]:
        assert self.sent is not None
        told = self.broker.messages(RoutesObserved)
        return [news for news in told if news.intent == self.sent.id]

    async def get(self, kind: str, name: str) -> Obj:
        return await self.kube.get(VERSIONS.get(kind, "v1"), kind, self.namespace, name)

    async def patch(self, kind: str, name: str, patch: Any, subresource: str = "") -> Obj:
        return await self.kube.patch(
            VERSIONS.get(kind, "v1"), kind, self.namespace, name, patch, subresource
        )

    async def push(self, image: str) -> str:
        """A new version of the target; its revision."""
        path = "/spec/template/spec/containers/0/image"
        found = await self.patch(
            "Deployment", "web", [{"op": "replace", "path": path, "value": image}]
        )
        return template_hash(found["spec"]["template"])

    async def weights(self) -> list[tuple[str, int]]:
        """What the TraefikService says."""
        found = await self.get("TraefikService", "web")
        return [(s["name"], s["weight"]) for s in found["spec"]["weighted"]["services"]]

    def asked(self, plane: ControlPlane, resource: str, since: int = 0) -> list[Request]:
        """What the router asked about this resource here."""
        asked = (
            one for one in plane.requests("router", since) if one.object_ref.resource == resource
        )
        return [one for one in asked if one.object_ref.namespace == self.namespace]

    async def replicas(self, name: str) -> int:
        found = await self.get("Deployment", name)
        return int(found["spec"]["replicas"])


@asynccontextmanager
async def running(plane: ControlPlane, bench: Bench) -> AsyncIterator[None]:
    """The router as a service, on the bench's bus."""
    settings = Settings(
        kubeconfig=str(plane.kubeconfig("router")),
        namespace=bench.namespace,
        listen="",
        settle_s=SETTLE_S,
    )
    stop = asyncio.Event()
    bus = MemoryBus(bench.broker, "router")
    task = asyncio.create_task(serve(service, settings, bus=bus, stop=stop))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.fixture
async def bench(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> AsyncIterator[Bench]:
    """A fresh canary on Traefik."""
    made = Bench(kube, namespace, "traefik")
    await made.set_up()
    async with running(control_plane, made):
        yield made


def a_deployment(image: str = "example.test/web:1", **spec: Any) -> Obj:
    labels = {"app": "web"}
    container = {"name": "web", "image": image, "ports": [{"containerPort": 8080}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": labels, "annotations": {"note": "n"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def a_canary(provider: str) -> Obj:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "web"},
        "spec": {
            "provider": provider,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": {"port": 80},
            "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 20},
        },
    }


async def test_initialising_makes_the_primary_serve_and_parks_the_target(bench: Bench) -> None:
    news = await bench.settled(bench.intent())

    assert (100, 0) == (news.primary_weight, news.canary_weight)
    primary = await bench.get("Deployment", "web-primary")
    assert 2 == primary["status"]["availableReplicas"]
    assert "n" == primary["metadata"]["annotations"]["note"]
    assert 0 == await bench.replicas("web")
    assert {"app": "web-primary"} == (await bench.get("Service", "web"))["spec"]["selector"]
    assert {"app": "web"} == (await bench.get("Service", "web-canary"))["spec"]["selector"]
    assert [("web-primary", 100)] == await bench.weights()


async def test_a_release_of_three_steps_costs_seven_writes_and_a_look_for_addresses(
    bench: Bench, control_plane: ControlPlane
) -> None:
    """Scale up, three steps, promotion, routes back, scale down: each one write, and nothing read
    but the EndpointSlices before the first step, until all pods are there."""
    await bench.settled(bench.intent())
    revision = await bench.push("example.test/web:2")
    before = len(control_plane.requests("router"))

    for weight in (0, 20, 40, 60):
        await bench.settled(bench.intent(weight=weight, canary="running", _revision=revision))
    await bench.settled(
        bench.intent(weight=60, canary="running", promote=True, _revision=revision, _configs={})
    )
    await bench.settled(bench.intent(canary="running", _revision=revision))
    news = await bench.settled(bench.intent(_revision=revision))

    asked = control_plane.requests("router")[before:]
    said = [(r.verb, r.object_ref.resource, r.response_status.code) for r in asked]
    looks = said.count(("list", "endpointslices", 200))
    assert 1 <= looks <= 3, said
    assert ["patch", *["list"] * looks, *["patch"] * 6] == [verb for verb, _, _ in said], said
    assert revision == news.primary_revision
    primary = await bench.get("Deployment", "web-primary")
    container = primary["spec"]["template"]["spec"]["containers"][0]
    assert "example.test/web:2" == container["image"]
    assert 0 == await bench.replicas("web")
    assert [("web-primary", 100)] == await bench.weights()


async def test_a_baseline_serves_beside_the_primary_and_goes_after_the_requests(
    bench: Bench,
) -> None:
    """A real API server keeps the template as it was sent: a baseline that is there is no work."""
    await bench.settled(bench.intent())
    revision = await bench.push("example.test/web:2")
    wanted = {"canary": "running", "baseline": True, "_revision": revision}
    await bench.settled(bench.intent(**wanted))

    baseline = await bench.get("Deployment", "web-baseline")
    pods = baseline["spec"]["template"]
    assert "example.test/web:1" == pods["spec"]["containers"][0]["image"]
    hook = pods["spec"]["containers"][0]["lifecycle"]["preStop"]
    assert {"sleep": {"seconds": 1}} == hook
    selected = (await bench.get("Service", "web-primary"))["spec"]["selector"]
    assert selected.items() <= pods["metadata"]["labels"].items()
    assert 2 == await bench.replicas("web-baseline")

    await bench.settled(bench.intent(weight=20, **wanted))
    after = await bench.get("Deployment", "web-baseline")
    assert baseline["metadata"]["generation"] == after["metadata"]["generation"]
    assert 2 == await bench.replicas("web-primary")

    await bench.settled(bench.intent(_revision=revision))
    assert [("web-primary", 100)] == await bench.weights()
    with pytest.raises(ApiError, match="web-baseline"):
        await bench.get("Deployment", "web-baseline")


async def test_an_edited_route_gets_its_explicit_weights_back(bench: Bench) -> None:
    await bench.settled(bench.intent())
    revision = await bench.push("example.test/web:2")
    await bench.settled(bench.intent(weight=20, canary="running", _revision=revision))

    found = await bench.get("TraefikService", "web")
    services = found["spec"]["weighted"]["services"]
    services[0]["weight"], services[1]["weight"] = 100, 0
    spec = {"weighted": {"services": services, "sticky": {"cookie": {"name": "mine"}}}}
    await bench.patch("TraefikService", "web", {"spec": spec})

    async def repaired() -> bool:
        return [("web-primary", 80), ("web-canary", 20)] == await bench.weights()

    await eventually(repaired, "weights 80/20 again", BOUND_S)
    weighted = (await bench.get("TraefikService", "web"))["spec"]["weighted"]
    assert {"cookie": {"name": "mine"}} == weighted["sticky"]


async def test_a_revision_that_was_not_analysed_is_not_promoted(bench: Bench) -> None:
    await bench.settled(bench.intent())
    analysed = await bench.push("example.test/web:2")
    await bench.settled(bench.intent(weight=20, canary="running", _revision=analysed))
    await bench.push("example.test/web:3")

    await bench.send(bench.intent(weight=20, canary="running", promote=True, _revision=analysed))
    news = await bench.until(
        lambda told: bool(told.refused) or told.primary_revision == analysed, "refused"
    )
    primary = await bench.get("Deployment", "web-primary")
    container = primary["spec"]["template"]["spec"]["containers"][0]

    # On a busy machine the watch may bring the push after the intent: then it is not there yet.
    if not news.refused:
        assert "example.test/web:2" == container["image"]
        return
    assert "Diverged" == news.refused
    assert ["Diverged"] == [f.reason for f in bench.broker.messages(IntentRefused)]
    assert "example.test/web:1" == container["image"]


async def test_the_canary_gets_no_share_before_it_is_ready(bench: Bench, kubelet: Kubelet) -> None:
    await bench.settled(bench.intent())
    kubelet.set_rules(bench.namespace, [Rule(image="web:2")])
    revision = await bench.push("example.test/web:2")

    await bench.send(bench.intent(weight=20, canary="running", _revision=revision))
    await bench.until(lambda news: "not ready" in news.waiting, "waiting for the canary")
    assert [("web-primary", 100)] == await bench.weights()

    kubelet.set_rules(bench.namespace, [])
    await bench.until(lambda news: news.settled, "settled")
    assert [("web-primary", 80), ("web-canary", 20)] == await bench.weights()


async def test_the_first_share_waits_until_the_addresses_of_its_pods_are_announced(
    bench: Bench, kubelet: Kubelet, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Deployment says that its pods are ready before their EndpointSlices do."""
    monkeypatch.setattr(capacity, "LONGEST_S", BOUND_S)
    await bench.settled(bench.intent())
    kubelet.set_rules(bench.namespace, [Rule(image="web:2")])
    revision = await bench.push("example.test/web:2")
    await bench.send(bench.intent(weight=20, canary="running", _revision=revision))
    await bench.until(lambda news: "are available" in news.waiting, "waiting for the pods")
    since = control_plane.audit_log.stat().st_size

    async def was_asked_again() -> bool:
        return len(bench.asked(control_plane, "endpointslices", since)) >= 3

    manager = control_plane.child("kube-controller-manager")
    manager.pause()
    try:
        ready = {"status": {"readyReplicas": 2, "availableReplicas": 2}}
        await bench.patch("Deployment", "web", ready, "/status")
        await eventually(was_asked_again, "addresses were asked for again", BOUND_S)
        assert [("web-primary", 100)] == await bench.weights()
        kubelet.set_rules(bench.namespace, [])
    finally:
        manager.resume()
    await bench.until(lambda news: news.settled, "settled")

    slices = await bench.kube.list("discovery.k8s.io/v1", "EndpointSlice", bench.namespace)
    label = "kubernetes.io/service-name"
    (of_canary,) = [one for one in slices if one["metadata"]["labels"][label] == "web-canary"]
    assert [True, True] == [one["conditions"]["ready"] for one in of_canary["endpoints"]]
    route = await bench.get("TraefikService", "web")
    versions = [int(one["metadata"]["resourceVersion"]) for one in (of_canary, route)]
    assert versions == sorted(versions), "the share came before the addresses"


async def test_configs_are_copied_at_first_and_once_more_when_they_changed(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    """One changed config costs one read and one write more."""
    bench = Bench(kube, namespace, "kubernetes")
    deployment = a_deployment()
    pods = deployment["spec"]["template"]["spec"]
    pods["containers"][0]["envFrom"] = [
        {"configMapRef": {"name": "settings"}},
        {"secretRef": {"name": "creds"}},
    ]
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    await kube.apply({**settings, "data": {"a": "1", "b": "1"}}, namespace)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "creds"}}
    await kube.apply({**secret, "stringData": {"password": "x"}}, namespace)
    await bench.set_up(deployment)

    async with running(control_plane, bench):
        await bench.settled(bench.intent())
        primary = await bench.get("Deployment", "web-primary")
        used = primary["spec"]["template"]["spec"]["containers"][0]["envFrom"]
        names = [next(iter(source.values()))["name"] for source in used]
        assert ["settings-primary", "creds-primary"] == names

        await kube.patch("v1", "ConfigMap", namespace, "settings", {"data": {"a": "2", "b": None}})
        target = await bench.get("Deployment", "web")
        revision = template_hash(target["spec"]["template"])
        configs = {
            "configmap/settings": checksum(await bench.get("ConfigMap", "settings")),
            "secret/creds": checksum(await bench.get("Secret", "creds")),
        }
        wanted = {"canary": "running", "_revision": revision, "_configs": configs}
        await bench.settled(bench.intent(**wanted))
        before = len(control_plane.requests("router"))
        await bench.settled(bench.intent(promote=True, **wanted))

        asked = [(r.verb, r.object_ref.resource) for r in control_plane.requests("router")[before:]]
        assert [("get", "configmaps"), ("patch", "configmaps"), ("patch", "deployments")] == asked
        copied = await bench.get("ConfigMap", "settings-primary")
        assert {"a": "2"} == copied["data"]


async def test_a_route_counts_when_its_gateway_has_accepted_it(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    bench = Bench(kube, namespace, "gatewayapi:v1")
    await bench.set_up()

    async def report(generation: int) -> None:
        """What a gateway's controller says."""
        accepted = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "observedGeneration": generation,
            "lastTransitionTime": "2027-01-15T08:00:00Z",
        }
        parent = {
            "parentRef": {"name": "gateway", "namespace": "ingress"},
            "controllerName": "example.test/gateway",
            "conditions": [accepted],
        }
        status = {"status": {"parents": [parent]}}
        await bench.patch("HTTPRoute", "web", status, subresource="/status")

    async with running(control_plane, bench):
        await bench.settled(bench.intent())
        await report(1)
        revision = await bench.push("example.test/web:2")
        await bench.send(bench.intent(weight=20, canary="running", _revision=revision))

        text = (
            f"HTTPRoute web.{namespace} parent gateway is not ready "
            "(status: True, observed generation: 1, current generation: 2)"
        )
        news = await bench.until(lambda told: told.waiting == text, text)
        assert 20 == news.canary_weight
        assert not news.settled
        await report(2)
        await bench.until(lambda told: told.settled, "settled")


async def test_a_deleted_canary_is_not_made_again(bench: Bench, kube: Kube) -> None:
    """Its intent outlives it on the bus; what is collected must stay so."""
    await bench.settled(bench.intent())

    await kube.delete(VERSIONS["Canary"], "Canary", bench.namespace, "web")

    async def collected() -> bool:
        gone = [
            await kube.find(VERSIONS[kind], kind, bench.namespace, name)
            for kind, name in (("Deployment", "web-primary"), ("TraefikService", "web"))
        ]
        return gone == [None, None]

    await eventually(collected, "everything is collected", BOUND_S)
    assert await kube.find("v1", "Service", bench.namespace, "web-primary") is None

    async def has_pods() -> bool:
        return await bench.replicas("web") > 0

    await eventually(has_pods, "the target has its pods back", BOUND_S)


async def test_releasing_hands_the_users_service_back(bench: Bench, kube: Kube) -> None:
    """The target runs at the primary's size before the Service that the user made selects it."""
    port = {"name": "http", "port": 80, "targetPort": 8080}
    mine = {"selector": {"app": "web"}, "ports": [port]}
    await kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "labels": {"mine": "yes"}},
            "spec": mine,
        },
        bench.namespace,
    )
    await bench.settled(bench.intent())
    taken = await bench.get("Service", "web")
    assert {"app": "web-primary"} == taken["spec"]["selector"]
    assert {"mine": "yes"} == taken["metadata"]["labels"]

    await bench.settled(bench.intent(_release=True))

    assert {"app": "web"} == (await bench.get("Service", "web"))["spec"]["selector"]
    assert 2 == (await bench.get("Deployment", "web"))["status"]["availableReplicas"]


async def test_a_primary_of_flagger_is_adopted_without_a_rollout(bench: Bench, kube: Kube) -> None:
    """Only our note is added: the pods are not touched (reference 11.5)."""
    theirs = a_deployment()
    theirs["metadata"] |= {"name": "web-primary", "labels": {"app": "web-primary"}}
    theirs["metadata"]["ownerReferences"] = [
        {
            "apiVersion": VERSIONS["Canary"],
            "kind": "Canary",
            "name": "web",
            "uid": bench.canary.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    theirs["spec"]["selector"] = {"matchLabels": {"app": "web-primary"}}
    theirs["spec"]["template"]["metadata"] = {
        "labels": {"app": "web-primary"},
        "annotations": {"flagger-id": "d9a9c9a8-0000-4000-8000-000000000000"},
    }
    made = await kube.apply(theirs, bench.namespace)

    await bench.settled(bench.intent())

    found = await bench.get("Deployment", "web-primary")
    assert made["spec"] == found["spec"]
    target = await bench.get("Deployment", "web")
    revision = template_hash(target["spec"]["template"])
    assert revision == found["metadata"]["annotations"][PROMOTED_REVISION]


async def test_somebody_elses_route_is_not_touched(bench: Bench, kube: Kube) -> None:
    owner = await kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "boss"}}, bench.namespace
    )
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "boss",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    spec = {"weighted": {"services": [{"name": "other", "port": 80, "weight": 1}]}}
    await kube.apply(
        {
            "apiVersion": VERSIONS["TraefikService"],
            "kind": "TraefikService",
            "metadata": {"name": "web", "ownerReferences": [reference]},
            "spec": spec,
        },
        bench.namespace,
    )

    await bench.send(bench.intent())
    news = await bench.until(lambda told: bool(told.refused), "refused")

    assert "Foreign" == news.refused
    assert "belongs to ConfigMap boss" in news.error
    assert [("other", 1)] == await bench.weights()
    assert await kube.find("apps/v1", "Deployment", bench.namespace, "web-primary") is None


def a_service(version: str) -> Obj:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"selector": {"version": version}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


async def test_a_service_of_its_own_address_is_released_by_copies(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    """11.3 no. 32: a target of type ClusterIP never initialised."""
    bench = Bench(kube, namespace, "traefik")
    await bench.set_up(a_service("v1"))
    target = ObjectRef(api_version="v1", kind="Service", name="web")

    async def leads(name: str) -> tuple[str, str]:
        spec = (await bench.get("Service", name))["spec"]
        return spec["selector"]["version"], spec["clusterIP"]

    async with running(control_plane, bench):
        await bench.settled(bench.intent(target=target))
        _, address = await leads("web-primary")
        await kube.apply(a_service("v2"), namespace)
        found = await bench.get("Service", "web")
        revision = template_hash(revised(found), kind="Service")
        step = {"target": target, "canary": "running", "_revision": revision}
        await bench.settled(bench.intent(**step))
        await bench.settled(bench.intent(weight=50, **step))
        assert ("v1", address) == await leads("web-primary")
        assert "v2" == (await leads("web-canary"))[0]

        await bench.settled(bench.intent(weight=50, promote=True, **step))

    assert ("v2", address) == await leads("web-primary")
    assert [("web-primary", 50), ("web-canary", 50)] == await bench.weights()
    assert found["spec"] == (await bench.get("Service", "web"))["spec"]


async def test_copies_that_are_used_no_more_are_deleted_or_given_up(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    bench = Bench(kube, namespace, "kubernetes")
    deployment = a_deployment()
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["envFrom"] = [{"configMapRef": {"name": name}} for name in ("own", "shared")]
    for name in ("own", "shared"):
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        await kube.apply({**config, "data": {"a": "1"}}, namespace)
    await bench.set_up(deployment)
    async with running(control_plane, bench):
        await bench.settled(bench.intent())
        # One that exists: of an owner that does not, the garbage collector would take the copy.
        uid = (await bench.get("ConfigMap", "shared"))["metadata"]["uid"]
        other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "shared", "uid": uid}
        copy = await bench.get("ConfigMap", "shared-primary")
        owners = [*copy["metadata"]["ownerReferences"], other]
        await bench.patch("ConfigMap", "shared-primary", {"metadata": {"ownerReferences": owners}})
        del container["envFrom"]
        found = await kube.apply(a_deployment("example.test/web:2"), namespace)
        revision = template_hash(found["spec"]["template"])
        step = {"canary": "running", "_revision": revision, "_configs": {}}
        await bench.settled(bench.intent(promote=True, **step))
        assert await bench.get("ConfigMap", "own-primary")

        await bench.settled(bench.intent(_revision=revision, _configs={}))

    left = await bench.get("ConfigMap", "shared-primary")
    assert [uid] == [owner["uid"] for owner in left["metadata"]["ownerReferences"]]
    with pytest.raises(ApiError, match="own-primary"):
        await bench.get("ConfigMap", "own-primary")


async def test_an_undo_finds_what_the_primary_ran_in_its_replica_sets(bench: Bench) -> None:
    """As the real controller keeps it, with all the defaults of the real API server."""
    first = template_hash((await bench.get("Deployment", "web"))["spec"]["template"])
    await bench.settled(bench.intent(_revision=first))
    before = (await bench.get("Deployment", "web-primary"))["spec"]["template"]
    for image in ("example.test/web:2", "example.test/web:3"):
        pushed = await bench.push(image)
        await bench.settled(bench.intent(canary="running", promote=True, _revision=pushed))
    await bench.settled(bench.intent(_revision=pushed))
    await bench.patch("Deployment", "web-primary", {"spec": {"replicas": 3}})

    undo = Undo(revision=first, configs={})
    await bench.settled(bench.intent(undo=undo, _revision=pushed))

    primary = await bench.get("Deployment", "web-primary")
    assert before == primary["spec"]["template"]
    assert first == primary["metadata"]["annotations"][PROMOTED_REVISION]
    assert (3, 3) == (primary["spec"]["replicas"], primary["status"]["updatedReplicas"])
    target = await bench.get("Deployment", "web")
    assert pushed == template_hash(target["spec"]["template"])


async def test_an_undo_finds_what_a_daemon_set_ran_in_its_controller_revisions(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    bench = Bench(kube, namespace, "traefik")
    daemon_set = a_deployment()
    del daemon_set["spec"]["replicas"]
    await bench.set_up({**daemon_set, "kind": "DaemonSet"})
    target = ObjectRef(api_version="apps/v1", kind="DaemonSet", name="web")
    found = await bench.get("DaemonSet", "web")
    first = template_hash(found["spec"]["template"], kind="DaemonSet")
    async with running(control_plane, bench):
        await bench.settled(bench.intent(target=target, _revision=first))
        path = "/spec/template/spec/containers/0/image"
        patch = [{"op": "replace", "path": path, "value": "example.test/web:2"}]
        found = await bench.patch("DaemonSet", "web", patch)
        second = template_hash(found["spec"]["template"], kind="DaemonSet")
        fields: dict[str, Any] = {"target": target, "_revision": second}
        await bench.settled(bench.intent(canary="running", promote=True, **fields))

        undo = Undo(revision=first, configs={})
        await bench.settled(bench.intent(undo=undo, **fields))

    primary = await bench.get("DaemonSet", "web-primary")
    (container,) = primary["spec"]["template"]["spec"]["containers"]
    assert "example.test/web:1" == container["image"]
