"""The list that the watchdog keeps."""

from __future__ import annotations

from serinus.sandbox.watchdog import held_at_the_end


def test_what_was_not_released_is_still_held_at_the_end() -> None:
    assert held_at_the_end([b"+1\n", b"+2\n", b"-1\n", b"+3\n", b"\n", b"-9\n"]) == {2, 3}
