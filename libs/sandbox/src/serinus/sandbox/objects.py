"""Small questions about pods and owners that several controllers ask. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from serinus.sandbox.errors import Obj


def condition(obj: Obj, kind: str) -> Obj | None:
    """The status condition of this type."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == kind), None)


def is_ready(pod: Obj) -> bool:
    """Whether the pod's Ready condition is true."""
    found = condition(pod, "Ready")
    return found is not None and found.get("status") == "True"


def is_active(pod: Obj) -> bool:
    """Whether the pod is neither on its way out nor over."""
    phase = (pod.get("status") or {}).get("phase")
    return not pod["metadata"].get("deletionTimestamp") and phase not in {"Succeeded", "Failed"}


def seconds_until_available(pod: Obj, min_ready: int, now: datetime) -> float | None:
    """0 when the pod counts as available, else seconds until it will; None while not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return None
    if not min_ready:
        return 0.0
    since = datetime.fromisoformat(ready["lastTransitionTime"])
    return max(0.0, min_ready - (now - since).total_seconds())


def owner(obj: Obj, kind: str) -> str:
    """The uid of the controller of this kind that owns the object, or ""."""
    for ref in obj["metadata"].get("ownerReferences") or []:
        if ref.get("controller") and ref.get("kind") == kind:
            return str(ref.get("uid", ""))
    return ""


def owned_by(obj: Obj) -> list[Obj]:
    """A list of one owner reference, to `obj` as controller."""
    meta = obj["metadata"]
    return [
        {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def port_number(spec: Obj, port: Any) -> int | None:
    """A port by number, or by the name that a container of the pod gives it."""
    if isinstance(port, int):
        return port
    if isinstance(port, str) and port.isdecimal():
        return int(port)
    for container in spec.get("containers") or []:
        for declared in container.get("ports") or []:
            if declared.get("name") == port:
                return int(declared["containerPort"])
    return None
