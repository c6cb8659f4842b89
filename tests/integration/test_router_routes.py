"""Routes of the user's on a real API server: taken over or shared, and given back exactly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from tests.integration.test_router import BOUND_S, Bench, running
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.waiting import eventually

from serinus.events import ObjectRef

HTTP_ROUTE = "gateway.networking.k8s.io/v1"
ISTIO = "networking.istio.io/v1beta1"
TRAEFIK = "traefik.io/v1alpha1"
CONTOUR = "projectcontour.io/v1"
INGRESS = "networking.k8s.io/v1"


@pytest.fixture(scope="module")
def istio(control_plane: ControlPlane) -> ControlPlane:
    """The API server with Istio's kinds."""
    control_plane.install_crds(crds.of_mesh("istio"))
    return control_plane


@pytest.fixture(scope="module")
def contour(control_plane: ControlPlane) -> ControlPlane:
    """The API server with Contour's kinds."""
    control_plane.install_crds(crds.of_mesh("contour"))
    return control_plane


class Routed:
    """A canary on a mesh and the user's route, which is there before it."""

    def __init__(self, bench: Bench, kube: Kube, route: Obj) -> None:
        self.bench = bench
        self._kube = kube
        self._route = route

    async def set_up(self, *, by_reference: bool) -> Obj:
        """The route as the API server stores it."""
        made = await self._kube.apply(self._route, self.bench.namespace)
        if by_reference:
            meta = self._route["metadata"]
            ref = ObjectRef(
                api_version=self._route["apiVersion"], kind=self._route["kind"], name=meta["name"]
            )
            self.bench.exposure = msgspec.structs.replace(self.bench.exposure, route=ref)
            if ref.kind == "Ingress":
                # As the analyzer does (`canary.ingress_of`).
                self.bench.exposure = msgspec.structs.replace(self.bench.exposure, ingress=ref)
        await self.bench.settled(self.bench.intent())
        return made

    async def step(self, weight: int) -> Obj:
        await self.bench.settled(self.bench.intent(weight=weight, canary="running"))
        return await self.get()

    async def release(self) -> None:
        await self.bench.settled(self.bench.intent(_release=True))

    async def get(self, name: str = "") -> Obj:
        found = await self.find(name)
        assert found is not None
        return found

    async def find(self, name: str = "") -> Obj | None:
        route = self._route
        name = name or route["metadata"]["name"]
        return await self._kube.find(route["apiVersion"], route["kind"], self.bench.namespace, name)

    async def patch(self, patch: Any) -> None:
        route = self._route
        await self._kube.patch(
            route["apiVersion"],
            route["kind"],
            self.bench.namespace,
            route["metadata"]["name"],
            patch,
        )


@asynccontextmanager
async def a_canary_on(
    mesh: str, route: Obj, kube: Kube, plane: ControlPlane, namespace: str
) -> AsyncIterator[Routed]:
    bench = Bench(kube, namespace, mesh)
    await bench.set_up()
    async with running(plane, bench):
        yield Routed(bench, kube, route)


def kept(obj: Obj) -> Obj:
    """What is the user's in an object."""
    meta = obj["metadata"]
    return {
        "labels": meta.get("labels"),
        "annotations": meta.get("annotations"),
        "spec": obj["spec"],
    }


async def test_a_virtual_service_is_taken_over_and_given_back(
    istio: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    """TRACE of reference 4.3: with labels and annotations, though applied over many times."""
    mine = {
        "apiVersion": ISTIO,
        "kind": "VirtualService",
        "metadata": {"name": "web", "labels": {"l": "1"}, "annotations": {"owner": "me"}},
        "spec": {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]},
    }
    async with a_canary_on("istio", mine, kube, istio, namespace) as routed:
        before = await routed.set_up(by_reference=False)
        for weight in (20, 40):
            found = await routed.step(weight)
        shares = [d["weight"] for d in found["spec"]["http"][0]["route"]]
        assert [60, 40] == shares

        await routed.release()

        assert kept(before) == kept(await routed.get())


