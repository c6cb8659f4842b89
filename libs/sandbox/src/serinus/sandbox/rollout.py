"""How a Deployment moves from one ReplicaSet to the next. Pure.

Theory, as in Kubernetes: the new set grows while all sets together stay within replicas +
maxSurge; old sets shrink while what is available stays at least replicas - maxUnavailable, pods
that never became available first. One of the two per step, so that every state is a safe one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from serinus.sandbox.errors import Obj

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
HASH_LABEL = "pod-template-hash"


class Set(Struct, frozen=True):
    """A ReplicaSet in numbers."""

    name: str
    wanted: int
    available: int = 0


class Scale(Struct, frozen=True):
    """One change: this set shall have so many pods."""

    name: str
    replicas: int


def template_hash(template: Obj) -> str:
    """A short name for a pod template; equal templates have equal names."""
    labels = (template.get("metadata") or {}).get("labels") or {}
    bare = {
        **template,
        "metadata": {
            **(template.get("metadata") or {}),
            "labels": {k: v for k, v in labels.items() if k != HASH_LABEL},
        },
    }
    digest = hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:10])


def bounds(spec: Obj) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods; never both zero."""
    replicas = spec.get("replicas", 1)
    if spec["strategy"].get("type") == "Recreate":
        return 0, replicas
    rolling = spec["strategy"].get("rollingUpdate") or {}
    surge = _pods(rolling.get("maxSurge", "25%"), replicas, up=True)
    missing = _pods(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return (surge, missing) if surge or missing else (0, 1)


def _pods(value: Any, replicas: int, up: bool) -> int:
    if isinstance(value, str) and value.endswith("%"):
        share = int(value[:-1]) * replicas / 100
        return math.ceil(share) if up else math.floor(share)
    return int(value)


def step(spec: Obj, new: Set, old: Sequence[Set]) -> list[Scale]:
    """What to change now; nothing when the new set is all there is, or pods must come first.

    `old` is ordered oldest first.
    """
    if spec["strategy"].get("type") == "Recreate":
        return _recreate(spec.get("replicas", 1), new, old)
    grown = _grow(spec, new, old)
    return grown or _shrink(spec, new, old)


def _recreate(replicas: int, new: Set, old: Sequence[Set]) -> list[Scale]:
    doomed = [Scale(one.name, 0) for one in old if one.wanted]
    if doomed or any(one.available for one in old):
        return doomed
    return [Scale(new.name, replicas)] if new.wanted != replicas else []


def _grow(spec: Obj, new: Set, old: Sequence[Set]) -> list[Scale]:
    replicas = spec.get("replicas", 1)
    if new.wanted > replicas:
        return [Scale(new.name, replicas)]
    room = replicas + bounds(spec)[0] - new.wanted - sum(one.wanted for one in old)
    more = min(room, replicas - new.wanted)
    return [Scale(new.name, new.wanted + more)] if more > 0 else []


def _shrink(spec: Obj, new: Set, old: Sequence[Set]) -> list[Scale]:
    least = spec.get("replicas", 1) - bounds(spec)[1]
    total = new.wanted + sum(one.wanted for one in old)
    spare = total - least - max(new.wanted - new.available, 0)
    left = {one.name: one.wanted for one in old}
    for one in old:
        broken = min(max(spare, 0), one.wanted - min(one.available, one.wanted))
        left[one.name] -= broken
        spare -= broken
    for one in old:
        fewer = min(max(spare, 0), left[one.name])
        left[one.name] -= fewer
        spare -= fewer
    return [Scale(one.name, left[one.name]) for one in old if left[one.name] != one.wanted]


class Tally(Struct, frozen=True):
    """The pods of a Deployment, counted; `wanted` is what its sets ask for together."""

    wanted: int
    replicas: int
    updated: int
    ready: int
    available: int


def status(deployment: Obj, tally: Tally, new: str, now: str, late: bool) -> Obj:
    """The Deployment's status; `new` names its current set, `late` says the deadline passed."""
    spec, old = deployment["spec"], deployment.get("status") or {}
    replicas = spec.get("replicas", 1)
    counts = {
        "replicas": tally.replicas,
        "updatedReplicas": tally.updated,
        "readyReplicas": tally.ready,
        "availableReplicas": tally.available,
        "unavailableReplicas": max(tally.wanted - tally.available, 0),
    }
    found: Obj = {"observedGeneration": deployment["metadata"]["generation"]}
    found |= {name: count for name, count in counts.items() if count}
    held = {c["type"]: c for c in old.get("conditions") or []}
    enough = tally.available >= replicas - bounds(spec)[1]
    held["Available"] = _condition(
        held.get("Available"),
        "Available",
        enough,
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "Deployment has minimum availability."
        if enough
        else "Deployment does not have minimum availability.",
        now,
    )
    held["Progressing"] = _progress(held.get("Progressing"), old, tally, replicas, new, now, late)
    found["conditions"] = list(held.values())
    return found


def complete(tally: Tally, replicas: int) -> bool:
    """Whether all pods, and only pods, of the current template are there and available."""
    return tally.updated == tally.replicas == tally.available == replicas


def _progress(
    held: Obj | None, old: Obj, tally: Tally, replicas: int, new: str, now: str, late: bool
) -> Obj:
    kind = "Progressing"
    if complete(tally, replicas):
        text = f'ReplicaSet "{new}" has successfully progressed.'
        return _condition(held, kind, True, "NewReplicaSetAvailable", text, now)
    moved = (
        held is None
        or tally.updated > old.get("updatedReplicas", 0)
        or tally.ready > old.get("readyReplicas", 0)
        or tally.available > old.get("availableReplicas", 0)
        or tally.replicas - tally.updated < old.get("replicas", 0) - old.get("updatedReplicas", 0)
        or new not in held["message"]
    )
    if moved:
        text = f'ReplicaSet "{new}" is progressing.'
        fresh = _condition(held, kind, True, "ReplicaSetUpdated", text, now)
        return {**fresh, "lastUpdateTime": now}
    if late and held and held["reason"] != "NewReplicaSetAvailable":
        text = f'ReplicaSet "{new}" has timed out progressing.'
        return _condition(held, kind, False, "ProgressDeadlineExceeded", text, now)
    assert held is not None
    return held


def _condition(held: Obj | None, kind: str, true: bool, reason: str, message: str, now: str) -> Obj:
    state = "True" if true else "False"
    if held and (held["status"], held["reason"], held["message"]) == (state, reason, message):
        return held
    changed = not held or held["status"] != state
    return {
        "type": kind,
        "status": state,
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": now if changed or held is None else held["lastTransitionTime"],
    }
