"""The memory of what was told."""

from __future__ import annotations

import pytest

from serinus.events import BUCKETS
from serinus.notifier.told import BUCKET, BucketTold, mark
from serinus.runtime.clock import LoopClock
from serinus.runtime.errors import Retry
from serinus.runtime.memory import MemoryBroker, MemoryBus

pytestmark = pytest.mark.looptime


async def test_a_mark_is_there_until_its_time_has_passed() -> None:
    clock = LoopClock()
    told = BucketTold(MemoryBus(MemoryBroker(clock), "notifier").bucket(BUCKET))
    owner, lives_s = BUCKETS[BUCKET]

    await told.add("k")

    assert owner == "notifier"
    assert await told.has("k")
    assert not await told.has("other")
    await clock.sleep(lives_s)
    assert not await told.has("k")


async def test_a_store_that_is_away_asks_for_patience() -> None:
    broker = MemoryBroker(LoopClock())
    broker.available = False
    told = BucketTold(MemoryBus(broker, "notifier").bucket(BUCKET))

    with pytest.raises(Retry):
        await told.has("k")


def test_a_mark_is_of_one_fact_for_one_audience() -> None:
    marks = {mark("f", "a"), mark("f", "b"), mark("g", "a"), mark("f", "a")}

    assert len(marks) == 3
    assert all(m.isalnum() for m in marks)
