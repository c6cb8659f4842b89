"""Knative Services as targets: target and primary are one object (reference 3.4, 4.14).

Its revisions are what others have as workloads: the newest one is the canary, the one that an
annotation names the primary. Knative starts and stops pods itself; promotion is that annotation.
"""

from __future__ import annotations

import copy

from serinus.kube.refs import Obj
from serinus.router.core.objects import LIVE_REVISION, annotations_of
from serinus.router.workloads import primary as common
from serinus.router.workloads.primary import Making


def check(target: Obj) -> str:
    return ""


def primary(target: Obj, making: Making) -> Obj:
    """Never missing where there is a target: it is the target."""
    return promoted(target, target, making)


def promoted(primary_now: Obj, target: Obj, making: Making) -> Obj:
    """The newest revision is the live one from now on."""
    whole = copy.deepcopy(target)
    whole["metadata"]["annotations"] = {
        **annotations_of(target),
        LIVE_REVISION: newest(target),
        **common.promoted_note(making),
    }
    return whole


def newest(target: Obj) -> str:
    """The name of the latest revision that Knative has made, "" before the first."""
    found: str = (target.get("status") or {}).get("latestCreatedRevisionName", "")
    return found


def is_live(target: Obj) -> bool:
    """Whether the newest revision is the live one, or will be the first."""
    return annotations_of(target).get(LIVE_REVISION, newest(target)) == newest(target)


def is_parked(target: Obj) -> bool:
    return False


def parked(target: Obj) -> Obj:
    return target


def running(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    return target


def released(target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
    return target


def available(workload: Obj) -> int:
    """Knative keeps requests until a pod is there."""
    return 1
