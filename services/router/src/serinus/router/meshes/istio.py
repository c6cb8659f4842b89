"""Istio: a VirtualService S and a DestinationRule each for S-canary and S-primary (reference 4.3).

HTTP routes, in the order in which they are written:

    plain             one route, both destinations
    A/B               analysis matches x service matches with both destinations; service matches,
                      primary only. Session affinity stands back
    session affinity  while the canary has a share: its cookie, the primary's cookie, then the
                      weighted route that hands out cookies; afterwards the old one is taken back

With `routeRef` it is a VirtualService of the user's whose routes to S are shared (`borrowed`).
`appProtocol: tcp` makes one TCP route of weights; connections carry nothing that could be matched,
mirrored or remembered.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from serinus.events import Exposure, Routes
from serinus.events.canary import ServiceSpec
from serinus.kube.refs import Obj, Ref
from serinus.router.core import borrowed
from serinus.router.core.httproute import set_cookie
from serinus.router.core.objects import Gone, Live, NotYet, Refusal, apex_metadata, overlaid
from serinus.router.core.reported import not_taken
from serinus.router.core.routes import seen
from serinus.router.core.takeover import original_of, remembering
from serinus.router.core.virtualservice import (
    IstioRoutes,
    adding_header,
    host_of,
    http_fields,
    matches_of,
    overriding,
    tcp_matches_of,
    with_header,
)

API_VERSION = "networking.istio.io/v1beta1"
KIND = "VirtualService"
RULE_KIND = "DestinationRule"
KINDS = (KIND, RULE_KIND)
# The sidecars' own gateway: what is addressed within the mesh.
MESH = "mesh"
ROUTES = IstioRoutes()


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The two DestinationRules and the VirtualService."""
    rules = (exposure.canary, exposure.primary)
    return (*(_ref(exposure, RULE_KIND, name) for name in rules), _route_ref(exposure))


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """The policies first, then the VirtualService with explicit weights. Raises Refusal."""
    service = _service(exposure)
    borrowed.check_kind(exposure, "istio", (KIND,))
    ref = _route_ref(exposure)
    if exposure.route is None:
        route = _virtual_service(exposure, service, routes, live.get(ref))
    else:
        route = borrowed.render(exposure, routes, live, ref, ROUTES)
    return (
        _policy(exposure, service, exposure.canary, live),
        _policy(exposure, service, exposure.primary, live),
        route,
    )


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """The weights of the last route with both destinations.

    NotYet where there is none, and while a control plane that reports on the object says that
    proxies have not taken this generation of it; most report nothing and are not waited for.
    """
    ref = _route_ref(exposure)
    name = f"{KIND} {ref.name}.{ref.namespace}"
    found = live.get(ref)
    if exposure.route is not None:
        shared = borrowed.observe(exposure, routes, live, ref, ROUTES)
        return _taken(found, shared) if found and isinstance(shared, Routes) else shared
    if found is None:
        return NotYet(f"{name} does not exist yet")
    spec = found.get("spec") or {}
    weights, mirror = (0, 0), False
    for route in (*(spec.get("http") or ()), *(spec.get("tcp") or ())):
        by_host = {host_of(entry): entry for entry in route.get("route") or ()}
        if exposure.primary in by_host and exposure.canary in by_host:
            primary, canary = by_host[exposure.primary], by_host[exposure.canary]
            weights = primary.get("weight", 0), canary.get("weight", 0)
            mirror = (route.get("mirror") or {}).get("host") == exposure.canary
    if weights == (0, 0):
        names = f"{exposure.primary} and {exposure.canary}"
        return NotYet(f"{name} does not contain routes for {names}")
    return _taken(found, seen(routes, primary=weights[0], canary=weights[1], mirror=mirror))


def _taken(found: Obj, now: Routes) -> Routes | NotYet:
    why = not_taken(found, types=("Reconciled",))
    return NotYet(why, now) if why else now


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """Objects that were the user's are as they were; ours go."""
    *policies, route = needs(exposure)
    refs = policies if exposure.route else [*policies, route]
    found = {ref: live.get(ref) for ref in refs}
    given = [original_of(obj) or Gone(ref) for ref, obj in found.items() if obj is not None]
    shared = borrowed.released(exposure, live, route, ROUTES) if exposure.route else None
    return [*given, shared] if shared else given


def _ref(exposure: Exposure, kind: str, name: str) -> Ref:
    return Ref(API_VERSION, kind, exposure.namespace, name)


def _route_ref(exposure: Exposure) -> Ref:
    if exposure.route is not None and exposure.route.kind == KIND:
        return _ref(exposure, KIND, exposure.route.name)
    return _ref(exposure, KIND, exposure.name)


def _service(exposure: Exposure) -> ServiceSpec:
    if exposure.service is None:
        raise Refusal("Unsupported", "spec.service is needed with Istio as a provider")
    return exposure.service


def _policy(exposure: Exposure, service: ServiceSpec, host: str, live: Live) -> Obj:
    """The DestinationRule of one backend; its traffic policy is the manifest's, as a whole."""
    ref = _ref(exposure, RULE_KIND, host)
    ours: Obj = {
        "apiVersion": API_VERSION,
        "kind": RULE_KIND,
        "metadata": {"name": host, "namespace": exposure.namespace},
        "spec": {"host": host},
    }
    found = live.get(ref)
    whole = overlaid(found, ours)
    whole["spec"].pop("trafficPolicy", None)
    if service.traffic_policy:
        whole["spec"]["trafficPolicy"] = copy.deepcopy(service.traffic_policy)
    return remembering(found, whole)


