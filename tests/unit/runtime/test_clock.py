"""Time is handed in."""

from __future__ import annotations

import pytest

from serinus.runtime.clock import LoopClock, SystemClock, rfc3339, spread


@pytest.mark.looptime
async def test_the_loops_clock_moves_with_the_loop() -> None:
    clock = LoopClock(epoch=1000.0)
    before = clock.now()
    await clock.sleep(60)
    assert clock.now() - before == pytest.approx(60)
    assert clock.monotonic() >= 60


async def test_waiting_a_negative_time_is_no_wait() -> None:
    await SystemClock().sleep(-1)


def test_the_systems_clocks_agree_about_how_time_passes() -> None:
    clock = SystemClock()
    assert clock.now() > 1_600_000_000
    assert clock.monotonic() <= clock.monotonic()


class Watches:
    """A machine's clocks: `wall_s` is set by whoever likes, `passed_s` only grows."""

    def __init__(self, wall_s: float) -> None:
        self.wall_s, self.passed_s = wall_s, 0.0

    def clock(self) -> SystemClock:
        return SystemClock(lambda: self.wall_s, lambda: self.passed_s)

    def pass_by(self, seconds: float) -> None:
        self.wall_s += seconds
        self.passed_s += seconds


@pytest.mark.parametrize("off_s", [-300.0, 300.0])
def test_a_clock_that_is_set_by_minutes_moves_nothing(off_s: float) -> None:
    watches = Watches(1000.25)
    clock = watches.clock()
    clock.heard(1000.0, 0.01)
    watches.pass_by(2.0)
    watches.wall_s += off_s

    assert clock.now() == pytest.approx(1002.25)
    clock.heard(1002.0, 0.01)
    watches.pass_by(1.0)
    assert clock.now() == pytest.approx(1003.25)


@pytest.mark.parametrize("off_s", [-300.0, 300.0])
def test_a_clock_that_was_wrong_from_the_start_is_put_right_by_the_first_word(off_s: float) -> None:
    watches = Watches(1000.75 + off_s)
    clock = watches.clock()
    clock.heard(1000.0, 0.01)
    watches.pass_by(60.0)

    assert clock.now() == pytest.approx(1060.75, abs=0.5)


def test_a_clock_that_is_right_is_believed_to_the_millisecond() -> None:
    watches = Watches(1000.75)
    clock = watches.clock()
    for at in (1000.0, 1001.0):
        clock.heard(at, 0.9)
        assert clock.now() == watches.wall_s
        watches.pass_by(1.0)


def test_a_clock_that_is_mended_is_believed_again() -> None:
    watches = Watches(700.0)
    clock = watches.clock()
    clock.heard(1000.0, 0.01)
    watches.wall_s += 300.25
    clock.heard(1000.0, 0.01)

    assert clock.now() == watches.wall_s


def test_an_answer_that_took_long_says_nothing_of_the_time() -> None:
    watches = Watches(1012.0)
    clock = watches.clock()
    clock.heard(1000.0, 12.0)

    assert clock.now() == 1012.0


def test_a_spread_wait_stays_within_its_part() -> None:
    waits = [spread(10.0, by=0.2) for _ in range(200)]
    assert 8.0 <= min(waits) < max(waits) <= 12.0


def test_a_moment_is_written_in_utc_to_the_millisecond() -> None:
    assert rfc3339(1_800_000_000.1234) == "2027-01-15T08:00:00.123Z"
