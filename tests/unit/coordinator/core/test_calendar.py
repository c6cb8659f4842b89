"""When nothing may start."""

from __future__ import annotations

from datetime import datetime

import pytest

from serinus.coordinator.core.calendar import check, frozen_until
from serinus.coordinator.core.waves import Freeze


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


HOLIDAYS = Freeze(from_="2026-12-23T00:00:00Z", to="2027-01-02T00:00:00Z", reason="holidays")
WEEKEND = Freeze(days=("Fri",), from_="16:00", to="24:00", time_zone="Europe/Berlin")
NIGHT = Freeze(days=("Mon", "Tue"), from_="22:00", to="06:00")


@pytest.mark.parametrize(
    ("window", "now", "until"),
    [
        (HOLIDAYS, "2026-12-22T23:59:59Z", None),
        (HOLIDAYS, "2026-12-23T00:00:00Z", "2027-01-02T00:00:00Z"),
        (HOLIDAYS, "2027-01-02T00:00:00Z", None),
        # A Friday; Berlin is an hour ahead of UTC in November, two in July.
        (WEEKEND, "2026-11-27T14:59:00Z", None),
        (WEEKEND, "2026-11-27T15:00:00Z", "2026-11-27T23:00:00Z"),
        (WEEKEND, "2026-07-03T14:00:00Z", "2026-07-03T22:00:00Z"),
        (WEEKEND, "2026-11-28T15:00:00Z", None),
        # A night belongs to the day on which it begins: Tuesday's ends on Wednesday.
        (NIGHT, "2026-11-25T05:59:00Z", "2026-11-25T06:00:00Z"),
        (NIGHT, "2026-11-25T22:30:00Z", None),
    ],
)
def test_windows_begin_and_end_in_their_zone(window: Freeze, now: str, until: str | None) -> None:
    found = frozen_until((window,), at(now))
    assert (None if until is None else at(until)) == (found[0] if found else None)


def test_windows_that_touch_are_one() -> None:
    whole = Freeze(days=("Sat", "Sun"), from_="00:00", to="24:00", time_zone="Europe/Berlin")
    found = frozen_until((WEEKEND, whole), at("2026-11-27T15:30:00Z"))
    assert found is not None
    assert at("2026-11-29T23:00:00Z") == found[0]


def test_a_freeze_of_every_day_ends_the_search() -> None:
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    always = Freeze(days=days, from_="00:00", to="24:00", reason="for ever")  # type: ignore[arg-type]
    found = frozen_until((always,), at("2026-11-27T15:30:00Z"))
    assert found is not None
    assert "for ever" == found[1]


def test_the_reason_of_the_first_window_is_told() -> None:
    assert (at(HOLIDAYS.to), "holidays") == frozen_until((HOLIDAYS,), at("2026-12-24T12:00:00Z"))


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (HOLIDAYS, ""),
        (WEEKEND, ""),
        (Freeze(from_="2026-01-02T00:00:00Z", to="2026-01-01T00:00:00Z"), "not after"),
        (Freeze(from_="18:00", to="20:00"), "write times like 2026"),
        (Freeze(days=("Mon",), from_="6pm", to="8pm"), "times of day like 18:00"),
        (Freeze(days=("Mon",), from_="18:00", to="20:00", time_zone="Mars"), "no time zone 'Mars'"),
    ],
)
def test_what_cannot_be_read_is_told(window: Freeze, said: str) -> None:
    assert said in check(window)
    assert bool(said) == bool(check(window))
