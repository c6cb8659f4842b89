"""One row per data plane that is tested with real requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from tests.servers.contour import CLASS as CONTOUR
from tests.servers.contour import contour
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Obj
from tests.servers.skipper import skipper
from tests.servers.traefik import CLASS as TRAEFIK
from tests.servers.traefik import traefik, traefik_gateway

from serinus.events import ObjectRef, ServiceSpec
from serinus.events.canary import GatewayRef
from serinus.router.meshes.catalog import MESHES, Ability


class Server(Protocol):
    @property
    def url(self) -> str:
        """Where it takes traffic."""
        ...


class Plane(Struct, frozen=True):
    """One data plane, and one way to tell it what to serve.

    name        of the row, in the names of tests
    title       of the data plane, in the docs
    mesh        the `spec.provider` whose documents it reads
    runs        starts it for an API server, with a folder for its files
    manifests   the user's own objects that lead a host to the canary
    exposure    what the Exposure holds beyond the mesh, by the host
    has_alternatives  several A/B conditions can be said, of which one is enough
    has_queries conditions can be on parameters of the query
    mirrored    the share of requests that is copied where 40 percent are asked for
    takes_back  the cookie of a rollout that is over is deleted
    without     what the mesh can and this row cannot
    note        what users of this data plane have to know, in the docs
    """

    name: str
    title: str
    mesh: str
    runs: Callable[[Path, ControlPlane], AbstractContextManager[Server]]
    manifests: Callable[[str], Sequence[Obj]]
    exposure: Callable[[str], dict[str, Any]]
    has_alternatives: bool = True
    has_queries: bool = True
    mirrored: float = 0.4
    takes_back: bool = True
    without: frozenset[Ability] = frozenset()
    note: str = ""

    @property
    def can(self) -> frozenset[Ability]:
        return MESHES[self.mesh].can - self.without


INGRESS = "networking.k8s.io/v1"


def an_ingress(host: str) -> Sequence[Obj]:
    """The user's Ingress `public` that leads to the Service `web`."""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return [
        {
            "apiVersion": INGRESS,
            "kind": "Ingress",
            "metadata": {"name": "public"},
            "spec": {"rules": [{"host": host, "http": {"paths": [path]}}]},
        }
    ]


def by_ingress(_: str) -> dict[str, Any]:
    return {"ingress": ObjectRef(api_version=INGRESS, kind="Ingress", name="public")}


def a_root_proxy(host: str) -> Sequence[Obj]:
    """The user's HTTPProxy that gives its host to what we write."""
    return [
        {
            "apiVersion": "projectcontour.io/v1",
            "kind": "HTTPProxy",
            "metadata": {"name": "public"},
            "spec": {"virtualhost": {"fqdn": host}, "includes": [{"name": "web"}]},
        }
    ]


def nothing(_: str) -> Sequence[Obj]:
    """The Gateway is there already."""
    return ()


def by_service(_: str) -> dict[str, Any]:
    return {}


def by_gateway(namespace: str) -> Callable[[str], dict[str, Any]]:
    """A route of the Gateway `public` in this namespace."""

    def exposure(host: str) -> dict[str, Any]:
        gateway = GatewayRef(name="public", namespace=namespace)
        service = ServiceSpec(port=80, target_port=8080, hosts=(host,), gateway_refs=(gateway,))
        return {"service": service}

    return exposure


def of_the_crds(folder: Path, plane: ControlPlane) -> AbstractContextManager[Server]:
    return traefik(folder, plane.kubeconfig())


def an_ingress_route(kind: str) -> Callable[[str], Sequence[Obj]]:
    """The user's IngressRoute `public` that leads to `web`, a Service or a TraefikService."""
    service = {"name": "web", "kind": kind} | ({"port": 80} if kind == "Service" else {})

    def manifests(host: str) -> Sequence[Obj]:
        rule = {"kind": "Rule", "match": f"Host(`{host}`)", "services": [service]}
        return [
            {
                "apiVersion": "traefik.io/v1alpha1",
                "kind": "IngressRoute",
                "metadata": {"name": "public"},
                "spec": {"entryPoints": ["web"], "routes": [rule]},
            }
        ]

    return manifests


def by_ingress_route(_: str) -> dict[str, Any]:
    return {"route": ObjectRef(kind="IngressRoute", name="public")}


PLANES = (
    Plane(
        "skipper",
        "Skipper",
        "skipper",
        skipper,
        an_ingress,
        by_ingress,
        has_alternatives=False,
    ),
    Plane(
        "contour",
        "Contour with Envoy",
        "contour",
        contour,
        a_root_proxy,
        by_service,
        has_queries=False,
    ),
    Plane(
        "contour-gateway",
        "Contour with Envoy",
        "gatewayapi:v1",
        partial(contour, has_gateway=True),
        nothing,
        by_gateway(CONTOUR),
        mirrored=1.0,
        note="it mirrors every request, whatever `mirrorWeight` says",
    ),
    Plane(
        "traefik",
        "Traefik",
        "traefik",
        of_the_crds,
        an_ingress_route("TraefikService"),
        by_service,
        takes_back=False,
        without=frozenset({Ability.MATCH}),
        note="A/B by match needs `routeRef`",
    ),
    Plane(
        "traefik-route",
        "Traefik, `routeRef`",
        "traefik",
        of_the_crds,
        an_ingress_route("Service"),
        by_ingress_route,
        takes_back=False,
    ),
    Plane(
        "traefik-gateway",
        "Traefik",
        "gatewayapi:v1",
        traefik_gateway,
        nothing,
        by_gateway(TRAEFIK),
        without=frozenset({Ability.MIRROR}),
        note="with `analysis.mirror` it accepts the route and answers 500 to every request",
    ),
)


def that_can(ability: Ability) -> list[Plane]:
    return [plane for plane in PLANES if ability in plane.can]
