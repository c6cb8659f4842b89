"""StatefulSets: target and primary are one object, parted by ordinals (`core/inplace.py`).

Identity and volumes belong to ordinals, so there is no second workload: the promoted revision runs
in the pods below the partition, a newer one in those from it on.
"""

from __future__ import annotations

from serinus.kube.partition import PARKED, parts, with_partition
from serinus.kube.refs import Obj
from serinus.router.core.objects import PROMOTED_REVISION, annotations_of
from serinus.router.workloads.primary import Making


def check(target: Obj) -> str:
    """Why the target cannot be released, "" if it can: OnDelete knows no partition."""
    strategy = (target["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate"
    if strategy == "RollingUpdate":
        return ""
    meta = target["metadata"]
    what = f"statefulset {meta['name']}.{meta['namespace']}"
    return f"{what} must have RollingUpdate strategy but have {strategy}"


def primary(target: Obj, making: Making) -> Obj:
    """Never missing where there is a target: it is the target."""
    return promoted(target, target, making)


def promoted(primary_now: Obj, target: Obj, making: Making) -> Obj:
    """The set as it is once every pod runs the newest revision."""
    return with_partition(noted(target, making.revision), PARKED)


def noted(target: Obj, revision: str) -> Obj:
    """The set that remembers what all of its pods run."""
    annotations = {**annotations_of(target), PROMOTED_REVISION: revision}
    return {**target, "metadata": {**target["metadata"], "annotations": annotations}}


def start(target: Obj) -> int:
    """The lowest ordinal."""
    return int((target["spec"].get("ordinals") or {}).get("start") or 0)


def is_parked(target: Obj) -> bool:
    found = parts(target)
    return not found.canary_wanted and found.is_one


def parked(target: Obj) -> Obj:
    return with_partition(target, PARKED)


def running(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    """The set with one pod of the newest revision, if it had none."""
    found = parts(target)
    return target if found.canary_wanted else with_partition(target, max(1, found.size - 1))


def released(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    """The set as its own rollouts need it, and nothing of ours left on it."""
    annotations = annotations_of(target)
    annotations.pop(PROMOTED_REVISION, None)
    freed = {**target, "metadata": {**target["metadata"], "annotations": annotations}}
    return with_partition(freed, 0)


def available(workload: Obj) -> int:
    """Pods that serve, whatever they run."""
    found = parts(workload)
    return max(0, found.size - found.missing)
