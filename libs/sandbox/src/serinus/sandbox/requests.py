"""Reading requests: what a path names, what a method means, what a body says."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml
from aiohttp import web

from serinus.sandbox import errors as e
from serinus.sandbox import yamls
from serinus.sandbox.errors import Obj
from serinus.sandbox.resources import Kinds, Resource

PATCHES = {
    "application/merge-patch+json": "merge",
    "application/json-patch+json": "json",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
    "application/apply-patch+json": "apply",
}


class Target(msgspec.Struct, frozen=True):
    """What a path names."""

    resource: Resource
    namespace: str
    name: str
    subresource: str


def target_of(kinds: Kinds, parts: list[str]) -> Target:
    """The target of a path below /api or /apis; ApiError 404 when nothing is served there."""
    group, version, rest = (
        ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    )
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    resource = kinds.at(group, version, rest[0])
    if len(rest) > 3 or (namespace and not resource.namespaced):
        raise e.no_such_path("/".join(parts))
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    known = (
        subresource == ""
        or (subresource == "status" and resource.status)
        or (subresource == "scale" and resource.scale)
        or (subresource == "log" and resource.plural == "pods")
    )
    if not known or (name and resource.namespaced and not namespace):
        raise e.no_such_path("/".join(parts))
    return Target(resource, namespace, name, subresource)


def verb_of(request: web.Request, target: Target) -> str:
    """The API verb of a request; ApiError 405 when the target cannot do it."""
    named = bool(target.name)
    if request.method in {"GET", "HEAD"}:
        if request.query.get("watch") in {"true", "1"}:
            return "watch"
        return "get" if named else "list"
    if request.method == "POST" and not named:
        if target.resource.namespaced and not target.namespace:
            raise e.not_allowed(request.method)
        return "create"
    verbs: Mapping[str, str] = {"PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    if named and request.method in verbs:
        return verbs[request.method]
    if request.method == "DELETE":
        return "deletecollection"
    raise e.not_allowed(request.method)


def agent_of(request: web.Request) -> str:
    """Who writes when no field manager is named: the client's program."""
    return request.headers.get("User-Agent", "unknown").split("/")[0] or "unknown"


async def body_of(request: web.Request, kind: str = "") -> Any:
    """The body decoded; YAML where that is the language, or an applied configuration is."""
    raw = await request.read()
    spoken = request.content_type
    try:
        if (kind == "apply" and spoken.endswith("+yaml")) or spoken == "application/yaml":
            if raw[:1] != b"{":
                return next(yamls.documents(raw), None)
        elif "json" not in spoken and spoken != "application/octet-stream":
            raise e.unsupported_media(spoken)
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, yaml.YAMLError) as broken:
        raise e.bad_request(f"the body is not what its type says: {broken}") from broken


def object_of(body: Any) -> Obj:
    """The body as an object; ApiError 400 when it is none."""
    if not isinstance(body, dict):
        raise e.bad_request("the body is not an object")
    return body


async def delete_options(request: web.Request) -> Obj:
    """DeleteOptions from the body and the query; the body wins."""
    options: Obj = {}
    if request.can_read_body and (await request.read()):
        options = object_of(await body_of(request))
    for name in ("propagationPolicy", "gracePeriodSeconds"):
        if name in request.query:
            text = request.query[name]
            options.setdefault(name, int(text) if text.isdecimal() else text)
    if "dryRun" in request.query:
        options["dryRun"] = ["All"]
    return options


def place_of(obj: Obj) -> tuple[str, str]:
    """What lists are ordered by."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def page_token(obj: Obj, version: str) -> str:
    """A `continue` token: the next page starts after `obj`."""
    raw = msgspec.json.encode([*place_of(obj), version])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def page_start(token: str) -> tuple[str, str, str] | None:
    """(namespace, name, version) of a token, None for none; ApiError 400 for a wrong one."""
    if not token:
        return None
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return msgspec.json.decode(raw, type=tuple[str, str, str])
    except (binascii.Error, msgspec.DecodeError) as broken:
        raise e.bad_request("continue key is not valid") from broken
