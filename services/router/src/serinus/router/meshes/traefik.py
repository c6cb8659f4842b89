"""Traefik: one TraefikService S that splits between S-primary and S-canary (reference 4.10).

The user's IngressRoute names it. The list of weighted services is ours as a whole: a third backend
in it would take a share that nobody ordered. Everything else in the object (sticky cookies,
labels, annotations) is the user's and stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj, Ref
from serinus.router.core.objects import Gone, Live, NotYet, apex_metadata, overlaid
from serinus.router.core.routes import seen
from serinus.router.core.takeover import original_of, remembering

API_VERSION = "traefik.io/v1alpha1"
KIND = "TraefikService"


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The TraefikService S."""
    return (_ref(exposure),)


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """The TraefikService with explicit weights; the canary is listed only when it gets a share."""
    services = [_weighted(exposure, exposure.primary, routes.primary)]
    if routes.canary > 0:
        services.append(_weighted(exposure, exposure.canary, routes.canary))
    ours: Obj = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": exposure.name,
            "namespace": exposure.namespace,
            **apex_metadata(exposure),
        },
        "spec": {"weighted": {"services": services}},
    }
    found = live.get(_ref(exposure))
    return (remembering(found, overlaid(found, ours)),)


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """The weights in the live object; NotYet where it does not exist or routes nothing of ours."""
    found = live.get(_ref(exposure))
    if found is None:
        return NotYet(f"{KIND} {exposure.name}.{exposure.namespace} does not exist yet")
    weighted = (found.get("spec") or {}).get("weighted") or {}
    weights = {s.get("name"): s.get("weight") for s in weighted.get("services") or ()}
    if exposure.primary not in weights and exposure.canary not in weights:
        return NotYet(
            f"{KIND} {exposure.name}.{exposure.namespace} does not contain services for "
            f"{exposure.primary} and {exposure.canary}"
        )
    # Traefik gives an entry without a weight the weight 1.
    primary, canary = (
        _weight(weights, exposure.primary),
        _weight(weights, exposure.canary),
    )
    return seen(routes, primary=primary, canary=canary)


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """An object that was the user's gets its own services back; ours goes."""
    found = live.get(_ref(exposure))
    return () if found is None else (original_of(found) or Gone(_ref(exposure)),)


def _ref(exposure: Exposure) -> Ref:
    return Ref(API_VERSION, KIND, exposure.namespace, exposure.name)


def _weighted(exposure: Exposure, name: str, weight: int) -> Obj:
    port = exposure.service.port if exposure.service else 80
    return {"name": name, "namespace": exposure.namespace, "port": port, "weight": weight}


def _weight(weights: dict[str, int | None], name: str) -> int:
    if name not in weights:
        return 0
    weight = weights[name]
    return 1 if weight is None else weight
