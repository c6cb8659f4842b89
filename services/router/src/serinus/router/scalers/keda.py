"""KEDA ScaledObjects: the primary gets one of its own, the target's is paused (reference 3.9).

KEDA holds on to a workload that has no replicas, so the target's ScaledObject carries the
annotation that pauses it for as long as the canary is parked. The whole spec is copied, fields that
nobody here knows included, but for the wish to put the size back when the copy goes: the primary
keeps serving then.
"""

from __future__ import annotations

import copy
import re

from serinus.events import CanaryRef
from serinus.events.canary import AutoscalerRef
from serinus.kube.refs import Obj
from serinus.kube.standin import SUFFIX
from serinus.router.core.objects import annotations_of, overlaid
from serinus.router.core.twins import metadata, twin

MOST = 100  # KEDA's own default
PAUSED = "autoscaling.keda.sh/paused-replicas"


def primary(source: Obj, reference: AutoscalerRef, canary: CanaryRef) -> Obj:
    """A new ScaledObject for the primary; never paused, whatever the target's is now."""
    return twin(source, _spec(source, reference), canary, (PAUSED,))


def standin(source: Obj, canary: CanaryRef) -> Obj:
    """A new ScaledObject for a stand-in. Its queries are the target's: pods have its labels."""
    spec: Obj = copy.deepcopy(source["spec"])
    spec["scaleTargetRef"]["name"] += SUFFIX
    scaler = (spec.get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}
    if scaler.get("name"):
        scaler["name"] += SUFFIX
    return twin(source, spec, canary, (PAUSED,), SUFFIX)


def updated(live: Obj, source: Obj, reference: AutoscalerRef) -> Obj:
    """The primary's ScaledObject with what the target's says now."""
    return {
        **overlaid(live, {"metadata": metadata(source, (PAUSED,))}),
        "spec": _spec(source, reference),
    }


def minimum(source: Obj) -> int:
    """How many replicas the target is woken with."""
    return max(int(source["spec"].get("minReplicaCount") or 0), 1)


def least(live: Obj) -> int:
    return int(live["spec"].get("minReplicaCount") or 0)


def most(live: Obj) -> int:
    return int(live["spec"].get("maxReplicaCount") or MOST)


def with_least(whole: Obj, number: int) -> Obj:
    whole["spec"]["minReplicaCount"] = number
    return whole


def paused(source: Obj) -> Obj:
    """The target's ScaledObject, letting go of the target."""
    return overlaid(source, {"metadata": {"annotations": {PAUSED: "0"}}})


def resumed(source: Obj) -> Obj:
    """The target's ScaledObject at work again."""
    if PAUSED not in annotations_of(source):
        return source
    whole = copy.deepcopy(source)
    del whole["metadata"]["annotations"][PAUSED]
    return whole


def _spec(source: Obj, reference: AutoscalerRef) -> Obj:
    spec: Obj = copy.deepcopy(source["spec"])
    target = spec["scaleTargetRef"]["name"]
    spec["scaleTargetRef"]["name"] = f"{target}-primary"
    advanced = spec.setdefault("advanced", {})
    advanced.pop("restoreToOriginalReplicaCount", None)
    scaler = advanced.setdefault("horizontalPodAutoscalerConfig", {})
    if scaler.get("name"):
        scaler["name"] += "-primary"
    sizes = reference.primary_scaler_replicas
    if sizes and sizes.min_replicas:
        spec["minReplicaCount"] = sizes.min_replicas
    if sizes and sizes.max_replicas:
        spec["maxReplicaCount"] = sizes.max_replicas
    for trigger in spec.get("triggers") or ():
        _ask_about_primary(trigger, target, reference.primary_scaler_queries)
    return spec


def _ask_about_primary(trigger: Obj, target: str, queries: dict[str, str]) -> None:
    query = (trigger.get("metadata") or {}).get("query")
    if query is None:
        return
    if queries:
        trigger["metadata"]["query"] = queries.get(trigger.get("name", ""), query)
        return
    # Whole names only: a metric named `web_requests` is not about the workload `web`.
    named = rf"(?<![\w-]){re.escape(target)}(-canary)?(?!\w|-primary)"
    trigger["metadata"]["query"] = re.sub(named, f"{target}-primary", query)
