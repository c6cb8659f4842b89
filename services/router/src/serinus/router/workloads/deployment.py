"""Deployments: parked means no replicas (reference 3.3 to 3.5)."""

from __future__ import annotations

import copy

from serinus.kube.refs import Obj
from serinus.router.workloads import primary as common
from serinus.router.workloads.primary import Making

COPIED = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")


def check(target: Obj) -> str:
    """Why the target cannot be released, "" if it can."""
    return ""


def primary(target: Obj, making: Making) -> Obj:
    """A new primary of the target's size, one replica at least."""
    spec = {k: v for k, v in _spec(target, making).items() if v is not None}
    return common.created(target, making, {"replicas": replicas(target) or 1, **spec})


def promoted(primary_now: Obj, target: Obj, making: Making) -> Obj:
    """The primary with the target's template.

    The number of replicas follows the target only where no autoscaler minds it, and never to 0:
    the target may be parked. An autoscaler that has raised its least number is not waited for.
    """
    spec = _spec(target, making)
    if not making.autoscaler and replicas(target) > 0:
        spec["replicas"] = replicas(target)
    elif making.autoscaler and replicas(primary_now) < making.least:
        spec["replicas"] = making.least
    return common.promoted(primary_now, target, making, spec)


def is_parked(target: Obj) -> bool:
    return replicas(target) == 0


def parked(target: Obj) -> Obj:
    """The target without replicas."""
    return with_replicas(target, 0)


def running(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    """The target with replicas again, if it has none (reference 3.5).

    scaler_minimum  the target's autoscaler's, None where there is no autoscaler
    """
    if replicas(target) > 0:
        return target
    if scaler_minimum is not None:
        return with_replicas(target, max(scaler_minimum, 1))
    return with_replicas(target, max(replicas(primary_now) if primary_now else 0, 1))


def released(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    """The target at the primary's size at least; an autoscaler that is awake is left its number."""
    if scaler_minimum is not None and replicas(target) > 0:
        return target
    if primary_now is None:
        return running(target, None, scaler_minimum)
    size = max(replicas(primary_now), replicas(target), 1)
    return target if size == replicas(target) else with_replicas(target, size)


def available(workload: Obj) -> int:
    """Pods that serve."""
    return int((workload.get("status") or {}).get("availableReplicas") or 0)


def replicas(workload: Obj) -> int:
    """What is wanted; Kubernetes takes a missing number for 1."""
    number = workload["spec"].get("replicas")
    return 1 if number is None else int(number)


def with_replicas(workload: Obj, number: int) -> Obj:
    whole = copy.deepcopy(workload)
    whole["spec"]["replicas"] = number
    return whole


def _spec(target: Obj, making: Making) -> Obj:
    template = common.template(target, making)
    template["spec"] = common.spread(template["spec"], target, making)
    return {**{f: copy.deepcopy(target["spec"].get(f)) for f in COPIED}, "template": template}