def _virtual_service(
    exposure: Exposure, service: ServiceSpec, routes: Routes, found: Obj | None
) -> Obj:
    spec: Obj = {"hosts": _hosts(exposure, service)}
    if not service.delegation:
        spec["gateways"] = list(service.gateways) or [MESH]
    if _is_tcp(service):
        spec["tcp"] = [_tcp(exposure, service, routes)]
    else:
        spec["http"] = _http(exposure, service, routes)
    ours: Obj = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": exposure.name,
            "namespace": exposure.namespace,
            **apex_metadata(exposure),
        },
        "spec": spec,
    }
    whole = overlaid(found, ours)
    # Which protocol it is and whether it is delegated may have changed in the manifest.
    whole["spec"] = {k: v for k, v in whole["spec"].items() if k in spec or k not in _OURS}
    return remembering(found, whole, for_flagger=True)


_OURS = ("hosts", "gateways", "http", "tcp")


def _hosts(exposure: Exposure, service: ServiceSpec) -> list[str]:
    if service.delegation:
        if service.hosts or service.gateways:
            raise Refusal(
                "Unsupported",
                f"{KIND} {exposure.name}.{exposure.namespace} cannot have hosts and gateways "
                "when delegation enabled",
            )
        return []
    hosts = list(service.hosts)
    return hosts if exposure.name in hosts or "*" in hosts else [*hosts, exposure.name]


def _is_tcp(service: ServiceSpec) -> bool:
    return service.app_protocol.lower() == "tcp"


def _destination(exposure: Exposure, host: str) -> Obj:
    """Behind a gateway that is not the mesh's own, one of several ports must be named."""
    service = _service(exposure)
    first = service.gateways[0] if service.gateways else MESH
    if service.port_discovery and (first != MESH or service.delegation):
        return {"host": host, "port": {"number": service.port}}
    return {"host": host}


def _weighted(exposure: Exposure, routes: Routes) -> list[Obj]:
    shares = ((exposure.primary, routes.primary), (exposure.canary, routes.canary))
    return [{"destination": _destination(exposure, h), "weight": w} for h, w in shares]


def _tcp(exposure: Exposure, service: ServiceSpec, routes: Routes) -> Obj:
    if exposure.match or routes.match or routes.mirror or routes.cookies:
        raise Refusal(
            "Unsupported",
            "appProtocol tcp is split by weight only: no analysis.match, mirror, sessionAffinity",
        )
    matches = tcp_matches_of(service.match)
    route: Obj = {"match": matches} if matches else {}
    return route | {"route": _weighted(exposure, routes)}


def _http(exposure: Exposure, service: ServiceSpec, routes: Routes) -> list[Obj]:
    matches = matches_of(service.match)
    weighted = _route(exposure, service, matches, routes)
    if routes.mirror:
        weighted["mirror"] = _destination(exposure, exposure.canary)
        if routes.mirror_weight:
            weighted["mirrorPercentage"] = {"value": routes.mirror_weight}
    conditions = routes.match or exposure.match
    if conditions:
        rest = _route(exposure, service, matches, Routes())
        rest["route"] = rest["route"][:1]
        return [weighted | {"match": overriding(matches, conditions)}, rest]
    if routes.cookies is not None:
        return _sticky(exposure, service, matches, routes, weighted)
    return [weighted]


def _route(exposure: Exposure, service: ServiceSpec, matches: list[Obj], routes: Routes) -> Obj:
    route: Obj = {"match": copy.deepcopy(matches)} if matches else {}
    return route | http_fields(service) | {"route": _weighted(exposure, routes)}


def _sticky(
    exposure: Exposure, service: ServiceSpec, matches: list[Obj], routes: Routes, weighted: Obj
) -> list[Obj]:
    cookies = routes.cookies
    assert cookies is not None
    if routes.canary == 0:
        if not cookies.previous:
            return [weighted]
        old = _route(exposure, service, _with_cookie(matches, cookies.previous), routes)
        return [adding_header(old, "Set-Cookie", f"{cookies.previous}; Max-Age=-1"), weighted]
    held = []
    primary, canary = weighted["route"]
    if cookies.canary:
        to_canary = Routes(primary=0, canary=100)
        held.append(_route(exposure, service, _with_cookie(matches, cookies.canary), to_canary))
        value = set_cookie(cookies.canary, cookies.settings)
        canary = adding_header(canary, "Set-Cookie", value)
    if cookies.settings.primary_cookie_name and cookies.primary:
        held.append(_route(exposure, service, _with_cookie(matches, cookies.primary), Routes()))
        value = f"{cookies.primary}; Max-Age={cookies.primary_max_age_s}"
        primary = adding_header(primary, "Set-Cookie", value)
    return [*held, weighted | {"route": [primary, canary]}]


def _with_cookie(matches: list[Obj], cookie: str) -> list[Obj]:
    name, _, value = cookie.partition("=")
    return with_header(matches, "Cookie", f".*{name}.*{value}.*")
