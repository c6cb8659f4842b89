"""Contour: one HTTPProxy S, a child that the user's root proxy includes (reference 4.8).

    plain  one route for the prefix, both Services
    A/B    a route per alternative with both Services, then one for the rest

The list of routes is ours as a whole. A weight of 0 is left out, as Contour reads it the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from serinus.events import Exposure, Routes
from serinus.events.canary import ServiceSpec
from serinus.kube.refs import Obj, Ref
from serinus.router.core.conditions import ANY_FORM, Condition, conditions
from serinus.router.core.objects import Gone, Live, NotYet, Refusal, apex_metadata, overlaid
from serinus.router.core.reported import not_taken
from serinus.router.core.routes import ALL_TO_PRIMARY, seen
from serinus.router.core.takeover import original_of, remembering

API_VERSION = "projectcontour.io/v1"
KIND = "HTTPProxy"
IDLE = "5m"


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The HTTPProxy S."""
    return (_ref(exposure),)


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """The HTTPProxy with the weights. Raises Refusal for conditions that Contour cannot test."""
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
    for route in (found.get("spec") or {}).get("routes") or ():
        weights = {s.get("name"): s.get("weight", 0) for s in route.get("services") or ()}
        if weights.keys() >= {exposure.primary, exposure.canary}:
            break
    else:
        return NotYet(f"{ref} does not contain routes for {exposure.primary} and {exposure.canary}")
    now = seen(routes, primary=weights[exposure.primary], canary=weights[exposure.canary])
    why = not_taken(found, types=("Valid",))
    return NotYet(why, now) if why else now


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """A proxy that was the user's gets its routes back; ours goes."""
    found = live.get(_ref(exposure))
    return () if found is None else (original_of(found) or Gone(_ref(exposure)),)


def _ref(exposure: Exposure) -> Ref:
    return Ref(API_VERSION, KIND, exposure.namespace, exposure.name)


def _routes(exposure: Exposure, service: ServiceSpec, routes: Routes) -> list[Obj]:
    alternatives = conditions(routes.match or exposure.match, "contour", headers=ANY_FORM)
    if not alternatives:
        return [_route(exposure, service, routes, [])]
    matched = [_route(exposure, service, routes, headers) for headers in alternatives]
    return [*matched, _route(exposure, service, ALL_TO_PRIMARY, [])]


def _route(
    exposure: Exposure, service: ServiceSpec, routes: Routes, headers: list[Condition]
) -> Obj:
    first, *others = [_header(condition) for condition in headers] or [{}]
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


def _header(condition: Condition) -> Obj:
    """A prefix or a suffix is tested as a part, which is all that every Contour can do."""
    form = "contains" if condition.form in ("prefix", "suffix") else condition.form
    return {"header": {"name": condition.name, form: condition.value}}


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
    found["requestHeadersPolicy"] = {"set": [{"name": "l5d-dst-override", "value": address}]}
    return found
