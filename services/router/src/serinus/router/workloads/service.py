"""Services as targets: no pods, the release is a change of where the Service leads (reference 3.7).

T is the user's and is never written. T-primary is a copy of it as it was promoted, T-canary a copy
of it as it is now; routes split between the two. Meant for Services that lead outside the cluster
(ExternalName); one with a selector works as well: each copy keeps its own addresses.
"""

from __future__ import annotations

import copy

from serinus.events import CanaryRef
from serinus.kube.refs import Obj, owner_reference, prefixed
from serinus.kube.revision import ADDRESSES, copied_annotations
from serinus.router.core.objects import LAST_APPLIED, annotations_of, labels_of
from serinus.router.workloads import primary as common
from serinus.router.workloads.primary import Making

# Chosen by the API server for each Service and kept by it for as long as the Service lives.
ASSIGNED = (*sorted(ADDRESSES), "ipFamilies", "ipFamilyPolicy")


def check(target: Obj) -> str:
    return ""


def primary(target: Obj, making: Making) -> Obj:
    """A new T-primary with all of the target's labels."""
    whole = _copy(target, "primary", making.canary)
    annotations = whole["metadata"].setdefault("annotations", {})
    annotations |= common.promoted_note(making)
    return whole


def promoted(primary_now: Obj, target: Obj, making: Making) -> Obj:
    """T-primary leading where the target leads; labels by prefix only (reference 3.4)."""
    whole = copy.deepcopy(primary_now)
    meta = whole["metadata"]
    meta["labels"] = prefixed(labels_of(target), making.label_prefixes)
    meta["annotations"] = {
        **prefixed(_annotations(target), making.label_prefixes),
        **common.promoted_note(making),
    }
    whole["spec"] = _spec(target, primary_now)
    return whole


def canary(target: Obj, live: Obj | None, owner: CanaryRef) -> Obj:
    """T-canary leading where the target leads now; equal to `live` when it does."""
    if live is None:
        return _copy(target, "canary", owner)
    return {**live, "spec": _spec(target, live)}


def same(target: Obj, primary_now: Obj) -> bool:
    """Whether both lead to the same place."""
    return _plain(target) == _plain(primary_now)


def is_parked(target: Obj) -> bool:
    return False


def parked(target: Obj) -> Obj:
    return target


def running(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    return target


def released(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    return target


def available(workload: Obj) -> int:
    """A Service always serves as far as anybody here can tell."""
    return 1


def _copy(target: Obj, role: str, owner: CanaryRef) -> Obj:
    meta = target["metadata"]
    found = {"labels": labels_of(target), "annotations": _annotations(target)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{meta['name']}-{role}",
            "namespace": meta["namespace"],
            **{field: values for field, values in found.items() if values},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": _spec(target, None),
    }


def _annotations(target: Obj) -> dict[str, str]:
    return copied_annotations(annotations_of(target), drop=(LAST_APPLIED,))


def _spec(target: Obj, live: Obj | None) -> Obj:
    """The target's spec with the addresses of the copy, where it needs some and has them."""
    spec = _plain(target)
    if spec.get("type") == "ExternalName" or live is None:
        return spec
    theirs = live["spec"]
    kept = {k: copy.deepcopy(theirs[k]) for k in ASSIGNED if k in theirs}
    ports = {p.get("name"): p["nodePort"] for p in theirs.get("ports") or () if p.get("nodePort")}
    for port in spec.get("ports") or ():
        if port.get("name") in ports and spec.get("type") in ("NodePort", "LoadBalancer"):
            port["nodePort"] = ports[port.get("name")]
    return {**spec, **kept}


def _plain(service: Obj) -> Obj:
    """A Service's spec without what only this one Service can have."""
    spec: Obj = copy.deepcopy(service["spec"])
    is_headless = spec.get("clusterIP") == "None"
    for field in ASSIGNED:
        spec.pop(field, None)
    for port in spec.get("ports") or ():
        port.pop("nodePort", None)
    return {**spec, "clusterIP": "None"} if is_headless else spec
