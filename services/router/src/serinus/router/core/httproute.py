"""Istio's words for matches, headers and rewrites, said in those of the Gateway API.

Only translation: which rules there are is decided in `meshes.gatewayapi`. What cannot be said is
refused with the reference's texts (4.4), never left out: a match that is left out matches more.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET

from serinus.events.canary import (
    CorsPolicy,
    HeaderOperations,
    HttpMatch,
    Rewrite,
    ServiceSpec,
    SessionAffinity,
    StaticMirror,
    StringMatch,
    duration_s,
)
from serinus.kube.refs import Obj
from serinus.router.core.objects import Refusal

EVERYTHING: Obj = {"path": {"type": "PathPrefix", "value": "/"}}
_PATH = {"exact": "Exact", "prefix": "PathPrefix", "regex": "RegularExpression"}
_VALUE = {"exact": "Exact", "regex": "RegularExpression"}
# The API fills this in where a policy has no maxAge; left out, every read-back would differ.
CORS_MAX_AGE_S = 5


def matches_of(matches: Sequence[HttpMatch]) -> list[Obj]:
    """HTTPRoute matches, in order; everything where there are none. Raises Refusal."""
    return [{**copy.deepcopy(EVERYTHING), **_match(m)} for m in matches] or [
        copy.deepcopy(EVERYTHING)
    ]


def overriding(service: list[Obj], conditions: Sequence[HttpMatch]) -> list[Obj]:
    """Each A/B condition with each service match; its headers and parameters win. Raises Refusal.

    A condition that holds nothing this API can test would send everybody to the canary.
    """
    found = []
    for condition in conditions:
        special = _match(condition)
        special.pop("path", None)
        special.pop("method", None)
        if not special:
            raise Refusal(
                "Unsupported",
                "Gateway API can match by headers and queryParams; analysis.match has neither: "
                f"{shown(condition)}",
            )
        _no_more_than(condition, special)
        found += [copy.deepcopy(match) | copy.deepcopy(special) for match in service]
    return found


def filters_of(service: ServiceSpec, *, with_cors: bool) -> list[Obj]:
    """The filters of one rule in the reference's order. Raises Refusal."""
    filters: list[Obj] = []
    if service.headers is not None:
        request, response = service.headers.request, service.headers.response
        filters += _headers("RequestHeaderModifier", "requestHeaderModifier", request)
        filters += _headers("ResponseHeaderModifier", "responseHeaderModifier", response)
    if service.rewrite is not None:
        filters += _rewrite(service.rewrite)
    filters += [_static_mirror(mirror) for mirror in service.mirror]
    if with_cors and service.cors_policy is not None:
        filters.append(_cors(service.cors_policy))
    return filters


def set_cookie(cookie: str, settings: SessionAffinity) -> str:
    """The Set-Cookie value of the canary's cookie (reference 4.3)."""
    parts = [cookie, f"Max-Age={settings.max_age or 86400}"]
    parts += [f"Domain={settings.domain}"] if settings.domain else []
    parts += ["HttpOnly"] if settings.http_only else []
    parts += ["Partitioned"] if settings.partitioned else []
    parts += [f"Path={settings.path}"] if settings.path else []
    parts += [f"SameSite={settings.same_site}"] if settings.same_site else []
    parts += ["Secure"] if settings.secure else []
    return "; ".join(parts)


def _match(match: HttpMatch) -> Obj:
    found: Obj = {}
    if match.uri is not None:
        kind, value = _condition("path", match.uri, _PATH)
        found["path"] = {"type": kind, "value": value}
    if match.method is not None:
        _, value = _condition("method", match.method, {"exact": "Exact"})
        found["method"] = value
    if match.headers:
        found["headers"] = named("header", match.headers)
    if match.query_params:
        found["queryParams"] = named("query", match.query_params)
    return found


def named(what: str, conditions: Mapping[str, StringMatch]) -> list[Obj]:
    """Conditions by name, sorted: a map has no order, and the API compares lists in order."""
    rows = []
    for name in sorted(conditions):
        kind, value = _condition(what, conditions[name], _VALUE)
        rows.append({"type": kind, "name": name, "value": value})
    return rows


