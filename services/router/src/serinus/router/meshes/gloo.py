"""Gloo: two Upstreams and one RouteTable S, to which the user's VirtualService delegates
(reference 4.9).

    plain   one route, both Upstreams
    A/B     a route with the alternatives as matchers, then one for the rest
    mirror  a shadow of the route at the canary's Upstream

What `upstreamRef` names lends its connection settings to both Upstreams. The list of routes is ours
as a whole. A weight of 0 is left out, as Gloo reads it the same.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import msgspec

from serinus.events import Exposure, Routes
from serinus.events.canary import HttpMatch, ServiceSpec
from serinus.kube.refs import Obj, Ref
from serinus.router.core.conditions import EXACT_OR_REGEX, Condition, conditions
from serinus.router.core.objects import (
    Gone,
    Live,
    NotYet,
    Refusal,
    apex_metadata,
    labels_of,
    overlaid,
)
from serinus.router.core.routes import ALL_TO_PRIMARY, seen
from serinus.router.core.takeover import original_of, remembering

API_VERSION = "gateway.solo.io/v1"
KIND = "RouteTable"
UPSTREAM_API_VERSION = "gloo.solo.io/v1"
UPSTREAM = "Upstream"
ROLES = ("primary", "canary")
# What an Upstream of the user's lends to ours.
LENT = (
    "sslConfig",
    "circuitBreakers",
    "connectionConfig",
    "loadBalancerConfig",
    "useHttp2",
    "initialStreamWindowSize",
    "initialConnectionWindowSize",
    "httpProxyHostname",
)
# Gloo writes states by number or by name, depending on its version.
REJECTED = ("Rejected", 2)


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The lender where there is one, the Upstreams and the RouteTable."""
    lender = _lender_ref(exposure)
    return (*((lender,) if lender else ()), *_upstream_refs(exposure), _ref(exposure))


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """Upstreams first: the RouteTable names them. Raises Refusal."""
    service = exposure.service
    if service is None:
        raise Refusal("Unsupported", "gloo needs spec.service")
    upstreams = _upstreams(exposure, service, _lender(exposure, live))
    table: Obj = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": exposure.name,
            "namespace": exposure.namespace,
            **apex_metadata(exposure),
        },
        "spec": {"routes": _routes(exposure, routes)},
    }
    refs = (*_upstream_refs(exposure), _ref(exposure))
    found = [live.get(ref) for ref in refs]
    wanted = (*upstreams, table)
    return [remembering(obj, overlaid(obj, ours)) for obj, ours in zip(found, wanted, strict=True)]


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """The weights of the first route with both Upstreams; NotYet while Gloo rejects the table."""
    ref = _ref(exposure)
    found = live.get(ref)
    if found is None:
        return NotYet(f"{ref} does not exist yet")
    primary, canary = (upstream.name for upstream in _upstream_refs(exposure))
    for route in (found.get("spec") or {}).get("routes") or ():
        several = (route.get("routeAction") or {}).get("multi") or {}
        weights = {
            ((d.get("destination") or {}).get("upstream") or {}).get("name"): d.get("weight", 0)
            for d in several.get("destinations") or ()
        }
        if weights.keys() >= {primary, canary}:
            break
    else:
        return NotYet(f"{ref} does not contain routes for {primary} and {canary}")
    shadow = (route.get("options") or {}).get("shadowing") or {}
    is_mirrored = (shadow.get("upstream") or {}).get("name") == canary
    shares = weights[primary] or 0, weights[canary] or 0
    now = seen(routes, primary=shares[0], canary=shares[1], mirror=is_mirrored)
    why = _rejected(ref, found)
    return NotYet(why, now) if why else now


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """What was the user's is as it was; ours goes."""
    refs = (*_upstream_refs(exposure), _ref(exposure))
    objects = [(ref, live.get(ref)) for ref in refs]
    return [original_of(found) or Gone(ref) for ref, found in objects if found is not None]


def _ref(exposure: Exposure) -> Ref:
    return Ref(API_VERSION, KIND, exposure.namespace, exposure.name)


def _upstream_refs(exposure: Exposure) -> tuple[Ref, Ref]:
    """The primary's and the canary's."""
    port = exposure.service.port if exposure.service else 80
    names = (f"{exposure.namespace}-{exposure.name}-{role}upstream-{port}" for role in ROLES)
    primary, canary = (
        Ref(UPSTREAM_API_VERSION, UPSTREAM, exposure.namespace, name) for name in names
    )
    return primary, canary


