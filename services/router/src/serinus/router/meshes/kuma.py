"""Kuma: one TrafficRoute S for requests to S, whoever sends them (reference 4.13).

    plain  conf.split between S-primary and S-canary
    A/B    conf.http with a split for each alternative, then conf.split for the rest. Kuma tests
           headers of Services whose protocol is http

TrafficRoutes have no namespace, so nothing of a namespace can own them and nobody collects them:
ours is deleted when its Canary goes. Of two Services of one name in two namespaces the first one
has the name; the other is refused with a text that says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj, Ref
from serinus.router.core.conditions import Condition, Form, conditions
from serinus.router.core.objects import (
    KEEP_FLUX_AWAY,
    ORIGINAL,
    Gone,
    Live,
    NotYet,
    Refusal,
    annotations_of,
    apex_metadata,
    overlaid,
)
from serinus.router.core.routes import seen
from serinus.router.core.takeover import original_of, remembering

API_VERSION = "kuma.io/v1alpha1"
KIND = "TrafficRoute"
SERVICE = "kuma.io/service"
MESH = "kuma.io/mesh"
FORMS: tuple[Form, ...] = ("exact", "prefix", "regex")


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The TrafficRoute S."""
    return (_ref(exposure),)


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """The TrafficRoute with explicit weights. Raises Refusal where its name is taken."""
    found = live.get(_ref(exposure))
    if found is not None and not _is_about(found, exposure):
        raise Refusal("Foreign", _taken(exposure, found))
    alternatives = conditions(routes.match or exposure.match, "kuma", headers=FORMS)
    if alternatives:
        conf: Obj = {
            "http": [
                {"match": {"headers": _headers(each)}, "split": _split(exposure, routes)}
                for each in alternatives
            ],
            "split": _split(exposure, Routes()),
        }
    else:
        conf = {"split": _split(exposure, routes)}
    ours: Obj = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "mesh": exposure.annotations.get(MESH, "default"),
        "metadata": {"name": exposure.name, **apex_metadata(exposure)},
        "spec": {
            "sources": [{"match": {SERVICE: "*"}}],
            "destinations": [{"match": {SERVICE: _service(exposure, exposure.name)}}],
            "conf": conf,
        },
    }
    if found is not None:
        # A route does not change its mesh, and one without it is in the default one.
        del ours["mesh"]
    whole = overlaid(found, ours)
    for other in {"http", "destination"} - conf.keys():
        whole["spec"]["conf"].pop(other, None)
    # Without an owner only the annotations tell a route that was made for a canary.
    return (whole if found and _is_made(found) else remembering(found, whole),)


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """The weights of the first A/B route, else of the whole; Kuma reports nothing."""
    ref = _ref(exposure)
    found = live.get(ref)
    if found is None:
        return NotYet(f"{KIND} {ref.name} does not exist yet")
    if not _is_about(found, exposure):
        return NotYet(_taken(exposure, found))
    conf = (found.get("spec") or {}).get("conf") or {}
    for part in (*(conf.get("http") or ()), conf):
        weights = {
            (one.get("destination") or {}).get(SERVICE): one.get("weight", 0)
            for one in part.get("split") or ()
        }
        primary, canary = (_service(exposure, s) for s in (exposure.primary, exposure.canary))
        if weights.keys() >= {primary, canary}:
            return seen(routes, primary=weights[primary], canary=weights[canary])
    return NotYet(
        f"{KIND} {ref.name} does not contain a split between {exposure.primary} and "
        f"{exposure.canary}"
    )


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """A route that was the user's is as it was; ours goes before the Canary does."""
    found = live.get(_ref(exposure))
    if found is None or not _is_about(found, exposure):
        return ()
    return (original_of(found) or Gone(_ref(exposure), shadows=True),)


def _ref(exposure: Exposure) -> Ref:
    return Ref(API_VERSION, KIND, "", exposure.name)


def _service(exposure: Exposure, name: str) -> str:
    """Kuma's name of a Service of the canary's namespace."""
    port = exposure.service.port if exposure.service else 80
    return f"{name}_{exposure.namespace}_svc_{port}"


def _is_about(route: Obj, exposure: Exposure) -> bool:
    """Whether a route is for requests to our S: its port may have changed, its namespace not."""
    prefix = f"{exposure.name}_{exposure.namespace}_svc_"
    return all(name.startswith(prefix) for name in _destinations(route))


def _is_made(route: Obj) -> bool:
    """Whether a route was made by us, or by Flagger, and not by the user."""
    annotations = annotations_of(route)
    return annotations.items() >= KEEP_FLUX_AWAY.items() and ORIGINAL not in annotations


def _destinations(route: Obj) -> list[str]:
    destinations = (route.get("spec") or {}).get("destinations") or ()
    return [(one.get("match") or {}).get(SERVICE, "") for one in destinations]


def _taken(exposure: Exposure, route: Obj) -> str:
    return (
        f"{KIND} {exposure.name} routes requests to {', '.join(_destinations(route))}, and "
        "TrafficRoutes have no namespace: choose another spec.service.name, or delete it if it is "
        "left over"
    )


def _headers(each: Sequence[Condition]) -> Obj:
    return {condition.name: {condition.form: condition.value} for condition in each}


def _split(exposure: Exposure, routes: Routes) -> list[Obj]:
    shares = ((exposure.primary, routes.primary), (exposure.canary, routes.canary))
    return [
        {"weight": share, "destination": {SERVICE: _service(exposure, name)}}
        for name, share in shares
    ]
