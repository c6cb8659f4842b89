"""The environment that a container's program gets. Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from serinus.sandbox import jsonpath
from serinus.sandbox.errors import Obj

Lookup = Callable[[str, str], Obj | None]
"""("configmaps" or "secrets", name) -> the object of the pod's namespace."""


class Missing(Exception):
    """A ConfigMap, Secret or key that the pod needs is not there."""


def _data(kind: str, obj: Obj) -> dict[str, str]:
    data = obj.get("data") or {}
    if kind == "configmaps":
        return dict(data)
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def _source(kind: str, ref: Obj, lookup: Lookup) -> dict[str, str]:
    found = lookup(kind, ref["name"])
    if found is None:
        if ref.get("optional"):
            return {}
        raise Missing(f'{kind[:-1]} "{ref["name"]}" not found')
    return _data(kind, found)


def environment(container: Obj, pod: Obj, lookup: Lookup) -> dict[str, str]:
    """The variables of `env` and `envFrom`; raises Missing as the real kubelet would wait."""
    found: dict[str, str] = {}
    for entry in container.get("envFrom") or []:
        prefix = entry.get("prefix", "")
        for field, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if field in entry:
                data = _source(kind, entry[field], lookup)
                found |= {prefix + key: value for key, value in data.items()}
    for entry in container.get("env") or []:
        value = _value(entry, pod, lookup)
        if value is not None:
            found[entry["name"]] = value
    return found


def _value(entry: Obj, pod: Obj, lookup: Lookup) -> str | None:
    source: Any = entry.get("valueFrom")
    if not source:
        return str(entry.get("value", ""))
    for field, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if field in source:
            ref = source[field]
            data = _source(kind, ref, lookup)
            if ref["key"] not in data and not ref.get("optional"):
                raise Missing(f'key "{ref["key"]}" not found in {kind[:-1]} "{ref["name"]}"')
            return data.get(ref["key"])
    if "fieldRef" in source:
        path = source["fieldRef"]["fieldPath"].replace("['", ".").replace("']", "")
        values = jsonpath.find(pod, "." + path)
        return str(values[0]) if values else ""
    return ""
