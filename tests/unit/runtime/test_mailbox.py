"""What becomes of a message: one worker per canary, newest wins, every end has its way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from tests.unit.runtime.helpers import API, WEB, fact, gone, intent, routes, snapshot

from serinus.events import (
    CanaryGone,
    CanaryObserved,
    CanaryRef,
    Intent,
    RolloutStarted,
    RoutesObserved,
    subject_of,
)
from serinus.runtime import context, mailbox
from serinus.runtime.clock import LoopClock, rfc3339
from serinus.runtime.errors import Refuse, Retry, Stale
from serinus.runtime.mailbox import Mailbox
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.telemetry import PrometheusMetrics
from serinus.runtime.wire import Arrived

pytestmark = pytest.mark.looptime
KINDS = (CanaryObserved, CanaryGone, RoutesObserved, Intent, RolloutStarted)


class World:
    """A mailbox with one handler for everything, and what happened."""

    def __init__(self, handle: Callable[[Any], Awaitable[None]], **options: Any) -> None:
        self.clock = LoopClock()
        self.broker = MemoryBroker(self.clock)
        self.metrics = PrometheusMetrics()
        self.handled: list[Any] = []
        self.times: list[float] = []
        self.acked: list[Any] = []
        self._handle = handle
        self._sequence = 0
        self.mailbox = Mailbox(
            "router",
            dict.fromkeys(KINDS, self._noted),
            bus=MemoryBus(self.broker),
            clock=self.clock,
            metrics=self.metrics,
            jitter=lambda seconds: seconds,
            **options,
        )

    async def _noted(self, message: Any) -> None:
        self.handled.append(message)
        self.times.append(self.clock.monotonic())
        await self._handle(message)

    def delivery(self, message: Any, **fields: Any) -> Arrived:
        async def ack() -> None:
            self.acked.append(message)

        self._sequence += 1
        return Arrived(message, subject_of(message), self._sequence, _ack=ack, **fields)

    async def put(self, *messages: Any) -> None:
        for message in messages:
            await self.mailbox.put(self.delivery(message))

    async def settle(self, within_s: float = 1000) -> None:
        async with asyncio.timeout(within_s):
            await self.mailbox.idle()

    @property
    def parked(self) -> list[str]:
        return [note.reason for note in self.broker.dead()]

    def metric(self, start: str) -> list[str]:
        lines = self.metrics.exposition().decode().splitlines()
        return [line for line in lines if line.startswith(start)]


async def nothing(message: Any) -> None:
    return None


def failing(errors: Sequence[Exception | None]) -> Callable[[Any], Awaitable[None]]:
    """Raises these one after the other, then works."""
    left = list(errors)

    async def handle(message: Any) -> None:
        if left and (error := left.pop(0)) is not None:
            raise error

    return handle


class Gate:
    """A handler that waits until it is opened."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, message: Any) -> None:
        self.entered.set()
        await self.open.wait()


async def test_a_message_is_handled_acknowledged_and_forgotten() -> None:
    world = World(nothing)
    await world.put(snapshot())
    await world.settle()
    assert world.handled == world.acked == [snapshot()]
    assert (world.mailbox.depth, world.mailbox.workers) == (0, 0)


async def test_a_kind_nobody_handles_is_acknowledged() -> None:
    world = World(nothing)
    world.mailbox._handlers = {}
    await world.put(snapshot())
    assert (world.acked, world.handled) == ([snapshot()], [])


async def test_of_values_that_wait_the_newest_wins() -> None:
    gate = Gate()
    world = World(gate)
    await world.put(snapshot(1))
    await gate.entered.wait()
    await world.put(snapshot(2), snapshot(3))
    gate.open.set()
    await world.settle()
    assert world.handled == [snapshot(1), snapshot(3)]


async def test_a_gone_canary_replaces_the_snapshot_that_waits() -> None:
    gate = Gate()
    world = World(gate)
    await world.put(routes())
    await gate.entered.wait()
    await world.put(snapshot(1), gone())
    gate.open.set()
    await world.settle()
    assert world.handled == [routes(), gone()]


async def test_different_kinds_do_not_replace_each_other() -> None:
    gate = Gate()
    world = World(gate)
    await world.put(snapshot(1))
    await gate.entered.wait()
    await world.put(snapshot(2), routes(), intent())
    gate.open.set()
    await world.settle()
    assert world.handled == [snapshot(1), snapshot(2), routes(), intent()]


async def test_one_canarys_messages_are_handled_one_after_the_other() -> None:
    gate = Gate()
    world = World(gate)
    await world.put(snapshot(), routes())
    await gate.entered.wait()
    await asyncio.sleep(1)
    assert world.handled == [snapshot()]
    gate.open.set()
    await world.settle()


