"""Times as texts and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.analyzer.core.times import rfc3339, unix_s


@given(st.integers(0, 4_000_000_000_000))
def test_a_millisecond_survives_the_way_there_and_back(milliseconds: int) -> None:
    assert unix_s(rfc3339(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=0.001)


def test_the_form_is_the_one_that_the_api_server_reads() -> None:
    assert rfc3339(1_800_000_000.5) == "2027-01-15T08:00:00.500Z"


@pytest.mark.parametrize("text", ["", "soon", "2027-13-01T00:00:00Z"])
def test_what_is_no_time_is_long_ago(text: str) -> None:
    assert unix_s(text) == 0.0


def test_flaggers_times_have_no_milliseconds() -> None:
    assert unix_s("2027-01-15T08:00:00Z") == 1_800_000_000.0
