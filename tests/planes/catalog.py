"""One row per data plane that is tested with real requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from tests.planes.conditions import (
    A_COOKIE,
    A_HEADER,
    A_PARAMETER,
    A_PATTERN,
    A_SWITCH,
    TWO_HEADERS,
    Conditions,
    either,
)
from tests.planes.manifests import (
    HTTP_ROUTE,
    INGRESS,
    INGRESS_ROUTE,
    PROXY,
    VIRTUAL_SERVICE,
    Fields,
    Manifests,
    a_proxy,
    a_root_proxy,
    a_virtual_service,
    an_http_route,
    an_ingress,
    an_ingress_route,
    by_gateway,
    by_ingress,
    by_istio_gateway,
    by_route,
    by_service,
    nothing,
)
from tests.servers.contour import CLASS as CONTOUR
from tests.servers.contour import contour
from tests.servers.control_plane import ControlPlane
from tests.servers.ingress_nginx import CLASS as NGINX
from tests.servers.ingress_nginx import nginx
from tests.servers.istio import istio
from tests.servers.skipper import skipper
from tests.servers.traefik import CLASS as TRAEFIK
from tests.servers.traefik import traefik, traefik_gateway

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
    conditions  A/B conditions that can be said
    mirrored    the share of requests that is copied where 40 percent are asked for
    takes_back  the cookie of a rollout that is over is deleted
    without     what the mesh can and this row cannot
    note        what users of this data plane have to know, in the docs
    """

    name: str
    title: str
    mesh: str
    runs: Callable[[Path, ControlPlane], AbstractContextManager[Server]]
    manifests: Manifests
    exposure: Fields
    conditions: Sequence[Conditions] = (either(TWO_HEADERS, A_COOKIE, A_PARAMETER),)
    mirrored: float = 0.4
    takes_back: bool = True
    without: frozenset[Ability] = frozenset()
    note: str = ""

    @property
    def can(self) -> frozenset[Ability]:
        return MESHES[self.mesh].can - self.without


def of_the_crds(folder: Path, plane: ControlPlane) -> AbstractContextManager[Server]:
    return traefik(folder, plane.kubeconfig())


GATEWAY_API = "gatewayapi:v1"
SHARED = frozenset({Ability.STICKY})
PLANES = (
    Plane(
        "skipper",
        "Skipper",
        "skipper",
        skipper,
        an_ingress,
        by_ingress,
        conditions=(TWO_HEADERS, A_COOKIE, A_PARAMETER),
    ),
    Plane("contour", "Contour with Envoy", "contour", contour, a_root_proxy, by_service),
    Plane(
        "contour-route",
        "Contour with Envoy, `routeRef`",
        "contour",
        contour,
        a_proxy,
        by_route(PROXY),
    ),
    Plane(
        "contour-gateway",
        "Contour with Envoy",
        GATEWAY_API,
        partial(contour, has_gateway=True),
        nothing,
        by_gateway(CONTOUR),
        mirrored=1.0,
        note="it mirrors every request, whatever `mirrorWeight` says",
    ),
    Plane(
        "contour-gateway-route",
        "Contour with Envoy, `routeRef`",
        GATEWAY_API,
        partial(contour, has_gateway=True),
        an_http_route(CONTOUR),
        by_route(HTTP_ROUTE),
        mirrored=1.0,
        without=SHARED,
    ),
    Plane(
        "istio",
        "Istio with Envoy",
        "istio",
        istio,
        nothing,
        by_istio_gateway,
        note="asked as an ingress gateway, on a plain Envoy",
    ),
    Plane(
        "istio-route",
        "Istio with Envoy, `routeRef`",
        "istio",
        istio,
        a_virtual_service,
        by_route(VIRTUAL_SERVICE),
        without=SHARED,
    ),
    Plane(
        "nginx",
        "ingress-nginx",
        "nginx",
        nginx,
        partial(an_ingress, of_class=NGINX),
        by_ingress,
        conditions=(A_HEADER, A_PATTERN, A_SWITCH, either(A_HEADER, A_SWITCH)),
        note="its own code chooses the Service; what chooses a pod of it stands in",
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
        "Traefik, `routeRef` to an IngressRoute",
        "traefik",
        of_the_crds,
        an_ingress_route("Service"),
        by_route(INGRESS_ROUTE),
        takes_back=False,
    ),
    Plane(
        "traefik-ingress",
        "Traefik, `routeRef` to an Ingress",
        "traefik",
        of_the_crds,
        an_ingress,
        by_route(INGRESS),
        takes_back=False,
    ),
    Plane(
        "traefik-gateway",
        "Traefik",
        GATEWAY_API,
        traefik_gateway,
        nothing,
        by_gateway(TRAEFIK),
        without=frozenset({Ability.MIRROR}),
        note="with `analysis.mirror` it accepts the route and answers 500 to every request",
    ),
)


def that_can(ability: Ability) -> list[Plane]:
    return [plane for plane in PLANES if ability in plane.can]
