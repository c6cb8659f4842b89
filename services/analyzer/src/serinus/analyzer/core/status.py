"""Writing down what was decided: the next status, its condition, its time (reference 1.5, 1.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from serinus.analyzer.core.times import rfc3339, unix_s
from serinus.events import CanaryStatus, Condition, Problem

PROMOTED = "Promoted"
STALLED = "Stalled"

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
    promoted = _promoted(status, new.phase, at, kind)
    return msgspec.structs.replace(new, conditions=(promoted, *others))


def _promoted(status: CanaryStatus, phase: str, at: float, kind: str) -> Condition:
    default = _PROMOTED_BY_PHASE["Initializing"]
    value, message = _PROMOTED_BY_PHASE.get(phase, default)
    return _condition(
        status,
        at,
        Condition(type=PROMOTED, status=value, reason=phase, message=message.format(kind=kind)),
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
    since = old.last_transition_time if old and old.status == wanted.status else rfc3339(at)
    return msgspec.structs.replace(
        wanted, last_update_time=rfc3339(at), last_transition_time=since or rfc3339(at)
    )


def stalled(status: CanaryStatus, at: float, problems: Sequence[Problem]) -> CanaryStatus:
    """`status` saying what keeps the manifest from working; without problems the condition goes.

    `Stalled` is the condition that kstatus, and with it Flux and Argo CD, read as "needs a person".
    The pacing stamp is left alone: a problem is no step.
    """
    others = tuple(c for c in status.conditions if c.type != STALLED)
    if not problems:
        return msgspec.structs.replace(status, conditions=others)
    message = "; ".join(str(p) for p in problems)
    wanted = Condition(type=STALLED, status="True", reason="InvalidSpec", message=message)
    return msgspec.structs.replace(status, conditions=(*others, _condition(status, at, wanted)))
