"""Due times: rung on time, replaced, and never polled for."""

import asyncio

import pytest
from tests.unit.analyzer.doubles import Spawner

from serinus.analyzer.shell.ticks import Ticks
from serinus.runtime.clock import LoopClock

pytestmark = pytest.mark.looptime


class Bell:
    def __init__(self) -> None:
        self.clock = LoopClock(epoch=0.0)
        self.rung: list[tuple[str, float]] = []
        self.ticks = Ticks(self.clock, lambda key: self.rung.append((key, self.clock.now())))
        self.spawn = Spawner()
        self.spawn(self.ticks.run(), "ticks")


async def test_a_canary_is_rung_when_it_is_due() -> None:
    bell = Bell()
    bell.ticks.set("a", 10.0)
    bell.ticks.set("b", 5.0)

    await asyncio.sleep(20)

    assert bell.rung == [("b", 5.0), ("a", 10.0)]
    assert len(bell.ticks) == 0
    await bell.spawn.close()


async def test_the_newest_time_replaces_the_others() -> None:
    bell = Bell()
    bell.ticks.set("a", 5.0)
    bell.ticks.set("a", 12.0)

    await asyncio.sleep(20)

    assert bell.rung == [("a", 12.0)]
    await bell.spawn.close()


async def test_an_earlier_time_wakes_a_sleeper() -> None:
    bell = Bell()
    bell.ticks.set("a", 50.0)
    await asyncio.sleep(1)
    bell.ticks.set("b", 3.0)

    await asyncio.sleep(9)

    assert bell.rung == [("b", 3.0)]
    await bell.spawn.close()


async def test_none_takes_a_time_back() -> None:
    bell = Bell()
    bell.ticks.set("a", 5.0)
    bell.ticks.set("a", None)

    await asyncio.sleep(10)

    assert bell.rung == []
    assert bell.ticks.due("a") is None
    await bell.spawn.close()


async def test_a_time_that_has_passed_is_rung_at_once() -> None:
    bell = Bell()
    await asyncio.sleep(5)
    bell.ticks.set("a", 1.0)

    await asyncio.sleep(0.1)

    assert bell.rung == [("a", 5.0)]
    await bell.spawn.close()


async def test_times_that_were_replaced_do_not_pile_up() -> None:
    bell = Bell()
    for step in range(10_000):
        bell.ticks.set("a", 100.0 + step)

    assert len(bell.ticks._heap) < 200
    await bell.spawn.close()


@pytest.mark.parametrize("later", range(8))
async def test_it_can_be_ended_at_the_very_moment_it_wakes(later: int) -> None:
    """An end that is swallowed would keep the whole program from stopping."""
    bell = Bell()
    bell.ticks.set("a", 3.0)
    await asyncio.sleep(3.0)
    for _ in range(later):
        await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await bell.spawn.close()
