"""Manual gates in a bucket."""

from __future__ import annotations

import pytest

from serinus.events import BUCKETS
from serinus.loadtester.gates import BUCKET, Gates, Opened, gate_key
from serinus.runtime.clock import LoopClock
from serinus.runtime.errors import Retry
from serinus.runtime.memory import MemoryBroker, MemoryBus

pytestmark = pytest.mark.looptime
KEY = gate_key("gate", "web", "prod")


def gates(broker: MemoryBroker) -> Gates:
    return Gates(MemoryBus(broker, "loadtester").bucket(BUCKET), broker.clock)


async def test_a_gate_nobody_opened_is_closed() -> None:
    assert not await gates(MemoryBroker(LoopClock())).is_open(KEY)


async def test_a_gate_is_open_from_opening_to_closing() -> None:
    one = gates(MemoryBroker(LoopClock()))

    await one.set(KEY, True)
    assert await one.is_open(KEY)
    await one.set(KEY, False)
    assert not await one.is_open(KEY)


async def test_closing_twice_is_no_error() -> None:
    one = gates(MemoryBroker(LoopClock()))

    await one.set(KEY, False)
    await one.set(KEY, False)

    assert not await one.is_open(KEY)


async def test_replicas_share_their_gates() -> None:
    """In the reference every replica has gates of its own, and a restart closes them (11.3)."""
    broker = MemoryBroker(LoopClock())

    await gates(broker).set(KEY, True)

    assert await gates(broker).is_open(KEY)


async def test_a_gate_stays_open_while_nobody_closes_it() -> None:
    clock = LoopClock()
    one = gates(MemoryBroker(clock))

    await one.set(KEY, True)
    await clock.sleep(3 * 86400)

    assert await one.is_open(KEY)
    assert BUCKETS[BUCKET] == ("loadtester", 0)


async def test_a_bucket_that_is_away_asks_for_patience() -> None:
    broker = MemoryBroker(LoopClock())
    broker.disconnect()

    with pytest.raises(Retry):
        await gates(broker).is_open(KEY)


def test_spaces_and_canaries_have_gates_of_their_own() -> None:
    keys = {
        KEY,
        gate_key("rollback", "web", "prod"),
        gate_key("gate", "web", "test"),
        gate_key("gate", "api", "prod"),
    }

    assert len(keys) == 4


async def test_an_open_gate_says_who_opened_it_and_when() -> None:
    clock = LoopClock()
    broker = MemoryBroker(clock)
    one = gates(broker)

    await one.set(KEY, True, "ana")

    assert await one.opened(KEY) == Opened("ana", clock.now())
    assert await one.opened(gate_key("gate", "api", "prod")) is None


async def test_a_gate_that_an_older_version_opened_is_open() -> None:
    broker = MemoryBroker(LoopClock())
    await MemoryBus(broker, "loadtester").bucket(BUCKET).put(KEY, b"open")

    assert await gates(broker).is_open(KEY)
    assert await gates(broker).opened(KEY) == Opened()
