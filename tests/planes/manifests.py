"""The user's own objects that lead a host to the canary, and what the Exposure says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.servers import gateway, istio
from tests.servers.kube import Obj

from serinus.events import ObjectRef, ServiceSpec
from serinus.events.canary import GatewayRef

NAME = "public"
INGRESS = "networking.k8s.io/v1", "Ingress"
HTTP_ROUTE = gateway.API_VERSION, "HTTPRoute"
VIRTUAL_SERVICE = "networking.istio.io/v1beta1", "VirtualService"
PROXY = "projectcontour.io/v1", "HTTPProxy"
INGRESS_ROUTE = "traefik.io/v1alpha1", "IngressRoute"

Manifests = Callable[[str], Sequence[Obj]]
Fields = Callable[[str], dict[str, Any]]


def nothing(_: str) -> Sequence[Obj]:
    """The gateway is there already."""
    return ()


def an_ingress(host: str, of_class: str = "") -> Sequence[Obj]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec = {"rules": [{"host": host, "http": {"paths": [path]}}]}
    return _one(INGRESS, spec | ({"ingressClassName": of_class} if of_class else {}))


def a_root_proxy(host: str) -> Sequence[Obj]:
    """It gives its host to the HTTPProxy that is written for the canary."""
    return _one(PROXY, {"virtualhost": {"fqdn": host}, "includes": [{"name": "web"}]})


def a_proxy(host: str) -> Sequence[Obj]:
    routes = [{"services": [{"name": "web", "port": 80}]}]
    return _one(PROXY, {"virtualhost": {"fqdn": host}, "routes": routes})


def an_http_route(namespace: str) -> Manifests:
    """Of the Gateway in this namespace."""

    def manifests(host: str) -> Sequence[Obj]:
        parents = [{"name": gateway.NAME, "namespace": namespace}]
        rules = [{"backendRefs": [{"name": "web", "port": 80}]}]
        return _one(HTTP_ROUTE, {"parentRefs": parents, "hostnames": [host], "rules": rules})

    return manifests


def a_virtual_service(host: str) -> Sequence[Obj]:
    http = [{"route": [{"destination": {"host": "web"}}]}]
    gateways = [f"{istio.NAMESPACE}/{istio.GATEWAY}"]
    return _one(VIRTUAL_SERVICE, {"hosts": [host], "gateways": gateways, "http": http})


def an_ingress_route(kind: str) -> Manifests:
    """To `web`, a Service or a TraefikService."""
    service = {"name": "web", "kind": kind} | ({"port": 80} if kind == "Service" else {})

    def manifests(host: str) -> Sequence[Obj]:
        rule = {"kind": "Rule", "match": f"Host(`{host}`)", "services": [service]}
        return _one(INGRESS_ROUTE, {"entryPoints": ["web"], "routes": [rule]})

    return manifests


def by_service(_: str) -> dict[str, Any]:
    return {}


def by_ingress(_: str) -> dict[str, Any]:
    api_version, kind = INGRESS
    return {"ingress": ObjectRef(api_version=api_version, kind=kind, name=NAME)}


def by_route(route: tuple[str, str]) -> Fields:
    """routeRef names the user's own."""
    api_version, kind = route
    return lambda _: {"route": ObjectRef(api_version=api_version, kind=kind, name=NAME)}


def by_gateway(namespace: str) -> Fields:
    """A route of the Gateway in this namespace."""

    def fields(host: str) -> dict[str, Any]:
        refs = (GatewayRef(name=gateway.NAME, namespace=namespace),)
        service = ServiceSpec(port=80, target_port=8080, hosts=(host,), gateway_refs=refs)
        return {"service": service}

    return fields


def by_istio_gateway(host: str) -> dict[str, Any]:
    gateways = (f"{istio.NAMESPACE}/{istio.GATEWAY}",)
    return {"service": ServiceSpec(port=80, target_port=8080, hosts=(host,), gateways=gateways)}


def _one(route: tuple[str, str], spec: Obj) -> Sequence[Obj]:
    api_version, kind = route
    return [{"apiVersion": api_version, "kind": kind, "metadata": {"name": NAME}, "spec": spec}]
