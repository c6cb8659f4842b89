"""The record: a canary's status, written by compare-and-swap, and what we know of the object.

After our own write the watcher's news may still be old. resourceVersions are opaque: they are
compared for equality only. So an object is old when its version is one that we replaced or saw
replaced, and a Canary is old, too, when its generation or the stamp of its status is behind what we
have; anything else is newer. Watchers' clocks are not asked: there may be two that disagree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from serinus.analyzer.core.times import unix_s
from serinus.events import (
    API_VERSION,
    FINALIZER,
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    CanaryStatus,
)
from serinus.kube.cluster import Cluster
from serinus.kube.refs import Obj, Ref

NUMBERS = ("canaryWeight", "failedChecks", "iterations")
MAPS = frozenset({"trackedConfigs", "canaryAnalysis", "requests"})
MANAGER = "serinus-analyzer"
MAX_SUPERSEDED = 32
# What of a snapshot is of one version with the target or the primary.
SURROUNDINGS: Mapping[str, tuple[str, ...]] = {
    "target": ("target", "same_template", "configs", "missing_configs"),
    "primary": ("primary", "same_template"),
}
# Behind columns of kubectl: written with every status, so that a zero is not a blank.
NUMBERS = ("canaryWeight", "iterations", "failedChecks")


def ref_of(canary: CanaryRef) -> Ref:
    return Ref(API_VERSION, "Canary", canary.namespace, canary.name)


class Memory:
    """One canary as we know it: the newest object, and the newest surroundings.

    `current` is a snapshot in which everything from the Canary object is of one version, the newest
    we know, whether the watcher told us or our own write did.
    """

    def __init__(self, seen: CanaryObserved) -> None:
        self._begin(seen)

    def _begin(self, seen: CanaryObserved) -> None:
        self.current = seen
        self._superseded: deque[str] = deque(maxlen=MAX_SUPERSEDED)
        self._past = {part: deque[str](maxlen=MAX_SUPERSEDED) for part in SURROUNDINGS}

    def take(self, seen: CanaryObserved) -> bool:
        """Takes a snapshot in; says whether it brought a newer version of the object."""
        known = self.current
        if seen.canary.uid != known.canary.uid:
            self._begin(seen)
            return True
        seen = self._around(seen)
        is_old = seen.resource_version in self._superseded or _is_behind(seen, known)
        if seen.resource_version == known.resource_version:
            self.current = seen
            return False
        if is_old:
            self.current = replace(
                seen,
                resource_version=known.resource_version,
                generation=known.generation,
                deleting=known.deleting,
                finalizers=known.finalizers,
                annotations=known.annotations,
                spec=known.spec,
                status=known.status,
            )
            return False
        self.current = seen
        return True

    def _around(self, seen: CanaryObserved) -> CanaryObserved:
        """The snapshot, with those surroundings as they are known that it has in an old version."""
        for part, past in self._past.items():
            old, new = getattr(self.current, part), getattr(seen, part)
            if new.resource_version == old.resource_version:
                continue
            if new.resource_version in past:
                kept = {name: getattr(self.current, name) for name in SURROUNDINGS[part]}
                seen = replace(seen, **kept)
            elif old.resource_version:
                past.append(old.resource_version)
        return seen

    def wrote(self, obj: Obj) -> None:
        """Takes the API server's answer to a write of ours in."""
        known, meta = self.current, obj["metadata"]
        version = str(meta["resourceVersion"])
        if version != known.resource_version:
            self._superseded.append(known.resource_version)
        self.current = replace(
            known,
            resource_version=version,
            generation=int(meta.get("generation", known.generation)),
            deleting="deletionTimestamp" in meta,
            finalizers=tuple(meta.get("finalizers") or ()),
            status=msgspec.convert(obj.get("status") or {}, CanaryStatus),
        )

    def read(self, obj: Obj) -> None:
        """Takes the live object in, after a conflict that no snapshot explained."""
        self.wrote(obj)
        self.current = replace(self.current, spec=msgspec.convert(obj["spec"], CanarySpec))


def _is_behind(seen: CanaryObserved, known: CanaryObserved) -> bool:
    """Whether one of the numbers that only grow was greater before."""
    stamps = (unix_s(one.status.last_transition_time) for one in (seen, known))
    return seen.generation < known.generation or next(stamps) < next(stamps)


async def write_status(cluster: Cluster, seen: CanaryObserved, status: CanaryStatus) -> Obj:
    """Writes `status` if the object is still the version of `seen`; the object afterwards.

    Raises Conflict (Stale) when it is not, NotFound, Unreachable (Retry), Refuse.
    """
    patch = {
        "metadata": {"resourceVersion": seen.resource_version},
        "status": status_patch(seen.status, status),
    }
    return await cluster.patch(ref_of(seen.canary), patch, manager=MANAGER, subresource="status")


async def write_finalizer(cluster: Cluster, seen: CanaryObserved, wanted: bool) -> Obj | None:
    """Puts our finalizer on the object or takes it off; None when that is so already."""
    if (FINALIZER in seen.finalizers) == wanted:
        return None
    others = [name for name in seen.finalizers if name != FINALIZER]
    finalizers = [*others, FINALIZER] if wanted else others
    patch = {
        "metadata": {"resourceVersion": seen.resource_version, "finalizers": finalizers or None}
    }
    return await cluster.patch(ref_of(seen.canary), patch, manager=MANAGER)


def status_patch(old: CanaryStatus, new: CanaryStatus) -> dict[str, Any]:
    """The merge patch from `old` to `new`: changed fields and the numbers, null for what is to go.

    Times must be times: an empty one is left out, as the resource definition wants it.
    """
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    # Argo CD's health check reads Flagger's numbers without asking whether they are there.
    first = not old.last_transition_time
    patch: dict[str, Any] = {name: after[name] for name in NUMBERS if first}
    for field, value in after.items():
        if value == before.get(field) and field not in NUMBERS:
            continue
        patch[field] = value if value != "" else None
    # A patch without it would have the API server accept a write that changes nothing.
    patch.setdefault("lastTransitionTime", after["lastTransitionTime"] or None)
    for field in MAPS & patch.keys():
        patch[field] = _map_patch(before[field], after[field])
    if "conditions" in patch:
        patch["conditions"] = [_without_empty(c) for c in after["conditions"]]
    return patch


def _map_patch(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if new is None:
        return None
    gone: dict[str, Any] = {key: None for key in old or () if key not in new}
    return {**gone, **new}


def _without_empty(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in condition.items() if v != "" or not k.endswith("Time")}
