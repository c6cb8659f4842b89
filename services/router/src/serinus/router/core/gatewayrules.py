"""Rules of a user's HTTPRoute, GRPCRoute or TCPRoute, for `borrowed`."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from serinus.events.canary import HttpMatch
from serinus.kube.refs import Obj
from serinus.router.core import grpcroute, httproute
from serinus.router.core.borrowed import both
from serinus.router.core.objects import Refusal


class GatewayRules:
    """The words of one kind of route; see `borrowed.Dialect`.

    has_percent  whether a percentage can be mirrored
    """

    sections: tuple[str, ...] = ("rules",)
    entries = "backendRefs"

    def __init__(self, kind: str, *, has_percent: bool) -> None:
        self._kind = kind
        self._has_percent = has_percent

    def weights(self, entries: Sequence[Obj]) -> list[int | None]:
        return [entry.get("weight", 1) for entry in entries]

    def service_of(self, entry: Obj, namespace: str) -> str:
        is_service = (entry.get("group") or "", entry.get("kind", "Service")) == ("", "Service")
        is_here = entry.get("namespace", namespace) == namespace
        name: str = entry.get("name", "")
        return name if is_service and is_here else ""

    def leading_to(self, entry: Obj, service: str) -> Obj:
        return {**copy.deepcopy(entry), "name": service}

    def narrowed(self, section: str, rule: Obj, conditions: Sequence[HttpMatch]) -> list[Obj]:
        match self._kind:
            case "HTTPRoute":
                everything = copy.deepcopy(httproute.EVERYTHING)
                specials = httproute.overriding([{}], conditions)
            case "GRPCRoute":
                everything = {}
                specials = grpcroute.overriding([], conditions)
            case _:
                raise Refusal("Route", f"a {self._kind} cannot match requests")
        matches = rule.get("matches") or [everything]
        found = [both(match, special) for special in specials for match in matches]
        return [{**copy.deepcopy(rule), "matches": found}]

    def mirrored(self, section: str, rule: Obj, canary: Obj, percent: int) -> Obj:
        if self._kind == "TCPRoute":
            raise Refusal("Route", "a TCPRoute cannot mirror")
        backend = {k: v for k, v in canary.items() if k not in ("weight", "filters")}
        mirror: Obj = {"backendRef": backend}
        if self._has_percent and percent:
            mirror["percent"] = percent
        added = {"type": "RequestMirror", "requestMirror": mirror}
        return {**copy.deepcopy(rule), "filters": [*(rule.get("filters") or ()), added]}

    def mirrors_to(self, rule: Obj, service: str, namespace: str) -> bool:
        return any(self._is_mirror(f, service, namespace) for f in rule.get("filters") or ())

    def unmirrored(self, rule: Obj, service: str, namespace: str) -> Obj:
        filters = rule.get("filters") or []
        kept = [f for f in filters if not self._is_mirror(f, service, namespace)]
        if len(kept) == len(filters):
            return rule
        whole = {k: v for k, v in rule.items() if k != "filters"}
        return whole | {"filters": kept} if kept else whole

    def _is_mirror(self, filter_: Obj, service: str, namespace: str) -> bool:
        backend = (filter_.get("requestMirror") or {}).get("backendRef") or {}
        return self.service_of(backend, namespace) == service
