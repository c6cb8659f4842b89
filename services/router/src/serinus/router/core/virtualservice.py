"""`spec.service` and A/B conditions as pieces of an Istio VirtualService.

A Canary speaks Istio's words, so most of it is copied. What Istio has no word for is refused: a
match that is left out matches more.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import msgspec

from serinus.events.canary import HttpMatch, ServiceSpec, StringMatch
from serinus.kube.refs import Obj
from serinus.router.core.borrowed import both
from serinus.router.core.objects import Refusal

# What a connection can be told by, when nobody reads what is sent through it.
_OF_CONNECTIONS = ("port", "gateways", "sourceLabels", "sourceNamespace")


def matches_of(matches: Sequence[HttpMatch]) -> list[Obj]:
    """HTTP matches, in order. Raises Refusal."""
    return [_plain(match) for match in matches]


def overriding(service: list[Obj], conditions: Sequence[HttpMatch]) -> list[Obj]:
    """Each A/B condition with each service match; where both say something the condition wins.

    Raises Refusal for a condition that says nothing: it would send everybody to the canary.
    """
    found = []
    for special in matches_of(conditions):
        if not special.keys() - {"name"}:
            raise Refusal("Unsupported", "analysis.match has an entry without any condition")
        found += [{**copy.deepcopy(match), **copy.deepcopy(special)} for match in service or [{}]]
    return found


def with_header(service: list[Obj], name: str, regex: str) -> list[Obj]:
    """The same matches, for requests with such a header."""
    condition = {name: {"regex": regex}}
    return [
        {**copy.deepcopy(match), "headers": {**match.get("headers", {}), **condition}}
        for match in service or [{}]
    ]


def tcp_matches_of(matches: Sequence[HttpMatch]) -> list[Obj]:
    """Matches of connections, in order. Raises Refusal for what only requests have."""
    found = matches_of(matches)
    for match in found:
        if match.keys() - set(_OF_CONNECTIONS):
            raise Refusal(
                "Unsupported",
                f"connections can be matched by {', '.join(_OF_CONNECTIONS)} only: {_shown(match)}",
            )
    return found


def http_fields(service: ServiceSpec) -> Obj:
    """Everything in an HTTP route that stays the same whoever it leads to (reference 4.16)."""
    found: Obj = {}
    if service.rewrite is not None:
        rewrite = {"uri": service.rewrite.uri, "authority": service.rewrite.authority}
        found["rewrite"] = {k: v for k, v in rewrite.items() if v}
    if service.timeout:
        found["timeout"] = service.timeout
    if service.retries is not None:
        found["retries"] = {"attempts": service.retries.attempts, **_plain(service.retries)}
    if service.cors_policy is not None:
        found["corsPolicy"] = _plain(service.cors_policy)
    if service.headers is not None:
        found["headers"] = _plain(service.headers)
    return {k: v for k, v in found.items() if v}


def adding_header(http: Obj, name: str, value: str) -> Obj:
    """The route with one more response header."""
    whole = copy.deepcopy(http)
    response = whole.setdefault("headers", {}).setdefault("response", {})
    response["add"] = {**response.get("add", {}), name: value}
    return whole


class IstioRoutes:
    """Routes of a user's VirtualService; see `borrowed.Dialect`."""

    sections: tuple[str, ...] = ("http", "tcp", "tls")
    entries = "route"

    def weights(self, entries: Sequence[Obj]) -> list[int | None]:
        return [entry.get("weight", 0) for entry in entries]

    def service_of(self, entry: Obj, namespace: str) -> str:
        return _service_of(host_of(entry), namespace)

    def leading_to(self, entry: Obj, service: str) -> Obj:
        destination = entry["destination"]
        if destination.get("subset"):
            raise Refusal(
                "Route",
                f"the destination {destination['host']} names a subset: which pods are the "
                "canary's is told by Services",
            )
        _, dot, domain = destination["host"].partition(".")
        whole = copy.deepcopy(entry)
        whole["destination"]["host"] = f"{service}{dot}{domain}"
        return whole

    def narrowed(self, section: str, rule: Obj, conditions: Sequence[HttpMatch]) -> list[Obj]:
        if section != "http":
            raise Refusal("Route", f"routes of {section} cannot match requests")
        matches, specials = rule.get("match") or [{}], overriding([], conditions)
        found = [both(match, special) for special in specials for match in matches]
        return [{**copy.deepcopy(rule), "match": found}]

    def mirrored(self, section: str, rule: Obj, canary: Obj, percent: int) -> Obj:
        if section != "http":
            raise Refusal("Route", f"routes of {section} cannot mirror")
        if "mirror" in rule or "mirrors" in rule:
            raise Refusal("Route", "the route has a mirror of its own, Istio allows but one")
        whole = {**copy.deepcopy(rule), "mirror": copy.deepcopy(canary["destination"])}
        return whole | ({"mirrorPercentage": {"value": percent}} if percent else {})

    def mirrors_to(self, rule: Obj, service: str, namespace: str) -> bool:
        return _service_of((rule.get("mirror") or {}).get("host", ""), namespace) == service

    def unmirrored(self, rule: Obj, service: str, namespace: str) -> Obj:
        if not self.mirrors_to(rule, service, namespace):
            return rule
        return {k: v for k, v in rule.items() if k not in ("mirror", "mirrorPercentage")}


def host_of(entry: Obj) -> str:
    """Whom an entry of a route leads to."""
    host: str = (entry.get("destination") or {}).get("host", "")
    return host


def _service_of(host: str, namespace: str) -> str:
    """The Service of a host: a short name is one of the VirtualService's own namespace."""
    name, _, domain = host.partition(".")
    here = ("", namespace, f"{namespace}.svc", f"{namespace}.svc.cluster.local")
    return name if domain in here else ""


def _plain(part: msgspec.Struct) -> Obj:
    # Through JSON: a tuple would never equal the list that is read back.
    found: Obj = msgspec.json.decode(msgspec.json.encode(part))
    if any(isinstance(match.suffix, str) for match in _string_matches(part)):
        raise Refusal(
            "Unsupported",
            f"Istio matches by exact, prefix or regex, not by suffix: {_shown(found)}",
        )
    return found


def _string_matches(part: msgspec.Struct) -> Iterator[StringMatch]:
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, dict):
            value = tuple(value.values())
        values = value if isinstance(value, tuple) else (value,)
        yield from (v for v in values if isinstance(v, StringMatch))


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()
