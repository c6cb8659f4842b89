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


def test_a_spread_wait_stays_within_its_part() -> None:
    waits = [spread(10.0, by=0.2) for _ in range(200)]
    assert 8.0 <= min(waits) < max(waits) <= 12.0


def test_a_moment_is_written_in_utc_to_the_millisecond() -> None:
    assert rfc3339(1_800_000_000.1234) == "2027-01-15T08:00:00.123Z"
