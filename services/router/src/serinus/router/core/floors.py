"""The least size of a primary while its canary, or at first its target, has its requests. Pure.

An autoscaler takes pods from whoever has less to do: by the time a canary has most of the requests
the primary would have few pods left, and get everybody back in one moment. So from the canary's
first pod on the primary's autoscaler keeps the size that the primary had when it served everybody,
and at promotion what everybody needs now. Both are noted in the autoscaler itself, and given up
when the canary is gone and load has come back to be measured.
"""

from __future__ import annotations

import copy

from serinus.kube.refs import Obj
from serinus.router.core.objects import annotations_of
from serinus.router.scalers.catalog import Scaler

# What the least number of replicas is without us.
LEAST = "serinus.dev/least-replicas"
# Metrics of a minute ago say that the primary has little to do: they are waited out.
KEPT_S = 120.0


def floor(live: Obj, scaler: Scaler) -> int:
    """What the primary is kept at now; 0: nothing."""
    return scaler.least(live) if LEAST in annotations_of(live) else 0


def held(whole: Obj, size: int, scaler: Scaler) -> Obj:
    """The primary's autoscaler with `size` as its least, as far as it may go; never a smaller one
    than it has."""
    least, size = scaler.least(whole), min(size, scaler.most(whole))
    if size <= least:
        return whole
    raised = scaler.with_least(copy.deepcopy(whole), size)
    annotations = {LEAST: str(least), **annotations_of(whole)}
    raised["metadata"]["annotations"] = annotations
    return raised


def freed(live: Obj, scaler: Scaler) -> Obj:
    """The primary's autoscaler as its manifest has it."""
    annotations = annotations_of(live)
    least = annotations.pop(LEAST, "")
    if not least.isdigit():
        return live
    whole = scaler.with_least(copy.deepcopy(live), int(least))
    whole["metadata"]["annotations"] = annotations
    return whole


def for_everybody(primary: int, canary: int, share: int) -> int:
    """Pods that could serve everybody: as many as both have together do, and so does a canary that
    grows with its share."""
    return min(primary + canary, -(-100 * canary // share)) if share else primary
