"""The scale subresource: how many there shall be and are. Pure."""

from __future__ import annotations

import copy
from typing import Any

from serinus.sandbox import jsonpath
from serinus.sandbox.errors import Obj, bad_request
from serinus.sandbox.patch import json_patch, merge_patch
from serinus.sandbox.resources import Resource


def _paths(resource: Resource) -> tuple[str, str, str]:
    paths = resource.scale_paths or {}
    return (
        paths.get("specReplicasPath", ".spec.replicas"),
        paths.get("statusReplicasPath", ".status.replicas"),
        paths.get("labelSelectorPath", ""),
    )


def read(resource: Resource, obj: Obj) -> Obj:
    """The Scale of an object."""
    wanted, have, selector = _paths(resource)
    meta = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": _first(obj, have, 0)}
    labels = ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels")
    if selector:
        status["selector"] = _first(obj, selector, "")
    elif isinstance(labels, dict):
        status["selector"] = ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": _first(obj, wanted, 0)},
        "status": status,
    }


def _first(obj: Obj, path: str, default: Any) -> Any:
    found = jsonpath.find(obj, path)
    return found[0] if found else default


def written(current: Obj, body: Any, kind: str) -> Obj:
    """The Scale after a PUT of `body` or a patch with it."""
    if kind == "put":
        result = body
    elif kind == "json":
        result = json_patch(copy.deepcopy(current), body)
    else:
        result = merge_patch(current, body)
    replicas = (result.get("spec") or {}).get("replicas", 0) if isinstance(result, dict) else None
    if not isinstance(replicas, int) or replicas < 0:
        raise bad_request("a Scale needs spec.replicas, a number that is not negative")
    wanted: Obj = result
    return wanted


def as_patch(resource: Resource, wanted: Obj) -> Obj:
    """The merge patch of the scaled object that makes it so."""
    steps = _paths(resource)[0].strip(".").split(".")
    patch: Obj = {steps[-1]: (wanted.get("spec") or {}).get("replicas", 0)}
    for step in reversed(steps[:-1]):
        patch = {step: patch}
    version = (wanted.get("metadata") or {}).get("resourceVersion")
    return patch | ({"metadata": {"resourceVersion": version}} if version else {})
