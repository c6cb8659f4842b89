"""APISIX: an ApisixRoute `R-S-canary` beside the user's R, with a higher priority (reference 4.12).

It holds the rules of R that lead to S, with both Services as backends. A/B conditions narrow its
rules; what does not match is left to R, whose S selects the primary. A mirror is one plugin more.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.router.core.conditions import EXACT_OR_REGEX, Condition, conditions
from serinus.router.core.objects import (
    LAST_APPLIED,
    Gone,
    Live,
    NotYet,
    Refusal,
    annotations_of,
    labels_of,
    overlaid,
)
from serinus.router.core.reported import not_taken
from serinus.router.core.routes import seen
from serinus.router.core.takeover import original_of, remembering

API_VERSION = "apisix.apache.org/v2"
KIND = "ApisixRoute"
PRIORITY = 10000
MIRROR = "proxy-mirror"
# What APISIX's controller takes a backend without a weight for.
DEFAULT_WEIGHT = 100
_OPERATORS = {"exact": "Equal", "regex": "RegexMatch"}


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The user's ApisixRoute and ours; none where the manifest names none: rendering says so."""
    if exposure.route is None or not exposure.route.name:
        return ()
    source = Ref(API_VERSION, KIND, exposure.namespace, exposure.route.name)
    return source, _canary_ref(exposure)


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """The canary's ApisixRoute. Raises Refusal where the user's does not fit."""
    source = _source(exposure, live)
    rules = []
    for rule in _rules_of(source):
        backends = rule.get("backends") or []
        if not any(backend.get("serviceName") == exposure.name for backend in backends):
            continue
        if len(backends) > 1:
            raise Refusal(
                "Route",
                f"ApisixRoute {source['metadata']['name']} rule {rule.get('name', '')} must have "
                f"{exposure.name} as its only backend",
            )
        split = _split(exposure, rule, routes)
        if routes.mirror:
            split = _mirrored(exposure, split, routes)
        rules += _narrowed(split, routes)
    if not rules:
        name = source["metadata"]["name"]
        raise Refusal("Route", f"backend {exposure.name} not found in ApisixRoute {name}")
    ref = _canary_ref(exposure)
    annotations = annotations_of(source)
    annotations.pop(LAST_APPLIED, None)
    copied = {"labels": labels_of(source), "annotations": annotations}
    ours: Obj = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            **{k: v for k, v in copied.items() if v},
        },
        "spec": {**_class_of(source), "http": rules},
    }
    found = live.get(ref)
    return (remembering(found, overlaid(found, ours)),)


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """The weights of the first rule; NotYet while the controller has not accepted the route."""
    found = _canary_of(exposure, live)
    if found is None:
        return NotYet(f"the canary ApisixRoute of {exposure.name} does not exist yet")
    for rule in _rules_of(found):
        weights = {
            backend.get("serviceName"): backend.get("weight", DEFAULT_WEIGHT)
            for backend in rule.get("backends") or ()
        }
        if weights.keys() >= {exposure.primary, exposure.canary}:
            mirror = _mirror_of(exposure, rule)
            break
    else:
        return NotYet(
            f"{ref_of(found)} does not contain backends {exposure.primary} and {exposure.canary}"
        )
    primary, canary = weights[exposure.primary], weights[exposure.canary]
    now = seen(routes, primary=primary, canary=canary, mirror=mirror)
    why = not_taken(found, types=("Accepted", "ResourcesAvailable"))
    return NotYet(why, now) if why else now


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """Ours goes before the Canary does: the user's route serves again by itself."""
    found = _canary_of(exposure, live)
    return () if found is None else (original_of(found) or Gone(ref_of(found), shadows=True),)


def _canary_ref(exposure: Exposure) -> Ref:
    assert exposure.route is not None
    name = f"{exposure.route.name}-{exposure.canary}"
    return Ref(API_VERSION, KIND, exposure.namespace, name)


def _canary_of(exposure: Exposure, live: Live) -> Obj | None:
    return live.get(_canary_ref(exposure)) if needs(exposure) else None


def _source(exposure: Exposure, live: Live) -> Obj:
    known = needs(exposure)
    if not known:
        raise Refusal("Route", "apisix needs spec.routeRef: name the ApisixRoute")
    found = live.get(known[0])
    if found is None:
        name, namespace = known[0].name, known[0].namespace
        raise Refusal(
            "Route",
            f"apisix route {name}.{namespace} get query error: "
            f'apisixroutes.apisix.apache.org "{name}" not found',
        )
    return found


def _class_of(source: Obj) -> Obj:
    """Another class would be another controller's."""
    return {k: v for k, v in source["spec"].items() if k == "ingressClassName"}


def _rules_of(route: Obj) -> list[Obj]:
    return (route.get("spec") or {}).get("http") or []


def _split(exposure: Exposure, rule: Obj, routes: Routes) -> Obj:
    """The rule with both Services in place of S; everything else of the backend is kept."""
    (backend,) = rule["backends"]
    shares = ((exposure.primary, routes.primary), (exposure.canary, routes.canary))
    return {
        **copy.deepcopy(rule),
        "priority": PRIORITY,
        "websocket": rule.get("websocket", False),
        "backends": [{**backend, "serviceName": name, "weight": share} for name, share in shares],
    }


def _mirrored(exposure: Exposure, rule: Obj, routes: Routes) -> Obj:
    """The rule with copies for the canary. Raises Refusal where it has a mirror already."""
    plugins = rule.get("plugins") or []
    if any(plugin.get("name") == MIRROR for plugin in plugins):
        raise Refusal("Route", f"the rule {rule.get('name', '')} has a mirror of its own")
    port = rule["backends"][0].get("servicePort")
    if not isinstance(port, int):
        port = exposure.service.port if exposure.service else 80
    host = f"http://{exposure.canary}.{exposure.namespace}.svc.cluster.local:{port}"
    config: Obj = {"host": host}
    if routes.mirror_weight:
        config["sample_ratio"] = routes.mirror_weight / 100
    return {**rule, "plugins": [*plugins, {"name": MIRROR, "enable": True, "config": config}]}


def _mirror_of(exposure: Exposure, rule: Obj) -> bool:
    """Whether a rule of ours mirrors to the canary."""
    address = f"http://{exposure.canary}.{exposure.namespace}."
    plugins = (p for p in rule.get("plugins") or () if p.get("name") == MIRROR)
    return any((p.get("config") or {}).get("host", "").startswith(address) for p in plugins)


def _narrowed(rule: Obj, routes: Routes) -> list[Obj]:
    """One rule for each alternative of an A/B test; the rule itself without one."""
    forms = EXACT_OR_REGEX
    alternatives = conditions(routes.match, "apisix", headers=forms, query=forms)
    found = []
    for index, each in enumerate(alternatives, start=1):
        narrow = copy.deepcopy(rule)
        narrow["match"]["exprs"] = [
            *narrow["match"].get("exprs", []),
            *(_expression(condition) for condition in each),
        ]
        if index > 1:
            narrow["name"] = f"{rule['name']}-{index}"
        found.append(narrow)
    return found or [rule]


def _expression(condition: Condition) -> Obj:
    scope = "Query" if condition.is_query else "Header"
    return {
        "subject": {"scope": scope, "name": condition.name},
        "op": _OPERATORS[condition.form],
        "value": condition.value,
    }
