"""Ready, Reconciling and Stalled, as kstatus reads them."""

from __future__ import annotations

from typing import Literal

from serinus.coordinator.core.waves import WaveCondition, WaveStatus
from serinus.kube.times import rfc3339

STALLED = ("Stopped", "Refused")


def conditions(before: WaveStatus, now: WaveStatus, at: float) -> tuple[WaveCondition, ...]:
    """The three conditions; one that says the same keeps its time."""
    says = {
        "Ready": now.phase == "Idle",
        "Reconciling": now.phase not in ("Idle", *STALLED),
        "Stalled": now.phase in STALLED,
    }
    known = {condition.type: condition for condition in before.conditions}
    found = []
    for kind, is_so in says.items():
        old, status = known.get(kind), says_so(is_so)
        since = old.last_transition_time if old is not None and old.status == status else ""
        found.append(
            WaveCondition(
                type=kind,
                status=status,
                reason=now.phase,
                message=now.message,
                last_transition_time=since or rfc3339(at),
            )
        )
    return tuple(found)


def says_so(is_so: bool) -> Literal["True", "False"]:
    return "True" if is_so else "False"