async def test_canaries_are_handled_side_by_side() -> None:
    gate = Gate()
    world = World(gate)
    await world.put(snapshot(), snapshot(1, API))
    await asyncio.sleep(1)
    assert world.handled == [snapshot(), snapshot(1, API)]
    assert world.mailbox.workers == 2
    gate.open.set()
    await world.settle()


async def test_no_more_handlers_work_at_a_time_than_allowed() -> None:
    gate = Gate()
    world = World(gate, handlers_max=2)
    await world.put(*(snapshot(1, CanaryRef("shop", f"c{n}")) for n in range(5)))
    await asyncio.sleep(1)
    assert len(world.handled) == 2
    gate.open.set()
    await world.settle()
    assert len(world.handled) == 5


async def test_facts_are_handled_each_and_in_order() -> None:
    world = World(nothing)
    await world.put(*(fact(number) for number in range(5)))
    await world.settle()
    assert world.handled == world.acked == [fact(number) for number in range(5)]


async def test_a_full_mailbox_takes_no_more_facts_until_one_is_finished() -> None:
    gate = Gate()
    world = World(gate, facts_held_max=2)
    await world.put(fact(1), fact(2))
    third = asyncio.ensure_future(world.put(fact(3)))
    await asyncio.sleep(1)
    assert not third.done()
    await world.put(snapshot())  # values are bounded by the number of canaries
    gate.open.set()
    await third
    await world.settle()
    assert [m for m in world.handled if m != snapshot()] == [fact(1), fact(2), fact(3)]


