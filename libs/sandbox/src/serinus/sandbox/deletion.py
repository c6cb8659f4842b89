"""What a DELETE makes of an object: nothing, or something that waits to go. Pure."""

from __future__ import annotations

import copy

from serinus.sandbox import errors as e
from serinus.sandbox.errors import Obj
from serinus.sandbox.resources import Resource

NAMESPACES = ("", "namespaces")
PODS = ("", "pods")


def check(resource: Resource, live: Obj, preconditions: Obj) -> None:
    """Raises ApiError 409 when the object is not the one that was meant."""
    for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        have = live["metadata"][field]
        if preconditions.get(field) and preconditions[field] != have:
            why = (
                f"Precondition failed: {label} in precondition: {preconditions[field]}, "
                f"{label} in object meta: {have}"
            )
            raise e.conflict(resource.plural, resource.group, live["metadata"]["name"], why)


def begin(resource: Resource, live: Obj, options: Obj, now: str) -> Obj | None:
    """The object as it waits for its end, `live` itself when it waits already; None: remove it.

    `options` are DeleteOptions. Finalizers hold an object, a running pod has its grace, and a
    namespace goes when it is empty.
    """
    new = copy.deepcopy(live)
    meta = new["metadata"]
    again = bool(meta.get("deletionTimestamp"))
    policy = options.get("propagationPolicy") or (
        "Orphan" if options.get("orphanDependents") else ""
    )
    extra = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy)
    if extra and not again and extra not in (meta.get("finalizers") or ()):
        meta["finalizers"] = [*(meta.get("finalizers") or ()), extra]
    grace = _grace(resource, live, options)
    if not (meta.get("finalizers") or grace > 0 or resource.id == NAMESPACES):
        return None
    if again and grace >= meta.get("deletionGracePeriodSeconds", 0):
        return live
    if not again and resource.generation:
        meta["generation"] = meta.get("generation", 0) + 1
    meta["deletionTimestamp"] = meta.get("deletionTimestamp") or now
    meta["deletionGracePeriodSeconds"] = grace
    if resource.id == NAMESPACES:
        new["status"] = {**new.get("status", {}), "phase": "Terminating"}
    return new


def _grace(resource: Resource, live: Obj, options: Obj) -> int:
    """Seconds that the object may live on; only pods with a process have any."""
    if resource.id != PODS or not live["spec"].get("nodeName"):
        return 0
    if live.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
        return 0
    asked = options.get("gracePeriodSeconds")
    return int(live["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked)


def over(resource: Resource, obj: Obj) -> bool:
    """Whether an object that is being deleted waits for nothing any more."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("deletionGracePeriodSeconds", 0) > 0:
        return False
    if resource.id == NAMESPACES and (obj.get("spec") or {}).get("finalizers"):
        return False
    return not meta.get("finalizers")
