"""`spec.service` and A/B conditions as pieces of a GRPCRoute, and what a TCPRoute has no place for.

What cannot be said is refused, never left out: a match that is left out matches more.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from serinus.events.canary import HttpMatch, ServiceSpec, StringMatch
from serinus.kube.refs import Obj
from serinus.router.core.httproute import filters_of as http_filters_of
from serinus.router.core.httproute import named, shown
from serinus.router.core.objects import Refusal

_TESTED = {"name", "uri", "headers"}
# Fields of spec.service that a kind of route cannot carry.
_NOT_GRPC = ("rewrite", "cors_policy", "timeout", "backend_timeout")
_NOT_TCP = (*_NOT_GRPC, "headers", "mirror", "match", "hosts")


def matches_of(matches: Sequence[HttpMatch]) -> list[Obj]:
    """GRPCRoute matches, in order; none where one of them is everything. Raises Refusal."""
    found = [_match(match) for match in matches]
    return found if all(found) else []


def overriding(service: list[Obj], conditions: Sequence[HttpMatch]) -> list[Obj]:
    """Each A/B condition with each service match; what the condition says wins. Raises Refusal."""
    found = []
    for condition in conditions:
        special = _match(condition)
        if not special:
            raise Refusal(
                "Unsupported",
                f"a GRPCRoute can match by headers and uri; analysis.match has neither: "
                f"{shown(condition)}",
            )
        found += [copy.deepcopy(match) | copy.deepcopy(special) for match in service or [{}]]
    return found


def filters_of(service: ServiceSpec) -> list[Obj]:
    """The filters of one rule. Raises Refusal for what only requests of HTTP have."""
    _refuse("GRPCRoute", service, _NOT_GRPC)
    return http_filters_of(service, with_cors=False)


def check_tcp(service: ServiceSpec) -> None:
    """Raises Refusal for what only requests have."""
    _refuse("TCPRoute", service, _NOT_TCP)


def _match(match: HttpMatch) -> Obj:
    empty = HttpMatch()
    for field in match.__struct_fields__:
        if field not in _TESTED and getattr(match, field) != getattr(empty, field):
            raise Refusal(
                "Unsupported", f"a GRPCRoute can match by headers and uri only: {shown(match)}"
            )
    found: Obj = {}
    method = _method(match.uri) if match.uri is not None else {}
    if method:
        found["method"] = {"type": "Exact", **method}
    if match.headers:
        found["headers"] = named("header", match.headers)
    return found


def _method(uri: StringMatch) -> Obj:
    """`/package.Service/Method` exactly, or every method of `/package.Service/`."""
    path = uri.exact if isinstance(uri.exact, str) else uri.prefix
    service, _, method = (
        path.removeprefix("/").partition("/") if isinstance(path, str) else ("",) * 3
    )
    is_method = isinstance(uri.exact, str)
    if path == "/" and not is_method:
        return {}
    if not service or bool(method) != is_method:
        raise Refusal(
            "Unsupported",
            "a GRPCRoute matches uri by exact /package.Service/Method or by prefix "
            f"/package.Service/: {shown(uri)}",
        )
    return {"service": service, "method": method} if is_method else {"service": service}


def _refuse(kind: str, service: ServiceSpec, fields: Sequence[str]) -> None:
    there = [field for field in fields if getattr(service, field)]
    if there:
        names = ", ".join(_camel(field) for field in there)
        raise Refusal("Unsupported", f"a {kind} has no place for spec.service: {names}")


def _camel(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)
