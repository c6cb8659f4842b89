"""The next status: stamps that only grow, Flagger's condition, and what kstatus reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import T0, a_status

from serinus.analyzer.core.status import is_dry, remembered, reported, since
from serinus.analyzer.core.times import unix_s
from serinus.events import CanaryStatus, Problem

PROMOTED = {
    "Initializing": ("Unknown", "New Deployment detected, starting initialization."),
    "Initialized": ("True", "Deployment initialization completed."),
    "Waiting": ("Unknown", "Waiting for approval."),
    "WaitingPromotion": ("Unknown", "Waiting for approval."),
    "Progressing": ("Unknown", "New revision detected, progressing canary analysis."),
    "Promoting": ("Unknown", "Canary analysis completed, starting primary rolling update."),
    "Finalising": ("Unknown", "Canary analysis completed, routing all traffic to primary."),
    "Succeeded": ("True", "Canary analysis completed successfully, promotion finished."),
    "Failed": ("False", "Canary analysis failed, Deployment scaled to zero."),
    "Terminating": ("Unknown", "New Deployment detected, starting initialization."),
}
AT_REST = {"Initialized", "Succeeded"}


def in_phase(phase: str, *problems: Problem, dry_run: bool = False) -> CanaryStatus:
    status = remembered(CanaryStatus(), T0, "Deployment", phase=phase)
    return reported(status, T0, "Deployment", problems, dry_run=dry_run)


def kstatus(status: CanaryStatus, generation: int) -> str:
    """What kstatus makes of an object, by its own description: Current, InProgress or Failed."""
    held = {c.type: c.status for c in status.conditions}
    if status.observed_generation and status.observed_generation != generation:
        return "InProgress"
    if held.get("Reconciling") == "True":
        return "InProgress"
    if held.get("Stalled") == "True":
        return "Failed"
    return "Current" if held.get("Ready", "True") == "True" else "InProgress"


def argo_health(phase: str) -> str:
    """What Argo CD's check of this kind makes of a phase."""
    if phase == "Failed":
        return "Degraded"
    if phase in ("Progressing", "Finalising", "Promoting"):
        return "Progressing"
    return "Healthy" if phase in AT_REST else "Unknown"


@pytest.mark.parametrize("phase", PROMOTED)
def test_the_promoted_condition_is_flaggers_and_comes_first(phase: str) -> None:
    first = in_phase(phase).conditions[0]
    assert (first.type, first.reason) == ("Promoted", phase)
    assert (first.status, first.message) == PROMOTED[phase]


@pytest.mark.parametrize("phase", PROMOTED)
def test_flux_helm_and_argo_hear_the_truth(phase: str) -> None:
    status = in_phase(phase)
    expected = "Current" if phase in AT_REST else "Failed" if phase == "Failed" else "InProgress"
    assert kstatus(status, 0) == expected
    health = {"Current": "Healthy", "Failed": "Degraded"}.get(expected, "Progressing")
    assert argo_health(phase) in (health, "Unknown")
    assert all(c.message for c in status.conditions), "Argo CD joins the messages"


@pytest.mark.parametrize("phase", PROMOTED)
def test_a_manifest_that_cannot_work_needs_a_person(phase: str) -> None:
    status = in_phase(phase, Problem("spec.x", "is wrong", "mend it"))
    assert kstatus(status, 0) == "Failed"
    assert "spec.x: is wrong; mend it" in status.conditions[-1].message


def test_an_edit_that_was_not_seen_yet_is_in_progress() -> None:
    status = a_status("Succeeded", observed_generation=1)
    assert (kstatus(status, 1), kstatus(status, 2)) == ("Current", "InProgress")


def test_what_is_said_already_is_the_very_same_object() -> None:
    status = in_phase("Progressing")
    assert reported(status, T0 + 99, "Deployment", (), dry_run=False) is status


def test_times_of_conditions_say_when_they_changed() -> None:
    status = in_phase("Progressing")
    later = remembered(status, T0 + 60, "Deployment", phase="WaitingPromotion")
    promoted = later.conditions[0]
    assert unix_s(promoted.last_update_time) == T0 + 60
    assert unix_s(promoted.last_transition_time) == T0, "Unknown it was and Unknown it is"
    again = remembered(later, T0 + 90, "Deployment", failed_checks=1)
    assert since(again) == T0 + 60


def test_where_no_condition_tells_it_the_phase_began_with_the_status() -> None:
    assert since(CanaryStatus(last_transition_time="2027-01-15T08:00:00.000Z")) == T0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_stamps_only_grow(moves: list[float]) -> None:
    status, stamps = CanaryStatus(), []
    for move in moves:
        status = remembered(status, T0 + move, "Deployment", failed_checks=len(stamps))
        stamps.append(status.last_transition_time)
    assert stamps == sorted(set(stamps))


def test_the_conditions_of_others_are_replaced_as_flagger_does() -> None:
    status = in_phase("Succeeded")
    assert [c.type for c in status.conditions] == ["Promoted", "Ready"]


def test_a_dry_run_is_told() -> None:
    assert is_dry(in_phase("Progressing", dry_run=True))
    assert not is_dry(in_phase("Progressing"))
