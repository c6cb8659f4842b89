"""Writing down what was decided: the next status, its conditions, its time (reference 1.5, 1.7).

`Promoted` is Flagger's condition and always the first. `Ready`, `Reconciling` and `Stalled` say the
same to kstatus, and through it to Flux, Helm and `kubectl wait`; as kstatus wants it the last two
are there only while they are true.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from serinus.analyzer.core.times import rfc3339, unix_s
from serinus.events import CanaryStatus, Condition, Problem

PROMOTED = "Promoted"
READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
DRY_RUN = "DryRun"
NO_EVIDENCE = "NoEvidence"

_DRY_RUN_MESSAGE = "Everything is decided and told, nothing is changed."
_PROMOTED_BY_PHASE = {
    "Initializing": ("Unknown", "New {kind} detected, starting initialization."),
    "Initialized": ("True", "{kind} initialization completed."),
    "Waiting": ("Unknown", "Waiting for approval."),
    "WaitingPromotion": ("Unknown", "Waiting for approval."),
    "Progressing": ("Unknown", "New revision detected, progressing canary analysis."),
    "Promoting": ("Unknown", "Canary analysis completed, starting primary rolling update."),
    "Finalising": ("Unknown", "Canary analysis completed, routing all traffic to primary."),
    "Succeeded": ("True", "Canary analysis completed successfully, promotion finished."),
    "Failed": ("False", "Canary analysis failed, {kind} scaled to zero."),
}


def remembered(status: CanaryStatus, at: float, kind: str, **changes: Any) -> CanaryStatus:
    """`status` with `changes`, stamped with `at`, its Promoted condition following the phase.

    kind  of the target, for the condition's message
    Stamps only grow, by a millisecond at least, even when a clock goes back or another replica's
    is ahead: that is how an outdated view is told from a new one.
    """
    at = max(at, unix_s(status.last_transition_time) + 0.001)
    new = msgspec.structs.replace(status, **changes, last_transition_time=rfc3339(at))
    others = tuple(c for c in new.conditions if c.type != PROMOTED)
    promoted = _condition(status, at, _promoted(new.phase, kind))
    return msgspec.structs.replace(new, conditions=(promoted, *others))


def reported(
    status: CanaryStatus,
    at: float,
    kind: str,
    problems: Sequence[Problem],
    *,
    dry_run: bool,
    lacks: str = "",
) -> CanaryStatus:
    """`status` with what kstatus reads; the very same object where nothing is to be said anew.

    The pacing stamp is left alone: a problem is no step, and neither is waiting.
    lacks  evidence that is waited for
    """
    why = "; ".join(str(p) for p in problems)
    wanted = _standing(status.phase, kind, why, dry_run, lacks)
    known = status.conditions
    begun = known[:1] if known and known[0].type == PROMOTED else ()
    if len(known) == len(begun) + len(wanted) and all(map(_says, known[len(begun) :], wanted)):
        return status
    new = tuple(_condition(status, at, condition) for condition in wanted)
    return msgspec.structs.replace(status, conditions=(*begun, *new))


def lacked(status: CanaryStatus) -> str:
    """The evidence that this status says is waited for, "" where none is."""
    texts = (c.message for c in status.conditions if c.reason == NO_EVIDENCE)
    return next(texts, "")


def is_dry(status: CanaryStatus) -> bool:
    """Whether what this status tells was only thought."""
    return any(c.type == DRY_RUN for c in status.conditions)


def since(status: CanaryStatus) -> float:
    """When the phase was entered, in Unix seconds."""
    entered = next((c.last_update_time for c in status.conditions if c.type == PROMOTED), "")
    return unix_s(entered or status.last_transition_time)


@lru_cache(maxsize=256)
def _promoted(phase: str, kind: str) -> Condition:
    value, message = _PROMOTED_BY_PHASE.get(phase, _PROMOTED_BY_PHASE["Initializing"])
    message = message.format(kind=kind)
    return Condition(type=PROMOTED, status=value, reason=phase, message=message)


@lru_cache(maxsize=1024)
def _standing(phase: str, kind: str, why: str, dry_run: bool, lacks: str) -> tuple[Condition, ...]:
    """The conditions beside Promoted, without their times."""
    message = why or lacks or _promoted(phase, kind).message
    reason = "InvalidSpec" if why else NO_EVIDENCE if lacks else phase
    ready = not why and phase in ("Initialized", "Succeeded")
    found = [Condition(type=READY, status=str(ready), reason=reason, message=message)]
    if why or phase == "Failed":
        found.append(Condition(type=STALLED, status="True", reason=reason, message=message))
    elif not ready:
        found.append(Condition(type=RECONCILING, status="True", reason=reason, message=message))
    if dry_run:
        dry = Condition(type=DRY_RUN, status="True", reason=DRY_RUN, message=_DRY_RUN_MESSAGE)
        found.append(dry)
    return tuple(found)


def _says(known: Condition, wanted: Condition) -> bool:
    return (
        known.type == wanted.type
        and known.status == wanted.status
        and known.reason == wanted.reason
        and known.message == wanted.message
    )


def _condition(status: CanaryStatus, at: float, wanted: Condition) -> Condition:
    """The condition as it is when nothing but times would change, else `wanted` with its times."""
    old = next((c for c in status.conditions if c.type == wanted.type), None)
    if (
        old is not None
        and (old.status, old.reason) == (wanted.status, wanted.reason)
        and (old.message == wanted.message or wanted.type == PROMOTED)
    ):
        return old
    same = old if old is not None and old.status == wanted.status else None
    return msgspec.structs.replace(
        wanted,
        last_update_time=rfc3339(at),
        last_transition_time=(same.last_transition_time if same else "") or rfc3339(at),
    )
