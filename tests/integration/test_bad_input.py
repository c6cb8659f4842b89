"""Manifests that cannot work, and messages that are none: traffic stays, and it says what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import nats
import pytest
import pytest_asyncio
from tests.ring import Ring
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import ApiError, Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.nats import NatsServer, nats_server
from tests.servers.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOUND_S = 60.0
CANARY = ("flagger.app/v1beta1", "Canary")
WATCHED = (
    ("apps/v1", "Deployment"),
    ("v1", "Service"),
    ("traefik.io/v1alpha1", "TraefikService"),
)
SETTINGS = {"SERINUS_MIN_INTERVAL_S": "0.1", "SERINUS_SETTLE_S": "0.2"}


class Shop:
    """One namespace with a service and, mostly, its canary."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace

    async def status(self, name: str = "web") -> Obj:
        return dict((await self.kube.get(*CANARY, self.namespace, name)).get("status") or {})

    async def reaches(self, phase: str) -> None:
        async def reached() -> bool:
            return (await self.status()).get("phase") == phase

        await eventually(reached, f"phase {phase}", BOUND_S)

    async def complains(self, path: str, cure: str, name: str = "web") -> None:
        """The condition and an Event name the field's path and the cure."""

        async def in_status() -> bool:
            conditions = (await self.status(name)).get("conditions") or []
            return any(
                one["type"] == "Stalled" and one["status"] == "True" and _says(one["message"])
                for one in conditions
            )

        async def in_an_event() -> bool:
            events = await self.kube.list("v1", "Event", self.namespace)
            return any(
                one["type"] == "Warning"
                and one["involvedObject"]["name"] == name
                and _says(one["message"])
                for one in events
            )

        def _says(text: str) -> bool:
            return path in text and cure in text

        try:
            await eventually(in_status, f"a condition says {path} and {cure}", BOUND_S)
        except TimeoutError as error:
            raise AssertionError(f"{error}; {name} is {await self.status(name)}") from None
        await eventually(in_an_event, f"an Event says {path} and {cure}", BOUND_S)

    async def traffic(self) -> dict[str, Any]:
        """Everything that decides where requests go and who answers them."""
        return {
            f"{kind}/{item['metadata']['name']}": item["spec"]
            for api_version, kind in WATCHED
            for item in await self.kube.list(api_version, kind, self.namespace)
        }