async def test_a_route_is_shared_and_given_back_with_what_was_edited_meanwhile(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    backends = [{"name": "web", "port": 80, "weight": 3}, {"name": "other", "port": 80}]
    mine = {
        "apiVersion": HTTP_ROUTE,
        "kind": "HTTPRoute",
        "metadata": {"name": "public", "annotations": {"cert.test/arn": "x"}},
        "spec": {
            "parentRefs": [{"name": "gateway"}],
            "rules": [
                {"backendRefs": backends, "timeouts": {"request": "10s"}},
                {"backendRefs": [{"name": "web", "port": 80}]},
            ],
        },
    }
    async with a_canary_on("gatewayapi:v1", mine, kube, control_plane, namespace) as routed:
        before = await routed.set_up(by_reference=True)
        found = await routed.step(20)
        beside, alone = found["spec"]["rules"]
        assert [240, 60, 100] == [b["weight"] for b in beside["backendRefs"]]
        assert [80, 20] == [b["weight"] for b in alone["backendRefs"]]
        again = await routed.step(20)
        assert found["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]

        await routed.patch({"spec": {"hostnames": ["edited.test"]}})
        await routed.step(40)
        await routed.release()

        after = await routed.get()
        wanted = kept(before)
        wanted["spec"]["hostnames"] = ["edited.test"]
        assert wanted == kept(after)


async def test_an_ingress_route_is_never_written(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    mine = {
        "apiVersion": TRAEFIK,
        "kind": "IngressRoute",
        "metadata": {"name": "public"},
        "spec": {
            "entryPoints": ["web"],
            "routes": [
                {
                    "kind": "Rule",
                    "match": "Host(`a.test`)",
                    "services": [{"name": "web", "port": 80}],
                }
            ],
        },
    }
    async with a_canary_on("traefik", mine, kube, control_plane, namespace) as routed:
        before = await routed.set_up(by_reference=True)
        await routed.step(20)
        ours = await routed.get("public-web-canary")
        assert 15 == ours["spec"]["routes"][0]["priority"]

        await routed.release()

        async def is_gone() -> bool:
            return await routed.find("public-web-canary") is None

        await eventually(is_gone, "ours is gone", BOUND_S)
        assert before == await routed.get()


async def test_a_proxy_is_shared_and_given_back_byte_for_byte(
    contour: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    mine = {
        "apiVersion": CONTOUR,
        "kind": "HTTPProxy",
        "metadata": {"name": "public", "annotations": {"cert.test/arn": "x"}},
        "spec": {
            "virtualhost": {"fqdn": "a.test", "tls": {"secretName": "tls"}},
            "includes": [{"name": "child", "conditions": [{"prefix": "/child"}]}],
            "routes": [
                {
                    "conditions": [{"prefix": "/"}],
                    "services": [{"name": "web", "port": 80, "protocol": "h2c"}],
                    "timeoutPolicy": {"response": "3s"},
                },
                {
                    "conditions": [{"prefix": "/both"}],
                    "services": [{"name": "web", "port": 80}, {"name": "other", "port": 80}],
                },
            ],
        },
    }
    async with a_canary_on("contour", mine, kube, contour, namespace) as routed:
        before = await routed.set_up(by_reference=True)
        found = await routed.step(20)
        alone, beside = found["spec"]["routes"]
        assert [("h2c", 80), ("h2c", 20)] == [
            (s["protocol"], s["weight"]) for s in alone["services"]
        ]
        assert [80, 20, 100] == [s["weight"] for s in beside["services"]]
        again = await routed.step(20)
        assert found["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]

        await routed.release()

        assert kept(before) == kept(await routed.get())


@pytest.mark.parametrize(
    ("mesh", "ours"),
    [
        ("nginx", (INGRESS, "Ingress", "public-canary")),
        ("skipper", (INGRESS, "Ingress", "public-canary")),
        ("traefik", (TRAEFIK, "IngressRoute", "public-web-canary")),
    ],
)
async def test_an_ingress_is_never_written(
    mesh: str,
    ours: tuple[str, str, str],
    control_plane: ControlPlane,
    kube: Kube,
    kubelet: Kubelet,
    namespace: str,
) -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    mine = {
        "apiVersion": INGRESS,
        "kind": "Ingress",
        "metadata": {"name": "public"},
        "spec": {"rules": [{"host": "b.test"}, {"host": "a.test", "http": {"paths": paths}}]},
    }
    api_version, kind, name = ours
    async with a_canary_on(mesh, mine, kube, control_plane, namespace) as routed:
        before = await routed.set_up(by_reference=True)
        await routed.step(20)
        await routed.step(0)
        assert await kube.find(api_version, kind, namespace, name) is not None

        await routed.release()

        async def is_gone() -> bool:
            return await kube.find(api_version, kind, namespace, name) is None

        await eventually(is_gone, "ours is gone", BOUND_S)
        assert before == await routed.get()


async def test_a_manifest_that_is_applied_all_the_time_loses_no_share(
    istio: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    """A GitOps tool applies the user's VirtualService with force; it is shared anew each time."""
    mine = {
        "apiVersion": ISTIO,
        "kind": "VirtualService",
        "metadata": {"name": "public"},
        "spec": {"hosts": ["a.test"], "http": [{"route": [{"destination": {"host": "web"}}]}]},
    }
    async with a_canary_on("istio", mine, kube, istio, namespace) as routed:
        await routed.set_up(by_reference=True)
        await routed.step(20)
        for _ in range(3):
            await kube.apply(mine, namespace)

            async def is_shared() -> bool:
                destinations = (await routed.get())["spec"]["http"][0]["route"]
                return [80, 20] == [d.get("weight") for d in destinations]

            await eventually(is_shared, "shared again", BOUND_S)
        await routed.release()

        assert mine["spec"] == (await routed.get())["spec"]
