"""Times as people read them."""

from __future__ import annotations

from serinus.kube.times import rfc3339


def test_times_are_told_to_the_second() -> None:
    assert "2027-01-15T08:00:00Z" == rfc3339(1_800_000_000.9)