class Bench:
    def __init__(self, kube: Kube, ring: Ring, server: NatsServer) -> None:
        self.kube = kube
        self.ring = ring
        self.server = server

    async def shop(self, name: str) -> Shop:
        """A namespace with a Deployment, and the Service that its users know."""
        await self.kube.namespace(name)
        await self.kube.apply(a_deployment(), name)
        await self.kube.apply(a_service(), name)
        return Shop(self.kube, name)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bench(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """The whole ring, of which every case uses a namespace."""
    control_plane.install_crds(crds.of_mesh("contour"))
    with nats_server(tmp_path_factory.mktemp("bad-input")) as server:
        async with (
            Kube(control_plane.kubeconfig()) as kube,
            Kube(control_plane.kubeconfig("kubelet")) as node,
            Kubelet(node, ready_after_s=0.1),
            Ring(kubeconfig=control_plane.kubeconfig, nats=server.url, settings=SETTINGS) as ring,
        ):
            yield Bench(kube, ring, server)


def a_deployment(image: str = "example.test/web:1", label: str = "app") -> Obj:
    labels = {label: "web"}
    container = {"name": "web", "image": image, "ports": [{"containerPort": 8080}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def a_service() -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def a_canary(name: str = "web") -> Obj:
    return {
        "apiVersion": CANARY[0],
        "kind": CANARY[1],
        "metadata": {"name": name},
        "spec": {
            "provider": "traefik",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 20, "maxWeight": 40},
        },
    }


def a_template(query: str) -> Obj:
    return {
        "apiVersion": CANARY[0],
        "kind": "MetricTemplate",
        "metadata": {"name": "errors"},
        "spec": {
            "provider": {"type": "prometheus", "address": "http://127.0.0.1:9"},
            "query": query,
        },
    }


Edit = Callable[[Obj], None]


def setting(path: str, value: Any) -> Edit:
    def edit(canary: Obj) -> None:
        *way, last = path.split(".")
        place = canary["spec"]
        for step in way:
            place = place[step]
        place[last] = value

    return edit


def without_steps(canary: Obj) -> None:
    canary["spec"]["analysis"] = {"interval": "10s"}


METRIC = {"name": "mine", "interval": "1m", "thresholdRange": {"max": 1}}
TEMPLATED = {**METRIC, "templateRef": {"name": "errors"}}
CASES: dict[str, tuple[Edit, str, str]] = {
    "no-port": (setting("service", {"port": 0}), "spec.service.port", "1 to 65535"),
    "no-steps": (without_steps, "spec.analysis", "stepWeight"),
    "no-target": (setting("targetRef.name", "wbe"), "spec.targetRef", "create the Deployment"),
    "no-query": (
        setting("analysis.metrics", [METRIC]),
        "spec.analysis.metrics[0]",
        "add a templateRef",
    ),
    "no-rendering": (
        setting("analysis.metrics", [TEMPLATED]),
        "spec.analysis.metrics[0].templateRef",
        "correct the query",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_at_first_contact_nothing_is_touched(bench: Bench, case: str) -> None:
    edit, path, cure = CASES[case]
    shop = await bench.shop(f"first-{case}")
    before = await shop.traffic()
    await bench.kube.apply(a_template("up{ {{ nobody }} }"), shop.namespace)
    canary = a_canary()
    edit(canary)

    await bench.kube.apply(canary, shop.namespace)

    await shop.complains(path, cure)
    assert before == await shop.traffic()


@pytest.mark.parametrize("case", CASES)
async def test_a_canary_at_rest_stays_as_it_is_and_releases_nothing(
    bench: Bench, case: str
) -> None:
    edit, path, cure = CASES[case]
    shop = await bench.shop(f"later-{case}")
    await bench.kube.apply(a_template("up{ {{ nobody }} }"), shop.namespace)
    await bench.kube.apply(a_canary(), shop.namespace)
    await shop.reaches("Initialized")
    await parked(shop)
    before = await shop.traffic()
    canary = a_canary()
    edit(canary)

    # All at once: the whole new spec and the new version.
    live = await bench.kube.get(*CANARY, shop.namespace, "web")
    spec = [{"op": "replace", "path": "/spec", "value": {**live["spec"], **canary["spec"]}}]
    await bench.kube.patch(*CANARY, shop.namespace, "web", spec)
    await shop.complains(path, cure)
    image = [
        {
            "op": "replace",
            "path": "/spec/template/spec/containers/0/image",
            "value": "example.test/web:2",
        }
    ]
    await bench.kube.patch("apps/v1", "Deployment", shop.namespace, "web", image)
    probe = a_canary("probe")
    probe["spec"]["targetRef"] = canary["spec"]["targetRef"]
    await bench.kube.apply(probe, shop.namespace)
    await shop.complains("spec.targetRef", "delete one", "probe")  # so all has been seen

    after = await shop.traffic()
    before["Deployment/web"]["template"] = after["Deployment/web"]["template"]
    assert before == after
    assert "Initialized" == (await shop.status())["phase"]

    mended = [{"op": "replace", "path": "/spec", "value": a_canary()["spec"]}]
    await bench.kube.patch(*CANARY, shop.namespace, "web", mended)
    await shop.reaches("Progressing")


async def parked(shop: Shop) -> None:
    async def is_so() -> bool:
        found = await shop.kube.get("apps/v1", "Deployment", shop.namespace, "web")
        return bool(found["spec"]["replicas"] == 0)

    await eventually(is_so, "the target is parked", BOUND_S)


def an_ingress(*rules: Obj) -> Obj:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "public"},
        "spec": {"rules": list(rules)},
    }


def a_route(api_version: str, kind: str, **spec: Any) -> Obj:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "public"}, "spec": spec}