def _lender_ref(exposure: Exposure) -> Ref | None:
    """Without a namespace it is in the canary's own."""
    upstream = exposure.upstream
    if upstream is None or not upstream.name:
        return None
    namespace = upstream.namespace or exposure.namespace
    return Ref(UPSTREAM_API_VERSION, UPSTREAM, namespace, upstream.name)


def _lender(exposure: Exposure, live: Live) -> Obj | None:
    ref = _lender_ref(exposure)
    found = live.get(ref) if ref else None
    if ref is not None and found is None:
        raise Refusal(
            "Route",
            f"error creating flagger primary upstream: config upstream {ref.name}.{ref.namespace} "
            f'get query error: upstreams.gloo.solo.io "{ref.name}" not found',
        )
    return found


def _upstreams(exposure: Exposure, service: ServiceSpec, lender: Obj | None) -> list[Obj]:
    found = []
    selects = {"primary": "-primary", "canary": ""}
    for role, ref in zip(ROLES, _upstream_refs(exposure), strict=True):
        kube: Obj = {
            "serviceName": f"{exposure.name}-{role}",
            "serviceNamespace": exposure.namespace,
            "servicePort": service.port,
        }
        if exposure.selector is not None:
            selector = exposure.selector
            kube["selector"] = {selector.key: f"{selector.value}{selects[role]}"}
        lent = (lender or {}).get("spec") or {}
        meta: Obj = {"name": ref.name, "namespace": ref.namespace}
        if lender and labels_of(lender):
            meta["labels"] = labels_of(lender)
        spec = {"kube": kube, **{k: copy.deepcopy(lent[k]) for k in LENT if k in lent}}
        found.append(
            {"apiVersion": UPSTREAM_API_VERSION, "kind": UPSTREAM, "metadata": meta, "spec": spec}
        )
    return found


def _routes(exposure: Exposure, routes: Routes) -> list[Obj]:
    matchers = _matchers(routes.match or exposure.match)
    split = _route(exposure, routes.primary, routes.canary)
    if not matchers:
        return [split | _shadow(exposure, routes)]
    return [{**split, "matchers": matchers}, _route(exposure, ALL_TO_PRIMARY.primary, 0)]


def _shadow(exposure: Exposure, routes: Routes) -> Obj:
    """Copies for the canary, with the host that the client asked for."""
    if not routes.mirror:
        return {}
    _, canary = _upstream_refs(exposure)
    shadow = {
        "upstream": {"name": canary.name, "namespace": canary.namespace},
        "percentage": routes.mirror_weight or 100,
        "disableShadowHostSuffixAppend": True,
    }
    return {"options": {"shadowing": shadow}}


def _matchers(match: Sequence[HttpMatch]) -> list[Obj]:
    """One matcher for each alternative: its headers and its method."""
    found = []
    plain = [msgspec.structs.replace(one, method=None) for one in match]
    alternatives = conditions(plain, "gloo", headers=EXACT_OR_REGEX)
    for one, alternative in zip(match, alternatives, strict=True):
        matcher: Obj = {"headers": [_header(condition) for condition in alternative]}
        if one.method is not None and isinstance(one.method.exact, str):
            matcher["methods"] = [one.method.exact]
        elif one.method is not None:
            raise Refusal("Unsupported", "gloo can match a method by exact only")
        found.append(matcher)
    return found


def _header(condition: Condition) -> Obj:
    is_regex = {"regex": True} if condition.form == "regex" else {}
    return {"name": condition.name, "value": condition.value, **is_regex}


def _route(exposure: Exposure, primary: int, canary: int) -> Obj:
    destinations = []
    for upstream, weight in zip(_upstream_refs(exposure), (primary, canary), strict=True):
        names = {"name": upstream.name, "namespace": upstream.namespace}
        destination: Obj = {"destination": {"upstream": names}}
        if weight:
            destination["weight"] = weight
        destinations.append(destination)
    return {
        "inheritablePathMatchers": True,
        "routeAction": {"multi": {"destinations": destinations}},
    }


def _rejected(ref: Ref, table: Obj) -> str:
    """Why Gloo goes on with an older table, or ""."""
    for status in ((table.get("status") or {}).get("statuses") or {}).values():
        if status.get("state") in REJECTED:
            return f"{ref} is rejected by Gloo: {status.get('reason', '')}"
    return ""
