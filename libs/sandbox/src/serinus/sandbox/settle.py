"""What of a write belongs to the system: identity, generation, defaults, the status apart. Pure."""

from __future__ import annotations

import copy
from collections.abc import Callable

from serinus.sandbox import defaults, schema
from serinus.sandbox.errors import Obj
from serinus.sandbox.resources import Resource

SYSTEM = (
    "uid", "creationTimestamp", "generation", "deletionTimestamp",
    "deletionGracePeriodSeconds", "resourceVersion", "selfLink", "managedFields",
)  # fmt: skip
"""Metadata that no client writes."""


def born(resource: Resource, new: Obj, uid: str, now: str) -> Obj:
    """A body as sent, as the object that comes into being; changes `new` itself."""
    if resource.status:
        new.pop("status", None)
    for name in SYSTEM:
        new["metadata"].pop(name, None)
    new["metadata"] |= {"uid": uid, "creationTimestamp": now}
    return new


def replaced(resource: Resource, live: Obj, new: Obj) -> Obj:
    """A plain write: system metadata stays, and the status where it is apart; changes `new`."""
    if resource.status:
        new.pop("status", None)
        if "status" in live:
            new["status"] = copy.deepcopy(live["status"])
    for name in SYSTEM:
        new["metadata"].pop(name, None)
        if name in live["metadata"]:
            new["metadata"][name] = live["metadata"][name]
    return new


def told(live: Obj, new: Obj) -> Obj:
    """A write of the status: nothing else of `new` counts."""
    result = {name: value for name, value in copy.deepcopy(live).items() if name != "status"}
    if new.get("status") is not None:
        result["status"] = new["status"]
    return result


def completed(resource: Resource, live: Obj | None, new: Obj, address: Callable[[], str]) -> Obj:
    """With defaults and, for Services, an address of its own; changes `new`."""
    if not resource.custom:
        defaults.fill(resource.plural, new)
    elif resource.schema:
        new = schema.with_defaults(new, resource.schema)
    if resource.id == ("", "services"):
        spec = new["spec"]
        if spec["type"] != "ExternalName" and not spec.get("clusterIP"):
            spec["clusterIP"] = (live or {}).get("spec", {}).get("clusterIP") or address()
        if spec.get("clusterIP"):
            spec["clusterIPs"] = [spec["clusterIP"]]
    return new


def generation(resource: Resource, live: Obj | None, new: Obj) -> int:
    """The generation after this write: one more when what is desired has changed."""
    if live is None:
        return 1
    before: int = live["metadata"].get("generation", 1)
    return before + 1 if _desired(live, resource) != _desired(new, resource) else before


def _desired(obj: Obj, resource: Resource) -> Obj:
    """The spec; for custom kinds all but metadata and a status that is apart."""
    if not resource.custom:
        return {"spec": obj.get("spec")}
    skipped = {"metadata", "apiVersion"} | ({"status"} if resource.status else set())
    return {name: value for name, value in obj.items() if name not in skipped}


def same_content(one: Obj, other: Obj) -> bool:
    """Whether two states differ in nothing but who owns what."""

    def content(obj: Obj) -> Obj:
        meta = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
        return {**obj, "metadata": meta}

    return content(one) == content(other)