HOST_ONLY = {"host": "a.test"}
TO_OTHER = {
    "host": "a.test",
    "http": {
        "paths": [
            {
                "path": "/",
                "pathType": "Prefix",
                "backend": {"service": {"name": "other", "port": {"number": 80}}},
            }
        ]
    },
}
TRAEFIK, GATEWAY, CONTOUR = (
    "traefik.io/v1alpha1",
    "gateway.networking.k8s.io/v1",
    "projectcontour.io/v1",
)
# Provider, the field that names the object, the object, what is said about it.
UNFIT: dict[str, tuple[str, str, Obj | None, str]] = {
    "nginx-host-only": ("nginx", "ingressRef", an_ingress(HOST_ONLY), "backend web not found"),
    "nginx-other": ("nginx", "routeRef", an_ingress(TO_OTHER), "backend web not found"),
    "nginx-missing": ("nginx", "ingressRef", None, "ingress public"),
    "skipper-host-only": ("skipper", "routeRef", an_ingress(HOST_ONLY), "backend web not found"),
    "skipper-other": ("skipper", "ingressRef", an_ingress(TO_OTHER), "backend web not found"),
    "traefik-host-only": ("traefik", "routeRef", an_ingress(HOST_ONLY), "backend web not found"),
    "traefik-no-routes": (
        "traefik",
        "routeRef",
        a_route(TRAEFIK, "IngressRoute", routes=[]),
        "backend web not found",
    ),
    "gateway-no-backends": (
        "gatewayapi:v1",
        "routeRef",
        a_route(GATEWAY, "HTTPRoute", rules=[{}]),
        "backend web not found",
    ),
    "contour-no-routes": (
        "contour",
        "routeRef",
        a_route(CONTOUR, "HTTPProxy", virtualhost={"fqdn": "a.test"}),
        "backend web not found",
    ),
    "contour-kind": ("contour", "routeRef", an_ingress(TO_OTHER), "names a HTTPProxy"),
}


@pytest.mark.parametrize("case", UNFIT)
async def test_a_route_that_does_not_fit_is_said_and_left_alone(bench: Bench, case: str) -> None:
    provider, field, route, why = UNFIT[case]
    shop = await bench.shop(f"unfit-{case}")
    kind = route["kind"] if route else "Ingress"
    version = route["apiVersion"] if route else "networking.k8s.io/v1"
    if route is not None:
        await bench.kube.apply(route, shop.namespace)
    before = await bench.kube.find(version, kind, shop.namespace, "public")
    canary = a_canary()
    ref = {"apiVersion": version, "kind": kind, "name": "public"}
    canary["spec"] |= {"provider": provider, field: ref}

    await bench.kube.apply(canary, shop.namespace)

    await shop.complains(f"spec.{field}", "name another")
    (stalled,) = (c for c in (await shop.status())["conditions"] if c["type"] == "Stalled")
    assert why in stalled["message"]
    assert before == await bench.kube.find(version, kind, shop.namespace, "public")
    assert [] == [
        obj
        for obj in await bench.kube.list(version, kind, shop.namespace)
        if obj["metadata"]["name"] != "public"
    ]