async def test_retry_comes_again_ever_later() -> None:
    world = World(failing([Retry("away", 1.0)] * 8))
    await world.put(snapshot())
    await world.settle()
    pauses = [round(b - a) for a, b in zip(world.times, world.times[1:], strict=False)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert world.acked == [snapshot()]


async def test_retry_waits_at_least_as_long_as_it_says() -> None:
    world = World(failing([Retry("busy", 90.0)]))
    await world.put(snapshot())
    await world.settle()
    assert world.times[1] - world.times[0] == pytest.approx(90, abs=0.1)


async def test_news_interrupts_the_pause_of_what_it_replaces() -> None:
    world = World(failing([Retry("away", 60.0)]))
    await world.put(snapshot(1))
    await asyncio.sleep(1)
    await world.put(snapshot(2))
    await world.settle(within_s=5)
    assert world.handled == [snapshot(1), snapshot(2)]
    assert world.acked == [snapshot(2)]


async def test_pauses_go_on_growing_while_news_fails_too() -> None:
    world = World(failing([Retry("away", 1.0)] * 3))
    await world.put(snapshot(1))
    await asyncio.sleep(0.5)
    await world.put(snapshot(2))
    await world.settle()
    pauses = [b - a for a, b in zip(world.times, world.times[1:], strict=False)]
    assert [round(pause, 1) for pause in pauses] == [0.5, 2.0, 4.0]


async def test_a_value_that_waits_holds_back_nothing_of_the_same_canary() -> None:
    world = World(failing([Retry("away", 60.0)]))
    await world.put(snapshot(), routes(), fact())
    await asyncio.sleep(1)
    assert world.handled == [snapshot(), routes(), fact()]
    await world.settle()


async def test_a_fact_that_waits_holds_back_the_facts_behind_it_and_no_values() -> None:
    world = World(failing([Retry("away", 10.0)]))
    await world.put(fact(1), fact(2), routes())
    await world.settle()
    assert world.handled == [fact(1), routes(), fact(1), fact(2)]
    assert world.acked == [routes(), fact(1), fact(2)]


async def test_a_fact_is_parked_when_it_has_failed_often_enough() -> None:
    world = World(failing([Retry("chat is away", 1.0)] * mailbox.ATTEMPTS_MAX))
    await world.put(fact(1), fact(2))
    await world.settle()
    assert world.parked == [f"{mailbox.ATTEMPTS_MAX} attempts: chat is away"]
    assert world.acked == [fact(1), fact(2)]
    assert world.metric("serinus_dead_total{") == ['serinus_dead_total{reason="exhausted"} 1.0']


async def test_refuse_parks_with_the_reason_and_the_body() -> None:
    world = World(failing([Refuse("no such mesh")]))
    await world.put(intent())
    await world.settle()
    (note,) = world.broker.dead()
    assert (note.service, note.subject, note.reason) == (
        "router",
        "serinus.intent.cluster.shop.web",
        "no such mesh",
    )
    assert '"type":"intent.cluster.v1"' in note.body
    assert world.acked == [intent()]


async def test_stale_drops_without_a_word() -> None:
    world = World(failing([Stale()]))
    await world.put(intent())
    await world.settle()
    assert (len(world.handled), world.acked, world.parked) == (1, [intent()], [])


async def test_a_bug_is_logged_tried_again_and_parked(caplog: pytest.LogCaptureFixture) -> None:
    world = World(failing([KeyError("x")] * mailbox.BUGS_MAX))
    with caplog.at_level(logging.ERROR):
        await world.put(snapshot())
        await world.settle()
    assert len(world.handled) == mailbox.BUGS_MAX
    assert world.parked == ["KeyError: 'x'"]
    assert all(record.exc_info for record in caplog.records)
    assert world.metric("serinus_dead_total{") == ['serinus_dead_total{reason="bug"} 1.0']


async def test_a_bug_that_goes_away_parks_nothing() -> None:
    world = World(failing([KeyError("x")]))
    await world.put(snapshot())
    await world.settle()
    assert (world.parked, world.acked) == ([], [snapshot()])


async def test_a_fact_that_was_delivered_too_often_is_not_tried_once_more() -> None:
    world = World(nothing)
    late = world.delivery(fact(), delivered=mailbox.DELIVERIES_MAX + 1)
    await world.mailbox.put(late)
    await world.settle()
    assert (world.handled, world.parked) == ([], ["delivered 11 times"])


async def test_what_cannot_be_parked_is_not_given_up() -> None:
    world = World(failing([Refuse("no")]))
    world.broker.disconnect()
    await world.put(fact())
    await asyncio.sleep(20)
    assert world.acked == []
    world.broker.reconnect()
    await world.settle()
    assert (world.parked, world.acked, len(world.handled)) == (["no"], [fact()], 1)


async def test_a_handler_knows_what_it_handles() -> None:
    seen: list[tuple[str, str, str]] = []

    async def look(message: Any) -> None:
        seen.append((context.canary.get(), context.cause.get(), context.trace_id()))

    world = World(look)
    headers = {"Nats-Msg-Id": "id-1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    await world.mailbox.put(world.delivery(snapshot(), headers=headers))
    await world.settle()
    assert seen == [("shop/web", "id-1", "a" * 32)]


async def test_depth_and_time_are_measured() -> None:
    gate = Gate()
    world = World(gate)
    await world.put(snapshot(), snapshot(2), routes())
    assert world.metric("serinus_mailbox_depth{") == ['serinus_mailbox_depth{service="router"} 2']
    gate.open.set()
    await world.settle()
    assert world.metric("serinus_mailbox_depth{") == ['serinus_mailbox_depth{service="router"} 0']
    (count,) = world.metric('serinus_handler_seconds_count{kind="RoutesObserved"')
    assert count.endswith(" 1.0")


async def test_the_age_of_an_intent_is_measured_when_work_on_it_begins() -> None:
    world = World(failing([Retry("away", 10.0)]))
    sent = rfc3339(world.clock.now() - 2)
    for message in (intent(), snapshot(), fact()):
        await world.mailbox.put(world.delivery(message, headers={"ce-time": sent}))
    await world.put(intent(1, API))  # of somebody who does not say when
    await world.settle()
    assert world.metric("serinus_intent_lag_seconds_sum") == [
        'serinus_intent_lag_seconds_sum{service="router"} 2.0'
    ]


async def test_draining_finishes_the_message_at_hand_and_takes_up_no_other() -> None:
    gate = Gate()
    world = World(gate)
    await world.put(fact(1), fact(2))
    await gate.entered.wait()
    draining = asyncio.ensure_future(world.mailbox.drain(within_s=5))
    await asyncio.sleep(1)
    gate.open.set()
    assert await draining
    assert world.handled == world.acked == [fact(1)]


async def test_draining_does_not_wait_for_pauses() -> None:
    world = World(failing([Retry("away", 60.0)]))
    await world.put(snapshot())
    await asyncio.sleep(1)
    assert await world.mailbox.drain(within_s=1)
    assert world.acked == []


async def test_draining_has_a_bound() -> None:
    gate = Gate()
    world = World(gate)
    await world.put(fact())
    await gate.entered.wait()
    before = world.clock.monotonic()
    assert not await world.mailbox.drain(within_s=5)
    assert world.clock.monotonic() - before == pytest.approx(5, abs=0.1)
    assert world.acked == []
    assert world.mailbox.workers == 0


async def test_a_failure_of_the_mailbox_itself_is_heard() -> None:
    crashes: list[BaseException] = []
    world = World(nothing, on_crash=crashes.append)

    async def broken() -> None:
        raise ZeroDivisionError

    await world.mailbox.put(Arrived(snapshot(), "s", 1, _ack=broken))
    await asyncio.sleep(1)
    assert [type(error) for error in crashes] == [ZeroDivisionError]


async def test_an_idle_canary_costs_no_task() -> None:
    world = World(nothing)
    before = len(asyncio.all_tasks())
    await world.put(*(snapshot(1, CanaryRef("shop", f"c{n}")) for n in range(100)), fact(1, WEB))
    await world.settle()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