def _condition(what: str, match: StringMatch, can: Mapping[str, str]) -> tuple[str, str]:
    for form, kind in can.items():
        value = getattr(match, form)
        if isinstance(value, str):
            return kind, value
    raise Refusal(
        "Unsupported",
        f"Gateway API doesn't support the specified {what} matching selector: {shown(match)}; "
        f"use {' or '.join(can)}",
    )


def _no_more_than(condition: HttpMatch, special: Obj) -> None:
    """Refuses an A/B condition that says more than will be tested."""
    tested = {"headers": "headers", "query_params": "queryParams", "name": ""}
    empty = HttpMatch()
    for field in condition.__struct_fields__:
        is_set = getattr(condition, field) != getattr(empty, field)
        if is_set and field not in tested:
            raise Refusal(
                "Unsupported",
                f"Gateway API can match by headers and queryParams only: {shown(condition)}",
            )


def shown(value: object) -> str:
    """A piece of a manifest for a message."""
    return msgspec.json.encode(value).decode()


def _headers(type_: str, field: str, operations: HeaderOperations | None) -> list[Obj]:
    if operations is None:
        return []
    found: Obj = {}
    for name in ("set", "add"):
        values: dict[str, str] = getattr(operations, name)
        if values:
            found[name] = [{"name": k, "value": v} for k, v in sorted(values.items())]
    if operations.remove:
        found["remove"] = list(operations.remove)
    return [{"type": type_, field: found}] if found else []


def _rewrite(rewrite: Rewrite) -> list[Obj]:
    found: Obj = {}
    if rewrite.authority:
        found["hostname"] = rewrite.authority
    if rewrite.uri:
        is_prefix = rewrite.type == "ReplacePrefixMatch"
        kind, field = (
            ("ReplacePrefixMatch", "replacePrefixMatch")
            if is_prefix
            else ("ReplaceFullPath", "replaceFullPath")
        )
        found["path"] = {"type": kind, field: rewrite.uri}
    return [{"type": "URLRewrite", "urlRewrite": found}] if found else []


def check_rewrites(rules: Sequence[Obj]) -> None:
    """Raises Refusal for a rule that every API server would refuse: what a prefix is replaced in
    must be matched by that prefix, and by nothing else."""
    for rule in rules:
        paths = [(f.get("urlRewrite") or {}).get("path") or {} for f in rule.get("filters") or ()]
        if all(path.get("type") != "ReplacePrefixMatch" for path in paths):
            continue
        kinds = [(match.get("path") or {}).get("type") for match in rule.get("matches") or ()]
        if kinds != ["PathPrefix"]:
            raise Refusal(
                "Unsupported",
                "rewrite.type ReplacePrefixMatch needs rules with exactly one match, by a prefix "
                f"of the uri; these would have {len(kinds)}: use one entry in service.match and "
                "in analysis.match",
            )


def _static_mirror(mirror: StaticMirror) -> Obj:
    ref = mirror.backend_ref
    backend: Obj = {
        "group": "" if ref.group is UNSET else ref.group,
        "kind": "Service" if ref.kind is UNSET else ref.kind,
        "name": ref.name,
    }
    optional = {"namespace": ref.namespace, "port": ref.port}
    backend |= {k: v for k, v in optional.items() if v is not UNSET}
    return {"type": "RequestMirror", "requestMirror": {"backendRef": backend}}


def _cors(policy: CorsPolicy) -> Obj:
    origins = list(policy.allow_origin)
    for match in policy.allow_origins:
        if not isinstance(match.exact, str):
            raise Refusal(
                "Unsupported",
                "Gateway API doesn't support the specified corsPolicy.allowOrigins: "
                f"{shown(match)}; use exact, or allowOrigin",
            )
        origins.append(match.exact)
    cors: Obj = {}
    lists = {
        "allowOrigins": origins,
        "allowMethods": list(policy.allow_methods),
        "allowHeaders": list(policy.allow_headers),
        "exposeHeaders": list(policy.expose_headers),
    }
    cors |= {k: list(dict.fromkeys(v)) for k, v in lists.items() if v}
    if policy.allow_credentials:
        cors["allowCredentials"] = True
    cors["maxAge"] = int(duration_s(policy.max_age) or 0) or CORS_MAX_AGE_S
    return {"type": "CORS", "cors": cors}
