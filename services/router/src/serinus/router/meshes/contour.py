"""Contour: one HTTPProxy S, a child that the user's root proxy includes (reference 4.8).

    plain    one route for the prefix, both Services
    A/B      a route per alternative with both Services, then one for the rest
    mirror   the canary once more, for copies instead of a share

The list of routes is ours as a whole. A weight of 0 is left out, as Contour reads it the same.
With `routeRef` it is a HTTPProxy of the user's whose routes to S are shared (`borrowed`).
"""

from __future__ import annotations

from collections.abc import Sequence

from serinus.events import Exposure, Routes
from serinus.events.canary import ServiceSpec
from serinus.kube.refs import Obj, Ref
from serinus.router.core import borrowed
from serinus.router.core.objects import Gone, Live, NotYet, Refusal, apex_metadata, overlaid
from serinus.router.core.proxyrules import LINKERD, ProxyRoutes, alternatives, mirror
from serinus.router.core.reported import not_taken
from serinus.router.core.routes import ALL_TO_PRIMARY, seen
from serinus.router.core.takeover import original_of, remembering

API_VERSION = "projectcontour.io/v1"
KIND = "HTTPProxy"
IDLE = "5m"
ROUTES = ProxyRoutes()


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The HTTPProxy S, or the one that routeRef names."""
    return (_ref(exposure),)


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """The HTTPProxy with the weights. Raises Refusal for conditions that Contour cannot test."""
    borrowed.check_kind(exposure, "contour", (KIND,))
    if exposure.route is not None:
        return (borrowed.render(exposure, routes, live, _ref(exposure), ROUTES),)
    service = exposure.service
    if service is None:
        raise Refusal("Unsupported", "contour needs spec.service")
    spec: Obj = {"routes": _routes(exposure, service, routes)}
    if exposure.ingress_class:
        spec["ingressClassName"] = exposure.ingress_class
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
    found = live.get(_ref(exposure))
    return (remembering(found, overlaid(found, ours)),)


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """The weights of the first route with both Services; NotYet while Contour finds the proxy
    invalid or has not read this generation."""
    ref = _ref(exposure)
    found = live.get(ref)
    if found is None:
        return NotYet(f"{ref} does not exist yet")
    if exposure.route is None:
        now = _observed(exposure, routes, found, ref)
    else:
        now = borrowed.observe(exposure, routes, live, ref, ROUTES)
    why = not_taken(found, types=("Valid",)) if isinstance(now, Routes) else ""
    return NotYet(why, now) if why and isinstance(now, Routes) else now


def _observed(exposure: Exposure, routes: Routes, found: Obj, ref: Ref) -> Routes | NotYet:
    for route in (found.get("spec") or {}).get("routes") or ():
        services = route.get("services") or ()
        weights = {s.get("name"): s.get("weight", 0) for s in services if not s.get("mirror")}
        if weights.keys() >= {exposure.primary, exposure.canary}:
            primary, canary = weights[exposure.primary], weights[exposure.canary]
            mirrors = ROUTES.mirrors_to(route, exposure.canary, exposure.namespace)
            return seen(routes, primary=primary, canary=canary, mirror=mirrors)
    return NotYet(f"{ref} does not contain routes for {exposure.primary} and {exposure.canary}")


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """A proxy that was the user's gets its routes back; ours goes."""
    ref = _ref(exposure)
    found = live.get(ref)
    if found is None:
        return ()
    if exposure.route is None:
        return (original_of(found) or Gone(ref),)
    given = borrowed.released(exposure, live, ref, ROUTES)
    return () if given is None else (given,)


def _ref(exposure: Exposure) -> Ref:
    theirs = exposure.route if exposure.route and exposure.route.kind == KIND else None
    return Ref(API_VERSION, KIND, exposure.namespace, theirs.name if theirs else exposure.name)


def _routes(exposure: Exposure, service: ServiceSpec, routes: Routes) -> list[Obj]:
    matched = [
        _route(exposure, service, routes, conditions)
        for conditions in alternatives(routes.match or exposure.match)
    ]
    if matched:
        return [*matched, _route(exposure, service, ALL_TO_PRIMARY, [])]
    plain = _route(exposure, service, routes, [])
    if routes.mirror:
        plain["services"].append(mirror(plain["services"][1], routes.mirror_weight))
    return [plain]


def _route(exposure: Exposure, service: ServiceSpec, routes: Routes, conditions: list[Obj]) -> Obj:
    first, *others = conditions or [{}]
    route: Obj = {"conditions": [{"prefix": _prefix(service), **first}, *others]}
    if service.timeout:
        route["timeoutPolicy"] = {"response": service.timeout, "idle": IDLE}
    if service.retries is not None:
        route["retryPolicy"] = _retry(service)
    route["services"] = [
        _service(exposure, service, exposure.primary, routes.primary),
        _service(exposure, service, exposure.canary, routes.canary),
    ]
    return route


def _prefix(service: ServiceSpec) -> str:
    """The first match's, as the reference has it; everything where there is none."""
    uri = service.match[0].uri if service.match else None
    return uri.prefix if uri is not None and isinstance(uri.prefix, str) else "/"


def _retry(service: ServiceSpec) -> Obj:
    retries = service.retries
    assert retries is not None
    policy: Obj = {"count": retries.attempts or 1}
    if retries.per_try_timeout:
        policy["perTryTimeout"] = retries.per_try_timeout
    if retries.retry_on:
        policy["retryOn"] = retries.retry_on.split(",")
    return policy


def _service(exposure: Exposure, service: ServiceSpec, name: str, weight: int) -> Obj:
    address = f"{name}.{exposure.namespace}.svc.cluster.local:{service.port}"
    found: Obj = {"name": name, "port": service.port}
    if weight:
        found["weight"] = weight
    # Linkerd, where Contour runs in it, needs the Service's own name.
    found["requestHeadersPolicy"] = {"set": [{"name": LINKERD, "value": address}]}
    return found
