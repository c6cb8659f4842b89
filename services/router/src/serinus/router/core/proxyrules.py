"""Routes of a HTTPProxy: A/B conditions in Contour's words, and a user's routes for `borrowed`."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from serinus.events.canary import HttpMatch
from serinus.kube.refs import Obj
from serinus.router.core.conditions import ANY_FORM, Condition, conditions
from serinus.router.core.objects import Refusal

# Where Linkerd runs beside Contour it goes by this header, which names one Service.
LINKERD = "l5d-dst-override"


def alternatives(match: Sequence[HttpMatch]) -> list[list[Obj]]:
    """The conditions of each alternative of an A/B test. Raises Refusal."""
    found = conditions(match, "contour", headers=ANY_FORM, query=ANY_FORM)
    return [[_condition(one) for one in all_of] for all_of in found]


def mirror(entry: Obj, percent: int) -> Obj:
    """An entry that gets copies of requests instead of a share; percent 0: of every one."""
    whole = {k: v for k, v in copy.deepcopy(entry).items() if k != "weight"}
    # To Contour a weight of 0 is none at all, which means everything.
    return whole | {"mirror": True} | ({"weight": percent} if percent else {})


class ProxyRoutes:
    """Routes of a user's HTTPProxy; see `borrowed.Dialect`."""

    sections: tuple[str, ...] = ("routes",)
    entries = "services"

    def weights(self, entries: Sequence[Obj]) -> list[int | None]:
        """Where nobody has a weight all count the same; a mirror's is a percentage of copies."""
        given = [entry.get("weight", 0) for entry in entries if not entry.get("mirror")]
        default = 0 if any(given) else 1
        return [None if e.get("mirror") else e.get("weight", 0) or default for e in entries]

    def service_of(self, entry: Obj, namespace: str) -> str:
        name: str = entry.get("name", "")
        return name

    def leading_to(self, entry: Obj, service: str) -> Obj:
        whole = {**copy.deepcopy(entry), "name": service}
        for header in (whole.get("requestHeadersPolicy") or {}).get("set") or ():
            if header.get("name", "").lower() == LINKERD:
                _, dot, rest = header.get("value", "").partition(".")
                header["value"] = f"{service}{dot}{rest}"
        return whole

    def narrowed(self, section: str, rule: Obj, conditions: Sequence[HttpMatch]) -> list[Obj]:
        found = []
        for each in alternatives(conditions):
            names = {_name(one) for one in each}
            kept = [one for one in rule.get("conditions") or () if _name(one) not in names]
            found.append({**copy.deepcopy(rule), "conditions": [*copy.deepcopy(kept), *each]})
        return found

    def mirrored(self, section: str, rule: Obj, canary: Obj, percent: int) -> Obj:
        if any(entry.get("mirror") for entry in rule["services"]):
            raise Refusal("Route", "the route has a mirror of its own, Contour allows but one")
        return {**copy.deepcopy(rule), "services": [*rule["services"], mirror(canary, percent)]}

    def mirrors_to(self, rule: Obj, service: str, namespace: str) -> bool:
        return any(_is_mirror(entry, service) for entry in rule.get("services") or ())

    def unmirrored(self, rule: Obj, service: str, namespace: str) -> Obj:
        kept = [entry for entry in rule["services"] if not _is_mirror(entry, service)]
        return {**rule, "services": kept}


def _is_mirror(entry: Obj, service: str) -> bool:
    return bool(entry.get("mirror")) and entry.get("name") == service


def _condition(condition: Condition) -> Obj:
    """A header's prefix or suffix is tested as a part, which is all that Contour can do."""
    form = condition.form
    if condition.is_query:
        return {"queryParameter": {"name": condition.name, form: condition.value}}
    said = "contains" if form in ("prefix", "suffix") else form
    return {"header": {"name": condition.name, said: condition.value}}


def _name(condition: Obj) -> tuple[str, str]:
    """What a condition is about; ("", "") for a path."""
    header, parameter = condition.get("header"), condition.get("queryParameter")
    if header:
        return "header", header.get("name", "").lower()
    return ("query", parameter.get("name", "")) if parameter else ("", "")
