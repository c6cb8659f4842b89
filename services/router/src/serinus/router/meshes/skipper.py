"""Skipper: a canary Ingress `I-canary` that splits between S-primary and S-canary (reference 4.11).

Its predicate makes Skipper prefer it to the user's Ingress I. While the canary has no share
`False()` switches it off, and I serves through S, which selects the primary. A/B conditions are
predicates, too: what does not match is left to I.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence

import msgspec

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.router.core import ingresses
from serinus.router.core.borrowed import check_kind
from serinus.router.core.conditions import EXACT_OR_REGEX, Condition, conditions
from serinus.router.core.objects import Gone, Live, NotYet, Refusal, annotations_of, overlaid
from serinus.router.core.routes import seen
from serinus.router.core.takeover import original_of, remembering

WEIGHTS = "zalando.org/backend-weights"
PREDICATE = "zalando.org/skipper-predicate"
OFF, PREFERRED = "False()", "Weight(100)"


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The user's Ingress and ours."""
    return ingresses.refs(exposure)


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """The canary Ingress: every path to S twice, with the weights of both. Raises Refusal."""
    check_kind(exposure, "skipper", (ingresses.KIND,))
    source = ingresses.source_of(exposure, live)
    ours = ingresses.copied(exposure, source)
    for paths in ingresses.paths(ours["spec"]):
        paths[:] = [one for path in paths for one in _split(exposure, path)]
    annotations = ours["metadata"]["annotations"]
    predicates = [*_predicates(routes), annotations.get(PREDICATE, "")]
    weights = _shared(exposure, routes, _weights(annotations.get(WEIGHTS, "")))
    annotations[WEIGHTS] = msgspec.json.encode(weights, order="sorted").decode()
    annotations[PREDICATE] = " && ".join(filter(None, predicates))
    found = live.get(ingresses.canary_ref(exposure))
    return (remembering(found, overlaid(found, ours)),)


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """The weights of the canary Ingress, 100/0 where it is off; Skipper reports nothing."""
    found = ingresses.canary_of(exposure, live)
    if found is None:
        return NotYet(
            f"the canary Ingress of {exposure.name}.{exposure.namespace} does not exist yet"
        )
    annotations = annotations_of(found)
    if annotations.get(PREDICATE, "").startswith(OFF):
        return seen(routes, primary=100, canary=0)
    weights = _weights(annotations.get(WEIGHTS, ""))
    if not {exposure.primary, exposure.canary} <= weights.keys():
        return NotYet(
            f"{ref_of(found)} has no weights for {exposure.primary} and {exposure.canary}"
        )
    primary, canary = (round(weights[s] * 100) for s in (exposure.primary, exposure.canary))
    return seen(routes, primary=primary, canary=canary)


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """Ours goes before the Canary does: the user's Ingress serves again by itself."""
    found = ingresses.canary_of(exposure, live)
    return () if found is None else (original_of(found) or Gone(ref_of(found), shadows=True),)


def _split(exposure: Exposure, path: Obj) -> list[Obj]:
    """The path itself, or one for each Service where it led to S."""
    if not ingresses.names(path.get("backend") or {}, exposure.name):
        return [path]
    both = [copy.deepcopy(path), copy.deepcopy(path)]
    for one, name in zip(both, (exposure.primary, exposure.canary), strict=True):
        one["backend"]["service"]["name"] = name
    return both


def _shared(exposure: Exposure, routes: Routes, theirs: dict[str, float]) -> dict[str, float]:
    """The shares, each a part of what S has among backends of the same path."""
    others = {name: weight * 100 for name, weight in theirs.items() if name != exposure.name}
    whole = theirs.get(exposure.name, 1) if others else 1
    shares = {exposure.canary: whole * routes.canary, exposure.primary: whole * routes.primary}
    return {**others, **shares}


def _predicates(routes: Routes) -> list[str]:
    found = conditions(routes.match, "skipper", headers=EXACT_OR_REGEX, query=EXACT_OR_REGEX)
    if len(found) > 1:
        raise Refusal(
            "Unsupported",
            "skipper can test one alternative: put the headers that must all match into one entry "
            "of analysis.match, or use a regex for several values",
        )
    if routes.canary == 0:
        return [OFF]
    return [PREFERRED, *(_predicate(condition) for each in found for condition in each)]


def _predicate(condition: Condition) -> str:
    value = condition.value
    if condition.is_query:
        if condition.form == "exact":
            value = f"^{re.escape(value)}$"
        return f"QueryParam({_quoted(condition.name)}, {_quoted(value)})"
    predicate = "Header" if condition.form == "exact" else "HeaderRegexp"
    return f"{predicate}({_quoted(condition.name)}, {_quoted(value)})"


def _quoted(text: str) -> str:
    """A string of Skipper's route language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _weights(text: str) -> dict[str, float]:
    try:
        return msgspec.json.decode(text, type=dict[str, int | float])
    except msgspec.MsgspecError:
        return {}
