"""What kubectl wait, Flux and Helm read."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from serinus.coordinator.core.conditions import conditions
from serinus.coordinator.core.waves import WaveStatus


@pytest.mark.parametrize(
    ("phase", "true"),
    [
        ("Idle", "Ready"),
        ("Running", "Reconciling"),
        ("Waiting", "Reconciling"),
        ("Frozen", "Reconciling"),
        ("Paused", "Reconciling"),
        ("Stopped", "Stalled"),
        ("Refused", "Stalled"),
    ],
)
def test_one_of_three_is_true(phase: str, true: str) -> None:
    found = conditions(WaveStatus(), WaveStatus(phase=phase, message="why"), 0.0)  # type: ignore[arg-type]
    assert {"Ready", "Reconciling", "Stalled"} == {c.type for c in found}
    assert [true] == [c.type for c in found if c.status == "True"]
    assert {"why"} == {c.message for c in found}


def test_a_condition_that_stays_keeps_its_time() -> None:
    first = replace(
        WaveStatus(phase="Running"),
        conditions=conditions(WaveStatus(), WaveStatus(phase="Running"), 0.0),
    )
    later = conditions(first, WaveStatus(phase="Waiting"), 60.0)
    assert list(first.conditions) != list(later)
    assert [c.last_transition_time for c in first.conditions] == [
        c.last_transition_time for c in later
    ]
    ended = {
        c.type: c.last_transition_time for c in conditions(first, WaveStatus(phase="Idle"), 60.0)
    }
    assert ended["Ready"] != ended["Stalled"]
