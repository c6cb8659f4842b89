"""What the Services of a StatefulSet select, how much its canary's pods can bear, and its pods
themselves where they must be looked at one by one. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from serinus.events import Routes
from serinus.kube.partition import REVISION_LABEL, Parts, selects_all, selects_revision
from serinus.kube.refs import Obj, controller_of
from serinus.router.core.routes import is_off


def primary_selects(
    target: Obj, parts: Parts, held: Mapping[str, str], *, promote: bool
) -> Mapping[str, str]:
    """What S and S-primary select: the current revision's pods; every pod while all are replaced,
    and until all of them are of one revision again.

    held  what it selects now
    """
    everything = selects_all(target)
    if promote and not parts.is_rolled_out:
        return everything
    narrow = selects_revision(target, parts.current)
    return narrow if (parts.current and parts.is_one) or held == narrow else everything


def canary_selects(
    target: Obj, parts: Parts, held: Mapping[str, str], seen: Routes | None
) -> Mapping[str, str]:
    """What S-canary selects: the newest revision's pods; others than now only while no request is
    sent there."""
    newest = selects_revision(target, parts.newest)
    is_idle = seen is None or is_off(seen)
    return newest if not held or (is_idle and parts.is_observed) else held


def eased(asked: Routes, parts: Parts, seen: Routes | None) -> Routes:
    """The share that is asked for, as far as the canary's pods can bear it with one pod less in
    all; never less than they have now, or a pod that restarts would move requests to and fro."""
    if parts.size < 2:
        return msgspec.structs.replace(asked, primary=100, canary=0)
    if asked.match:
        return asked
    bears = 100 * min(parts.canary_available, parts.size - 1) // (parts.size - 1)
    share = min(asked.canary, max(bears, seen.canary if seen else 0))
    return msgspec.structs.replace(asked, primary=100 - share, canary=share)


def pods_key(target: Obj) -> str:
    """Names the pods of a workload among the contents that a plan may ask for."""
    labels = ",".join(f"{k}={v}" for k, v in sorted(selects_all(target).items()))
    return f"pods/{labels}"


def pods_by_ordinal(target: Obj, listed: Obj) -> dict[int, Obj]:
    """The pods of this very set that are not going away."""
    return {
        int(pod["metadata"]["name"].rpartition("-")[2]): pod
        for pod in listed["items"]
        if (controller_of(pod) or {}).get("uid") == target["metadata"].get("uid")
        and not pod["metadata"].get("deletionTimestamp")
    }


def runs(pod: Obj, revision: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return bool(labels.get(REVISION_LABEL) == revision)


def is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
