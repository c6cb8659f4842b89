"""What an answer means, and how long to wait."""

from __future__ import annotations

import pytest

from serinus.notifier.core.outcomes import (
    Again,
    Refused,
    Sent,
    outcome,
    pause_s,
    retry_after_s,
)

NOW = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_success_is_taken(status: int) -> None:
    assert outcome(status, {}, "ok", NOW) == Sent()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_time_may_help_against_overload_and_faults(status: int) -> None:
    assert isinstance(outcome(status, {}, "", NOW), Again)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 501])
def test_what_is_wrong_with_the_request_stays_wrong(status: int) -> None:
    assert isinstance(outcome(status, {}, "", NOW), Refused)


def test_the_reason_holds_what_the_other_side_said_in_one_short_line() -> None:
    found = outcome(404, {}, "no_team\n\n" + "x" * 500, NOW)

    assert isinstance(found, Refused)
    assert found.why.startswith("status 404: no_team xxx")
    assert len(found.why) < 230


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("²", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float) -> None:
    assert retry_after_s({"retry-after": value}, NOW) == seconds


def test_pauses_double_up_to_a_minute() -> None:
    assert [pause_s(n, 0.0) for n in (1, 2, 3, 6, 7, 8, 1000)] == [1, 2, 4, 32, 60, 60, 60]


def test_a_longer_wish_of_the_other_side_is_granted() -> None:
    assert pause_s(1, 300.0) == 300.0
    assert pause_s(5, 2.0) == 16.0
