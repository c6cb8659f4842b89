"""The bus in memory does what the real one promises, and breaks when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.unit.runtime.helpers import (
    API,
    WEB,
    fact,
    following,
    gone,
    intent,
    routes,
    snapshot,
    take,
)

from serinus.events import CanaryGone, CanaryObserved, Intent, RolloutStarted, RoutesObserved
from serinus.runtime import context
from serinus.runtime.broker import Record
from serinus.runtime.clock import LoopClock
from serinus.runtime.errors import Refuse, Retry, Stale
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.telemetry import PrometheusMetrics

pytestmark = pytest.mark.looptime


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(LoopClock())


@pytest.fixture
def bus(broker: MemoryBroker) -> MemoryBus:
    return MemoryBus(broker)


def messages(found: Sequence[object]) -> list[object]:
    return [delivery.message for delivery in found]  # type: ignore[attr-defined]  # of take()


async def test_the_last_value_of_every_canary_comes_first_then_what_follows(bus: MemoryBus) -> None:
    await bus.publish(snapshot(1))
    await bus.publish(snapshot(2))
    await bus.publish(snapshot(1, API))
    async with following(bus, CanaryObserved) as deliveries:
        assert messages(await take(deliveries, 2)) == [snapshot(2), snapshot(1, API)]
        await bus.publish(snapshot(3))
        assert messages(await take(deliveries, 1)) == [snapshot(3)]


async def test_only_the_kinds_asked_for_come(bus: MemoryBus) -> None:
    async with following(bus, CanaryObserved, Intent) as deliveries:
        for message in (routes(), gone(), fact(), snapshot(), intent()):
            await bus.publish(message)
        assert messages(await take(deliveries, 2)) == [snapshot(), intent()]


async def test_a_gone_canary_takes_the_place_of_its_snapshot(bus: MemoryBus) -> None:
    await bus.publish(snapshot())
    await bus.publish(gone())
    assert await bus.latest(CanaryObserved, WEB) is None
    found = await bus.latest(CanaryGone, WEB)
    assert found is not None
    assert found.message == gone()


async def test_the_latest_carries_the_sequence_to_expect(bus: MemoryBus) -> None:
    sequence = await bus.publish(intent(1), expect=0)
    found = await bus.latest(Intent, WEB)
    assert found is not None
    assert (found.message, found.sequence) == (intent(1), sequence)
    await bus.publish(intent(2), expect=sequence)
    with pytest.raises(Stale):
        await bus.publish(intent(3), expect=sequence)
    assert await bus.latest(Intent, API) is None


async def test_the_same_news_twice_is_one_message(bus: MemoryBus) -> None:
    assert await bus.publish(snapshot()) == await bus.publish(snapshot())


async def test_a_service_may_publish_only_its_own(broker: MemoryBroker) -> None:
    watcher = MemoryBus(broker, "watcher")
    await watcher.publish(snapshot())
    with pytest.raises(Refuse, match=r"watcher may not publish on serinus\.intent\.cluster"):
        await watcher.publish(intent())
    with pytest.raises(Refuse):
        await MemoryBus(broker, "a-guest").publish(snapshot())
    assert broker.refusals == [
        ("watcher", "serinus.intent.cluster.shop.web"),
        ("a-guest", "serinus.snapshot.canary.shop.web"),
    ]


async def test_cause_and_trace_travel_along(bus: MemoryBus) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    with context.handling(WEB.key, "the-cause", trace):
        await bus.publish(intent())
    found = await bus.latest(Intent, WEB)
    assert found is not None
    assert found.headers["serinus-cause"] == "the-cause"
    assert found.headers["traceparent"] == trace


async def test_a_durable_follower_gets_each_fact_in_order(bus: MemoryBus) -> None:
    for number in (1, 2):
        await bus.publish(fact(number))
    async with following(bus, RolloutStarted, durable="voice") as deliveries:
        await bus.publish(fact(3))
        assert messages(await take(deliveries, 3)) == [fact(1), fact(2), fact(3)]


async def test_what_was_acknowledged_does_not_come_back_the_rest_does_in_order(
    bus: MemoryBus,
) -> None:
    for number in (1, 2, 3):
        await bus.publish(fact(number))
    async with following(bus, RolloutStarted, durable="voice") as deliveries:
        first, *_ = await take(deliveries, 3)
        await first.ack()
    await bus.publish(fact(4))
    async with following(bus, RolloutStarted, durable="voice") as deliveries:
        again = await take(deliveries, 3)
    assert messages(again) == [fact(2), fact(3), fact(4)]
    assert [delivery.delivered for delivery in again] == [2, 2, 1]


async def test_two_followers_of_one_name_share_the_work(bus: MemoryBus) -> None:
    async with (
        following(bus, RolloutStarted, durable="voice") as one,
        following(bus, RolloutStarted, durable="voice") as two,
    ):
        first, second = asyncio.ensure_future(take(one, 1)), asyncio.ensure_future(take(two, 1))
        await asyncio.sleep(0)
        await bus.publish(fact(1))
        done, late = await asyncio.wait({first, second}, timeout=5)
        assert len(done) == len(late) == 1
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def test_a_refused_delivery_comes_again_after_its_pause(bus: MemoryBus) -> None:
    await bus.publish(fact())
    async with following(bus, RolloutStarted, durable="voice") as deliveries:
        (first,) = await take(deliveries, 1)
        await first.nak(30)
        before = bus.broker.clock.monotonic()
        (second,) = await take(deliveries, 1, within_s=60)
    assert bus.broker.clock.monotonic() - before == pytest.approx(30, abs=0.1)
    assert (second.message, second.delivered) == (fact(), 2)


async def test_facts_from_long_before_the_first_start_are_no_news(bus: MemoryBus) -> None:
    await bus.publish(fact(1))
    await bus.broker.clock.sleep(3600)
    await bus.publish(fact(2))
    async with following(bus, RolloutStarted, durable="voice") as deliveries:
        assert messages(await take(deliveries, 1)) == [fact(2)]


async def test_garbage_is_parked_counted_and_stops_nobody(broker: MemoryBroker) -> None:
    metrics = PrometheusMetrics()
    bus = MemoryBus(broker, "router", metrics)
    broker.inject("serinus.intent.cluster.shop.api", b"\xff{")
    broker.store("serinus.intent.cluster.shop.web", {}, b'{"type":"intent.cluster.v9"}')
    async with following(bus, Intent) as deliveries:
        waiting = asyncio.ensure_future(take(deliveries, 1))
        await asyncio.sleep(0)
        await MemoryBus(broker).publish(intent())
        assert messages(await waiting) == [intent()]
    assert [(note.service, note.subject) for note in broker.dead()] == [
        ("router", "serinus.intent.cluster.shop.api"),
        ("router", "serinus.intent.cluster.shop.web"),
    ]
    assert 'serinus_dead_total{reason="undecodable"} 2.0' in metrics.exposition().decode()


async def test_a_lost_delivery_is_healed_by_the_next_connection(broker: MemoryBroker) -> None:
    bus = MemoryBus(broker)
    async with following(bus, CanaryObserved) as deliveries:
        waiting = asyncio.ensure_future(take(deliveries, 1, within_s=100))
        await asyncio.sleep(0)
        broker.fate = lambda service, record: ()
        await bus.publish(snapshot())
        await asyncio.sleep(50)
        assert not waiting.done()
        broker.fate = lambda service, record: (0.0,)
        broker.disconnect()
        broker.reconnect()
        assert messages(await waiting) == [snapshot()]


async def test_a_lost_fact_comes_back_by_itself(broker: MemoryBroker) -> None:
    bus = MemoryBus(broker)
    fates: list[Sequence[float]] = [(0.0,), ()]
    broker.fate = lambda service, record: fates.pop() if fates else (0.0,)
    async with following(bus, RolloutStarted, durable="voice") as deliveries:
        waiting = asyncio.ensure_future(take(deliveries, 1, within_s=60))
        await asyncio.sleep(0)
        await bus.publish(fact())
        (found,) = await waiting
    assert (found.message, found.delivered) == (fact(), 2)


async def test_a_delivery_can_be_repeated(broker: MemoryBroker) -> None:
    bus = MemoryBus(broker)
    broker.fate = lambda service, record: (0.0, 1.0)
    async with following(bus, CanaryObserved) as deliveries:
        waiting = asyncio.ensure_future(take(deliveries, 2))
        await asyncio.sleep(0)
        await bus.publish(snapshot())
        assert messages(await waiting) == [snapshot(), snapshot()]


async def test_deliveries_overtake_each_other_but_no_subject_goes_backwards(
    broker: MemoryBroker,
) -> None:
    def late_first(service: str, record: Record) -> Sequence[float]:
        return (5.0,) if record.sequence == 1 else (0.0,)

    broker.fate = late_first
    bus = MemoryBus(broker)
    async with following(bus, CanaryObserved, RoutesObserved) as deliveries:
        waiting = asyncio.ensure_future(take(deliveries, 2, within_s=60))
        await asyncio.sleep(0)
        await bus.publish(snapshot(1))
        await bus.publish(snapshot(2))
        await asyncio.sleep(10)
        await bus.publish(snapshot(3))
        assert messages(await waiting) == [snapshot(2), snapshot(3)]


async def test_after_the_loss_of_everything_followers_hear_what_is_published_again(
    broker: MemoryBroker,
) -> None:
    watcher, analyzer = MemoryBus(broker, "watcher"), MemoryBus(broker, "analyzer")
    again: list[asyncio.Task[int]] = []
    watcher.on_reset(lambda: again.append(asyncio.ensure_future(watcher.publish(snapshot(1)))))
    await watcher.publish(snapshot(1))
    async with following(analyzer, CanaryObserved) as deliveries:
        await take(deliveries, 1)
        broker.lose_everything()
        assert messages(await take(deliveries, 1)) == [snapshot(1)]


async def test_a_bucket_keeps_values_until_they_are_too_old(broker: MemoryBroker) -> None:
    bucket = MemoryBus(broker, "notifier").bucket("serinus-told")
    assert await bucket.create("a key: of any kind", b"1")
    assert not await bucket.create("a key: of any kind", b"2")
    assert await bucket.get("a key: of any kind") == b"1"
    await bucket.put("a key: of any kind", b"3")
    assert await bucket.get("a key: of any kind") == b"3"
    assert await bucket.keys() == ["a key: of any kind"]
    await broker.clock.sleep(2 * 24 * 3600)
    assert await bucket.get("a key: of any kind") is None
    await bucket.put("x", b"")
    await bucket.delete("x")
    assert await bucket.get("x") is None


async def test_a_bucket_nobody_reaches_is_a_retry(broker: MemoryBroker) -> None:
    bucket = MemoryBus(broker, "loadtester").bucket("serinus-gates")
    broker.disconnect()
    with pytest.raises(Retry):
        await bucket.get("x")
