"""ingress-nginx: a canary Ingress `I-canary` laid over the user's Ingress I (reference 4.7).

Weights and A/B conditions are annotations of the canary Ingress. All of them begin with
`<prefix>/canary`, and all that do are ours: what is not asked for any more is taken off. The
user's Ingress and its Service S, which selects the primary, stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.router.core import ingresses
from serinus.router.core.borrowed import check_kind
from serinus.router.core.conditions import EXACT_OR_REGEX, conditions
from serinus.router.core.objects import (
    KEEP_FLUX_AWAY,
    Gone,
    Live,
    NotYet,
    Refusal,
    annotations_of,
    overlaid,
)
from serinus.router.core.routes import seen
from serinus.router.core.takeover import original_of, remembering


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The user's Ingress and ours."""
    return ingresses.refs(exposure)


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """The canary Ingress: the source with S-canary for S, and who reaches it. Raises Refusal."""
    check_kind(exposure, "nginx", (ingresses.KIND,))
    source = ingresses.source_of(exposure, live)
    ours = ingresses.copied(exposure, source)
    for backend in ingresses.backends(ours["spec"]):
        if ingresses.names(backend, exposure.name):
            backend["service"]["name"] = exposure.canary
    copied = ours["metadata"]["annotations"]
    ours["metadata"]["annotations"] = {
        **{k: v for k, v in copied.items() if not k.startswith(_key(exposure))},
        **KEEP_FLUX_AWAY,
        **_asked(exposure, routes),
    }
    found = live.get(ingresses.canary_ref(exposure))
    whole = _without_canary_keys(exposure, found) if found else None
    return (remembering(found, overlaid(whole, ours)),)


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """What the canary Ingress says; nginx has no status to wait for."""
    found = ingresses.canary_of(exposure, live)
    if found is None:
        return NotYet(
            f"the canary Ingress of {exposure.name}.{exposure.namespace} does not exist yet"
        )
    annotations = annotations_of(found)
    if annotations.get(_key(exposure)) != "true":
        return NotYet(f"{ref_of(found)} is not a canary: it has no annotation {_key(exposure)}")
    by = {_key(exposure, "-by-header"), _key(exposure, "-by-cookie")}
    text = annotations.get(_key(exposure, "-weight"), "0")
    weight = 100 if by & annotations.keys() else int(text) if text.isdigit() else 0
    return seen(routes, primary=max(0, 100 - weight), canary=weight)


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """Ours goes before the Canary does: the user's Ingress serves again by itself."""
    found = ingresses.canary_of(exposure, live)
    if found is None:
        return ()
    plain = _without_canary_keys(exposure, found)
    return (original_of(plain) or Gone(ref_of(found), shadows=True),)


def _without_canary_keys(exposure: Exposure, ingress: Obj) -> Obj:
    """The Ingress without what makes it a canary for somebody."""
    whole = copy.deepcopy(ingress)
    kept = {k: v for k, v in annotations_of(whole).items() if not k.startswith(_key(exposure))}
    whole["metadata"]["annotations"] = kept
    return whole


def _key(exposure: Exposure, name: str = "") -> str:
    return f"{exposure.ingress_prefix}/canary{name}"


def _asked(exposure: Exposure, routes: Routes) -> dict[str, str]:
    """The canary annotations that these routes need. Raises Refusal."""
    plain = {_key(exposure): "true", _key(exposure, "-weight"): str(routes.canary)}
    if not routes.match:
        return plain
    by = _conditions(exposure, routes)
    if routes.canary == 0:
        return plain
    if routes.canary != 100:
        raise Refusal(
            "Unsupported", "nginx sends all requests that match to the canary, or none of them"
        )
    return {**plain, _key(exposure, "-weight"): "0", **by}


def _conditions(exposure: Exposure, routes: Routes) -> dict[str, str]:
    """nginx asks one header first and one cookie then; either is enough."""
    found: dict[str, str] = {}
    for alternative in conditions(routes.match, "nginx", headers=EXACT_OR_REGEX):
        condition = alternative[0]
        kind = "-by-cookie" if condition.name.lower() == "cookie" else "-by-header"
        if len(alternative) > 1 or _key(exposure, kind) in found:
            raise Refusal(
                "Unsupported",
                "nginx can match by one header, or one cookie, or either of the two "
                "(two entries of analysis.match)",
            )
        if kind == "-by-header":
            form = "-value" if condition.form == "exact" else "-pattern"
            found[_key(exposure, kind)] = condition.name
            found[_key(exposure, f"{kind}{form}")] = condition.value
        elif condition.form == "exact":
            found[_key(exposure, kind)] = condition.value
        else:
            raise Refusal(
                "Unsupported",
                "nginx can match by a cookie's name only: use exact with the name of a cookie "
                "whose value is always or never",
            )
    return found
