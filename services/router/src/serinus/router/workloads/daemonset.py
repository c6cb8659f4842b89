"""DaemonSets: parked means a node selector that no node answers (reference 3.4, 3.5)."""

from __future__ import annotations

import copy

from serinus.kube.refs import Obj
from serinus.kube.revision import SCALE_TO_ZERO, unparked
from serinus.router.workloads import primary as common
from serinus.router.workloads.primary import Making

COPIED = ("minReadySeconds", "revisionHistoryLimit", "updateStrategy")


def check(target: Obj) -> str:
    """Why the target cannot be released, "" if it can: OnDelete would never roll out."""
    strategy = (target["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate"
    if strategy == "RollingUpdate":
        return ""
    meta = target["metadata"]
    what = f"daemonset {meta['name']}.{meta['namespace']}"
    return f"{what} must have RollingUpdate strategy but have {strategy}"


def primary(target: Obj, making: Making) -> Obj:
    """A new primary on the same nodes."""
    spec = {k: v for k, v in _spec(target, making).items() if v is not None}
    return common.created(target, making, spec)


def promoted(primary_now: Obj, target: Obj, making: Making) -> Obj:
    """The primary with the target's template."""
    return common.promoted(primary_now, target, making, _spec(target, making))


def is_parked(target: Obj) -> bool:
    return SCALE_TO_ZERO in (_pods(target).get("nodeSelector") or {})


def parked(target: Obj) -> Obj:
    """The target with a node selector that no node has."""
    whole = copy.deepcopy(target)
    nodes = _pods(target).get("nodeSelector") or {}
    _pods(whole)["nodeSelector"] = {**nodes, SCALE_TO_ZERO: "true"}
    return whole


def running(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    """The target on its own nodes again."""
    if not is_parked(target):
        return target
    whole = copy.deepcopy(target)
    nodes = _pods(whole)["nodeSelector"]
    del nodes[SCALE_TO_ZERO]
    if not nodes:
        del _pods(whole)["nodeSelector"]
    return whole


def released(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    """The same as running: a DaemonSet has no size of its own."""
    return running(target, primary_now, scaler_minimum)


def available(workload: Obj) -> int:
    """Pods that serve."""
    return int((workload.get("status") or {}).get("numberAvailable") or 0)


def _pods(workload: Obj) -> Obj:
    pods: Obj = workload["spec"]["template"]["spec"]
    return pods


def _spec(target: Obj, making: Making) -> Obj:
    template = common.template(target, making)
    pods = unparked(template["spec"])
    if not pods["nodeSelector"]:
        del pods["nodeSelector"]
    template["spec"] = pods
    return {**{f: copy.deepcopy(target["spec"].get(f)) for f in COPIED}, "template": template}
