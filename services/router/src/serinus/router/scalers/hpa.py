"""HorizontalPodAutoscalers: the primary gets one of its own (reference 3.9).

The target's needs no pausing: an HPA stands still while its target has no replicas.
"""

from __future__ import annotations

import copy

from serinus.events import CanaryRef
from serinus.events.canary import AutoscalerRef
from serinus.kube.refs import Obj
from serinus.kube.standin import SUFFIX
from serinus.router.core.objects import overlaid
from serinus.router.core.twins import metadata, twin

COPIED = ("metrics", "behavior")


def primary(source: Obj, reference: AutoscalerRef, canary: CanaryRef) -> Obj:
    """A new autoscaler for the primary."""
    return twin(source, _spec(source, reference), canary)


def standin(source: Obj, canary: CanaryRef) -> Obj:
    """A new autoscaler for a stand-in."""
    spec: Obj = copy.deepcopy(source["spec"])
    spec["scaleTargetRef"]["name"] += SUFFIX
    return twin(source, spec, canary, suffix=SUFFIX)


def updated(live: Obj, source: Obj, reference: AutoscalerRef) -> Obj:
    """The primary's autoscaler with what the target's says now, labels and annotations included."""
    whole = overlaid(live, {"metadata": metadata(source)})
    whole["spec"] = {
        **{k: v for k, v in live["spec"].items() if k not in COPIED},
        **_spec(source, reference),
    }
    return whole


def minimum(source: Obj) -> int:
    """How many replicas the autoscaler starts with."""
    return int(source["spec"].get("minReplicas") or 1)


def least(live: Obj) -> int:
    return minimum(live)


def most(live: Obj) -> int:
    return int(live["spec"]["maxReplicas"])


def with_least(whole: Obj, number: int) -> Obj:
    whole["spec"]["minReplicas"] = number
    return whole


def paused(source: Obj) -> Obj:
    return source


def resumed(source: Obj) -> Obj:
    return source


def _spec(source: Obj, reference: AutoscalerRef) -> Obj:
    spec = source["spec"]
    sizes = reference.primary_scaler_replicas
    target = spec["scaleTargetRef"]
    low = (sizes and sizes.min_replicas) or spec.get("minReplicas") or 1
    high = (sizes and sizes.max_replicas) or spec["maxReplicas"]
    return {
        "scaleTargetRef": {**target, "name": f"{target['name']}-primary"},
        "minReplicas": low,
        "maxReplicas": high,
        **{f: copy.deepcopy(spec[f]) for f in COPIED if f in spec},
    }
