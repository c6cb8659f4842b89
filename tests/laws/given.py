"""What a mesh finds when it is first asked: the references it needs and the objects behind them.

Most need nothing. One that copies or changes an object of the user's gets a row here: the fields of
the Exposure that name it, and the object itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from tests.builders import APP, NAME, NAMESPACE, an_exposure

from serinus.events import Exposure, ObjectRef
from serinus.events.canary import GatewayRef, ServiceSpec
from serinus.kube.refs import Obj
from serinus.router.meshes.catalog import Ability

# Mesh -> (fields of the Exposure, objects of the user's that are there before us).
Given = Callable[[ServiceSpec], tuple[Mapping[str, Any], list[Obj]]]


def _ingress(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    """An Ingress with a rule that has no paths, one path to S and one to somebody else."""
    ports = {"port": {"number": service.port}}
    paths = [
        {"path": path, "pathType": "Prefix", "backend": {"service": {"name": name, **ports}}}
        for path, name in (("/", NAME), ("/other", "other"))
    ]
    source: Obj = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "public", "namespace": NAMESPACE, "labels": {"part": "shop"}},
        "spec": {"rules": [{"host": "a.test"}, {"host": "b.test", "http": {"paths": paths}}]},
    }
    ref = ObjectRef(api_version="networking.k8s.io/v1", kind="Ingress", name="public")
    return {"ingress": ref}, [source]


def _apisix_route(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    """A route with a rule to S and one to somebody else."""
    rules = [
        {
            "name": f"to-{name}",
            "match": {"paths": [f"/{name}/*"]},
            "backends": [{"serviceName": name, "servicePort": service.port}],
        }
        for name in (NAME, "other")
    ]
    source: Obj = {
        "apiVersion": "apisix.apache.org/v2",
        "kind": "ApisixRoute",
        "metadata": {"name": "public", "namespace": NAMESPACE},
        "spec": {"http": rules},
    }
    ref = ObjectRef(api_version="apisix.apache.org/v2", kind="ApisixRoute", name="public")
    return {"route": ref}, [source]


def _upstream(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    """An Upstream in another namespace that lends its settings."""
    source: Obj = {
        "apiVersion": "gloo.solo.io/v1",
        "kind": "Upstream",
        "metadata": {"name": "lender", "namespace": "gloo-system", "labels": {"part": "shop"}},
        "spec": {"loadBalancerConfig": {"random": {}}, "useHttp2": True},
    }
    ref = ObjectRef(
        api_version="gloo.solo.io/v1", kind="Upstream", name="lender", namespace="gloo-system"
    )
    return {"upstream": ref}, [source]


def _knative(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    """A Knative Service with its first revision: the target, and the route."""
    source: Obj = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"containers": [{"image": "example.test/web:1"}]}}},
        "status": {"latestCreatedRevisionName": "web-00001"},
    }
    ref = ObjectRef(api_version="serving.knative.dev/v1", kind="Service", name=NAME)
    return {"route": ref}, [source]


GIVEN: dict[str, Given] = {
    "knative": _knative,
    "apisix": _apisix_route,
    "gloo": _upstream,
    "nginx": _ingress,
    "skipper": _ingress,
}


# --- other shapes of the same meshes --------------------------------------------------------------


def _http_route(service: ServiceSpec, kind: str = "HTTPRoute") -> Obj:
    """Three rules: to S alone, to S and somebody else, to somebody else; filters among them."""

    def backend(name: str, **more: Any) -> Obj:
        return {"group": "", "kind": "Service", "name": name, "port": service.port, **more}

    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}]
    rules: list[Obj] = [
        {"name": "all", "backendRefs": [backend(NAME, weight=3)], "filters": filters},
        {"backendRefs": [backend("other", weight=1), backend(NAME, weight=2)]},
        {"backendRefs": [backend("other")]},
    ]
    if kind == "HTTPRoute":
        rules[1]["matches"] = [{"path": {"type": "PathPrefix", "value": "/both"}}]
    return _of_the_user("gateway.networking.k8s.io/v1", kind, {"rules": rules})


def _virtual_service(service: ServiceSpec) -> Obj:
    """Routes to S alone, to S and somebody else, to somebody else, and a redirect."""
    both = [
        {"destination": {"host": f"{NAME}.{NAMESPACE}.svc.cluster.local"}, "weight": 60},
        {"destination": {"host": "other"}, "weight": 40},
    ]
    http: list[Obj] = [
        {"name": "all", "route": [{"destination": {"host": NAME, "port": {"number": 80}}}]},
        {"match": [{"uri": {"prefix": "/both"}}], "route": both, "fault": {"delay": {}}},
        {"route": [{"destination": {"host": f"{NAME}.elsewhere"}}]},
        {"redirect": {"uri": "/"}},
    ]
    spec = {"hosts": ["public.test"], "gateways": ["public"], "http": http}
    return _of_the_user("networking.istio.io/v1beta1", "VirtualService", spec)


def _of_the_user(api_version: str, kind: str, spec: Obj) -> Obj:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": "public",
            "namespace": NAMESPACE,
            "annotations": {"cert.test/arn": "x"},
        },
        "spec": spec,
    }


def _proxy(service: ServiceSpec) -> Obj:
    """Routes to S alone, to S and somebody else, to nobody; a name that Linkerd goes by."""
    address = f"{NAME}.{NAMESPACE}.svc.cluster.local:{service.port}"
    linkerd = {"set": [{"name": "l5d-dst-override", "value": address}]}
    ours = {"name": NAME, "port": service.port, "requestHeadersPolicy": linkerd}
    routes: list[Obj] = [
        {"conditions": [{"prefix": "/"}], "services": [ours], "timeoutPolicy": {"response": "3s"}},
        {
            "conditions": [{"prefix": "/both"}],
            "services": [{"name": "other", "port": 80, "weight": 2}, {**ours, "weight": 1}],
        },
        {"conditions": [{"prefix": "/even"}], "services": [{"name": "other", "port": 80}, ours]},
        {"conditions": [{"prefix": "/old"}], "requestRedirectPolicy": {"hostname": "b.test"}},
    ]
    spec = {"virtualhost": {"fqdn": "a.test"}, "routes": routes, "includes": [{"name": "child"}]}
    return _of_the_user("projectcontour.io/v1", "HTTPProxy", spec)


def _referring(make: Callable[[ServiceSpec], Obj]) -> Given:
    def given(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
        source = make(service)
        ref = ObjectRef(api_version=source["apiVersion"], kind=source["kind"], name="public")
        return {"route": ref}, [source]

    return given


def _connections(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    tcp = ServiceSpec(port=service.port, app_protocol="tcp", gateway_refs=service.gateway_refs)
    return {"service": tcp}, []


def _calls(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    grpc = ServiceSpec(
        port=service.port,
        route_kind="GRPCRoute",
        hosts=service.hosts,
        gateway_refs=service.gateway_refs,
        headers=service.headers,
        apex=service.apex,
    )
    return {"service": grpc}, []


def _several_ports(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    other = service.port % 65535 + 1
    parents = (*service.gateway_refs, GatewayRef(name="admin", backend_port=other))
    return {
        "service": msgspec.structs.replace(service, gateway_refs=parents),
        "ports": {"admin": other},
    }, []


def _delegated(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    kept = msgspec.structs.replace(service, delegation=True, hosts=(), gateways=())
    return {"service": kept}, []


def _ingress_route(service: ServiceSpec) -> Obj:
    """Routes to S with options (one has a priority of its own), to the TraefikService, to
    somebody else."""

    def route(match: str, name: str, **more: Any) -> Obj:
        return {"kind": "Rule", "match": match, "services": [{"name": name, **more}]}

    routes = [
        {
            **route("Host(`a.test`)", NAME, port=service.port, scheme="h2c"),
            "middlewares": [{"name": "auth"}],
        },
        {**route("Host(`b.test`)", NAME, kind="TraefikService"), "priority": 7},
        route("Host(`c.test`)", "other", port=80),
    ]
    spec = {"entryPoints": ["web"], "routes": routes, "tls": {"secretName": "tls"}}
    return _of_the_user("traefik.io/v1alpha1", "IngressRoute", spec)


def _nothing(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    return {}, []


def _mirroring(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    return {"needs": ("weight", "mirror")}, []


WEIGHTS = frozenset({Ability.WEIGHT})
# What can be done on a route of the user's: nothing that would need a place of its own in it.
SHARED = frozenset({Ability.WEIGHT, Ability.MATCH, Ability.MIRROR})
# Name of the shape -> (mesh, its beginning, the abilities that are left); by the name of a mesh
# itself: what it can without any of this.
SHAPES: dict[str, tuple[str, Given, frozenset[Ability]]] = {
    "gatewayapi:v1, several ports": ("gatewayapi:v1", _several_ports, frozenset(Ability)),
    "gatewayapi:v1, TCP": ("gatewayapi:v1", _connections, WEIGHTS),
    "gatewayapi:v1, gRPC": ("gatewayapi:v1", _calls, WEIGHTS | {Ability.MIRROR}),
    "gatewayapi:v1, their HTTPRoute": ("gatewayapi:v1", _referring(_http_route), SHARED),
    "gatewayapi:v1, their GRPCRoute": (
        "gatewayapi:v1",
        _referring(lambda service: _http_route(service, "GRPCRoute")),
        WEIGHTS | {Ability.MIRROR},
    ),
    # A/B takes an IngressRoute, mirroring a place for it from the first day on.
    "traefik": ("traefik", _nothing, WEIGHTS | {Ability.STICKY}),
    "traefik, mirroring": (
        "traefik",
        _mirroring,
        frozenset({Ability.WEIGHT, Ability.MIRROR, Ability.STICKY}),
    ),
    "traefik, their IngressRoute": (
        "traefik",
        _referring(_ingress_route),
        frozenset({Ability.WEIGHT, Ability.MATCH, Ability.STICKY}),
    ),
    "traefik, their Ingress": (
        "traefik",
        _referring(lambda service: _ingress(service)[1][0]),
        frozenset({Ability.WEIGHT, Ability.MATCH, Ability.STICKY}),
    ),
    "contour, their HTTPProxy": ("contour", _referring(_proxy), SHARED),
    "istio, TCP": ("istio", _connections, WEIGHTS),
    "istio, delegated": ("istio", _delegated, frozenset(Ability)),
    "istio, their VirtualService": ("istio", _referring(_virtual_service), SHARED),
}


def beginning(name: str, service: ServiceSpec) -> tuple[Exposure, list[Obj]]:
    """An exposure on a mesh (or of one of its shapes) and the user's objects it refers to."""
    if name in SHAPES:
        mesh, given, _ = SHAPES[name]
    else:
        mesh, given = name, GIVEN.get(name, _nothing)
    fields, sources = given(service)
    return an_exposure(mesh, **{"service": service, "selector": APP, **fields}), sources