async def test_a_route_object_of_another_canary_is_left_to_it(bench: Bench) -> None:
    """Both name one Ingress, and nginx has a place for one canary of it."""
    shop = await bench.shop("shared-ingress")
    paths = [
        {
            "path": f"/{name}",
            "pathType": "Prefix",
            "backend": {"service": {"name": name, "port": {"number": 80}}},
        }
        for name in ("web", "too")
    ]
    await bench.kube.apply(an_ingress({"host": "a.test", "http": {"paths": paths}}), shop.namespace)
    ref = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "public"}
    first = a_canary()
    first["spec"] |= {"provider": "nginx", "ingressRef": ref}
    await bench.kube.apply(first, shop.namespace)
    await shop.reaches("Initialized")
    await parked(shop)
    ours = await bench.kube.get("networking.k8s.io/v1", "Ingress", shop.namespace, "public-canary")

    deployment = a_deployment()
    deployment["metadata"]["name"] = "too"
    deployment["spec"]["selector"] = {"matchLabels": {"app": "too"}}
    deployment["spec"]["template"]["metadata"]["labels"] = {"app": "too"}
    await bench.kube.apply(deployment, shop.namespace)
    second = a_canary("too")
    second["spec"] |= {"provider": "nginx", "ingressRef": ref}
    second["spec"]["targetRef"]["name"] = "too"
    await bench.kube.apply(second, shop.namespace)

    await shop.complains("spec.service.name", "choose a name that is free", "too")
    left = await bench.kube.get("networking.k8s.io/v1", "Ingress", shop.namespace, "public-canary")
    assert ours == left


async def test_a_target_without_a_label_to_tell_pods_by_is_left_alone(bench: Bench) -> None:
    namespace = await bench.kube.namespace("no-label")
    await bench.kube.apply(a_deployment(label="tier"), namespace)
    await bench.kube.apply(a_canary(), namespace)
    shop = Shop(bench.kube, namespace)

    await shop.complains("spec.targetRef", "add one of these labels")
    assert ["Deployment/web"] == list(await shop.traffic())


async def test_of_two_canaries_on_one_target_the_older_goes_on(bench: Bench) -> None:
    shop = await bench.shop("two")
    await bench.kube.apply(a_canary(), shop.namespace)
    await shop.reaches("Initialized")
    await parked(shop)
    before = await shop.traffic()
    second = a_canary("web-too")
    second["spec"]["service"]["name"] = "web-too"

    await bench.kube.apply(second, shop.namespace)

    await shop.complains("spec.targetRef", "delete one of the canaries", "web-too")
    assert before == await shop.traffic()
    assert "Initialized" == (await shop.status())["phase"]


@pytest.mark.parametrize(
    ("edit", "path", "cure"),
    [
        (setting("provider", "istoi"), "spec.provider", 'supported values: "", "apisix"'),
        (setting("service", {"targetPort": 8080}), "spec.service.port", "Required"),
        (setting("targetRef", {"kind": "Deployment"}), "spec.targetRef.name", "Required"),
    ],
)
async def test_what_the_definition_forbids_the_api_server_refuses(
    bench: Bench, edit: Edit, path: str, cure: str
) -> None:
    canary = a_canary()
    edit(canary)

    with pytest.raises(ApiError) as error:
        await bench.kube.apply(canary, "default")

    assert 422 == error.value.status
    assert path in str(error.value)
    assert cure in str(error.value)


async def test_messages_that_are_none_are_parked_and_stop_nobody(bench: Bench) -> None:
    shop = await bench.shop("garbage")
    client = await nats.connect(bench.server.url)
    try:
        jetstream = client.jetstream()
        for subject in (
            "serinus.snapshot.canary.garbage.web",
            "serinus.snapshot.routes.garbage.web",
            "serinus.intent.cluster.garbage.web",
            "serinus.fact.rollout.started.garbage.web",
        ):
            await jetstream.publish(subject, b"{not json")
            await jetstream.publish(subject, msgspec.json.encode({"type": "from.elsewhere.v9"}))

        await bench.kube.apply(a_canary(), shop.namespace)
        await shop.reaches("Initialized")

        async def all_parked() -> bool:
            texts = [await bench.ring.metrics(name) for name in PARKING]
            return all('reason="undecodable"' in text for text in texts)

        await eventually(all_parked, "each follower counts what it parked", BOUND_S)
        for name in PARKING:
            note = await jetstream.get_last_msg("FACTS", f"serinus.dead.{name}")
            assert "garbage" in msgspec.json.decode(note.data or b"{}")["subject"]
    finally:
        await client.close()


PARKING = ("analyzer", "router", "notifier")
