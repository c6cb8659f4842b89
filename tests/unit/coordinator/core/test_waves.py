"""What of a status has to be written at once."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from serinus.coordinator.core.waves import MemberStatus, Remembered, StepStatus, WaveStatus, essence

STATUS = WaveStatus(phase="Running", step="a", message="x is Progressing", done="1/2")
STEP = StepStatus(name="a", counts={"running": 1})
LISTED = MemberStatus(cluster="east", namespace="shop", name="web", state="running")


@pytest.mark.parametrize(
    "shown",
    [
        {"message": "x is Promoting", "since": "2027-01-15T08:00:00Z"},
        {"done": "2/2"},
        {"steps": (STEP,)},
        {"canaries": (LISTED,), "unlisted": 7},
    ],
)
def test_how_far_it_is_may_be_written_later(shown: dict[str, Any]) -> None:
    before = replace(STATUS, steps=(replace(STEP, counts={}),))
    assert essence(before) == essence(replace(before, **shown))


@pytest.mark.parametrize(
    "news",
    [
        {"phase": "Waiting"},
        {"step": "b"},
        {"steps": (replace(STEP, approved="alice"),)},
        {"steps": (replace(STEP, remembered=(Remembered(granted="r", canaries=("a/b/c",)),)),)},
        {"used": {"serinus.dev/override-freeze": "alice"}},
        {"running": True},
    ],
)
def test_what_is_let_go_or_waited_for_may_not(news: dict[str, Any]) -> None:
    before = replace(STATUS, steps=(STEP,))
    assert essence(before) != essence(replace(before, **news))


def test_what_is_waited_for_is_said_at_once() -> None:
    frozen = replace(STATUS, phase="Frozen", message="frozen until Monday")
    assert essence(frozen) != essence(replace(frozen, message="frozen until Tuesday"))
