"""The bus on a real NATS server: what is promised holds across crashes, losses and strangers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RePublish
from tests.servers.nats import NatsServer, nats_server
from tests.servers.waiting import eventually
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

from serinus.events import (
    BUCKETS,
    TABLE,
    CanaryGone,
    CanaryObserved,
    CanaryRef,
    Intent,
    Parked,
    RolloutStarted,
    RoutesObserved,
    encode,
    users,
)
from serinus.events.streams import FOLLOW_NOTHING, STREAMS, TAP_PERMISSIONS
from serinus.events.subjects import SERVICES, ServiceName
from serinus.runtime import context, pull
from serinus.runtime.clock import SystemClock
from serinus.runtime.errors import Refuse, Retry, Stale
from serinus.runtime.nats import NatsBus
from serinus.runtime.settings import RuntimeSettings, Secret
from serinus.runtime.telemetry import PrometheusMetrics

PASSWORDS: dict[str, str] = {service: f"secret-of-{service}" for service in SERVICES}
ROOT = {"user": "root", "password": "root"}
TAP = {"user": "tap", "password": "tap", "permissions": TAP_PERMISSIONS}
CONFIG = f"authorization {{ users = {json.dumps([*users(PASSWORDS), ROOT, TAP])} }}"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of the test's own whose users may do what the subject table says."""
    with nats_server(tmp_path / "nats", CONFIG) as server:
        yield server


class Buses:
    """Connections of services to one server."""

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self.metrics: dict[str, PrometheusMetrics] = {}
        self.states: dict[str, list[bool]] = {}
        self._made: list[NatsBus] = []

    async def get(self, service: str) -> NatsBus:
        """A new connection as this service, connected."""
        bus = self.unconnected(service)
        async with asyncio.timeout(10):
            await bus.connected()
        return bus

    def unconnected(self, service: str, password: str | None = None) -> NatsBus:
        states: list[bool] = []
        self.states[service] = states
        self.metrics[service] = PrometheusMetrics()
        secret = PASSWORDS.get(service, service) if password is None else password
        bus = NatsBus(
            service,
            RuntimeSettings(
                nats_url=self.server.url, nats_user=service, nats_password=Secret(secret)
            ),
            clock=SystemClock(),
            metrics=self.metrics[service],
            on_state=lambda ok, why: states.append(ok),
        )
        bus.start()
        self._made.append(bus)
        return bus

    async def close(self) -> None:
        await asyncio.gather(*(bus.close() for bus in self._made))


@pytest.fixture
async def buses(guarded: NatsServer) -> AsyncIterator[Buses]:
    made = Buses(guarded)
    yield made
    await made.close()


@asynccontextmanager
async def as_root(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(server.url, user="root", password="root")
    try:
        yield client.jetstream()
    finally:
        await client.close()


def restart(server: NatsServer, *, lose: bool = False) -> None:
    """kill -9, and up again on the same port; with an empty store where it is lost."""
    server.kill()
    if lose:
        server.lose_store()
    server.start()


async def reconnected(*buses: NatsBus) -> None:
    async with asyncio.timeout(20):
        await asyncio.gather(*(bus.connected() for bus in buses))


# --- what is published can be followed -----------------------------------------------------------


async def test_the_last_value_of_every_canary_comes_first_then_what_follows(buses: Buses) -> None:
    watcher, analyzer = await buses.get("watcher"), await buses.get("analyzer")
    for message in (snapshot(1), snapshot(2), snapshot(1, API)):
        await watcher.publish(message)
    async with following(analyzer, CanaryObserved, CanaryGone) as deliveries:
        first = await take(deliveries, 2)
        assert [d.message for d in first] == [snapshot(2), snapshot(1, API)]
        await watcher.publish(gone(API))
        assert [d.message for d in await take(deliveries, 1)] == [gone(API)]


async def test_one_follower_hears_kinds_of_several_streams(buses: Buses) -> None:
    watcher, router = await buses.get("watcher"), await buses.get("router")
    analyzer, notifier = await buses.get("analyzer"), await buses.get("notifier")
    await watcher.publish(snapshot())
    await router.publish(routes())
    await analyzer.publish(intent())
    async with following(notifier, CanaryObserved, Intent) as deliveries:
        found = await take(deliveries, 2)
    assert {type(d.message) for d in found} == {CanaryObserved, Intent}


async def test_the_last_value_survives_a_crash_of_the_server(buses: Buses) -> None:
    watcher = await buses.get("watcher")
    await watcher.publish(snapshot(1))
    await watcher.publish(snapshot(2))
    restart(buses.server)
    analyzer = await buses.get("analyzer")
    async with following(analyzer, CanaryObserved) as deliveries:
        assert [d.message for d in await take(deliveries, 1)] == [snapshot(2)]


async def test_messages_are_cloud_events_with_cause_and_trace(buses: Buses) -> None:
    analyzer = await buses.get("analyzer")
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    with context.handling(WEB.key, "the-cause", trace):
        await analyzer.publish(intent())
    found = await analyzer.latest(Intent, WEB)
    assert found is not None
    assert found.headers["ce-type"] == "dev.serinus.intent.cluster.v1"
    assert found.headers["ce-source"] == "/serinus/analyzer"
    assert found.headers["serinus-cause"] == "the-cause"
    assert found.headers["traceparent"] == trace


async def test_many_canaries_are_published_side_by_side(buses: Buses) -> None:
    """A thousand publishes in flight take far less time than a thousand round trips."""
    watcher, analyzer = await buses.get("watcher"), await buses.get("analyzer")
    async with following(analyzer, CanaryObserved) as deliveries:
        waiting = asyncio.ensure_future(take(deliveries, 1000, within_s=20))
        canaries = [CanaryRef("shop", f"c{n}") for n in range(1000)]
        sequences = await asyncio.gather(*(watcher.publish(snapshot(1, c)) for c in canaries))
        found = await waiting
    assert sorted(sequences) == list(range(1, 1001))
    assert {d.message.canary for d in found} == set(canaries)


# --- sequences, repeats, latest ------------------------------------------------------------------


async def test_an_expected_sequence_that_is_passed_is_stale(buses: Buses) -> None:
    one, two = await buses.get("analyzer"), await buses.get("analyzer")
    first = await one.publish(intent(1), expect=0)
    second = await two.publish(intent(2), expect=first)
    with pytest.raises(Stale):
        await one.publish(intent(3), expect=first)
    found = await one.latest(Intent, WEB)
    assert found is not None
    assert (found.message, found.sequence) == (intent(2), second)


async def test_the_same_news_twice_is_one_message(buses: Buses) -> None:
    watcher = await buses.get("watcher")
    first = await watcher.publish(snapshot(1))
    assert await watcher.publish(snapshot(1)) == first
    assert await watcher.publish(snapshot(2)) == first + 1


async def test_a_repeat_of_an_expected_publish_is_no_conflict(buses: Buses) -> None:
    """The first answer may get lost; the second attempt must not look like a conflict."""
    analyzer = await buses.get("analyzer")
    first = await analyzer.publish(intent(1), expect=0)
    assert await analyzer.publish(intent(1), expect=0) == first
    await analyzer.publish(intent(2), expect=first)
    with pytest.raises(Stale):
        await analyzer.publish(intent(1), expect=0)


async def test_a_canary_that_nobody_spoke_of_has_no_latest(buses: Buses) -> None:
    analyzer = await buses.get("analyzer")
    assert await analyzer.latest(Intent, WEB) is None
    watcher = await buses.get("watcher")
    await watcher.publish(gone())
    assert await analyzer.latest(CanaryObserved, WEB) is None


# --- durable names -------------------------------------------------------------------------------


async def test_facts_come_in_order_and_what_was_acknowledged_not_again(buses: Buses) -> None:
    analyzer = await buses.get("analyzer")
    for number in range(4):
        await analyzer.publish(fact(number))
    notifier = await buses.get("notifier")
    async with following(notifier, RolloutStarted, durable="notifier") as deliveries:
        found = await take(deliveries, 4)
        assert [d.message for d in found] == [fact(n) for n in range(4)]
        await found[0].ack()
        await found[1].ack()
        await notifier.client.flush()
    await notifier.close()
    await analyzer.publish(fact(4))
    again = await buses.get("notifier")
    async with following(again, RolloutStarted, durable="notifier") as deliveries:
        rest = await take(deliveries, 3, within_s=5)
    assert [d.message for d in rest] == [fact(2), fact(3), fact(4)]


async def test_a_refused_fact_comes_again(buses: Buses) -> None:
    analyzer, notifier = await buses.get("analyzer"), await buses.get("notifier")
    await analyzer.publish(fact())
    async with following(notifier, RolloutStarted, durable="notifier") as deliveries:
        (first,) = await take(deliveries, 1)
        await first.nak(0.1)
        (second,) = await take(deliveries, 1)
    assert (second.message, second.delivered) == (fact(), 2)


async def test_a_fact_that_takes_long_is_not_delivered_twice(
    buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "ACK_WAIT_S", 0.5)
    analyzer, notifier = await buses.get("analyzer"), await buses.get("notifier")
    await analyzer.publish(fact())
    async with following(notifier, RolloutStarted, durable="notifier") as deliveries:
        (first,) = await take(deliveries, 1)
        with pytest.raises(TimeoutError):
            await take(deliveries, 1, within_s=1.5)
        await first.ack()
        await notifier.client.flush()
        info = await notifier.jetstream.consumer_info("FACTS", "notifier")
        assert (info.num_ack_pending, info.num_redelivered) == (0, 0)


async def test_two_followers_of_one_name_share_the_work(buses: Buses) -> None:
    analyzer = await buses.get("analyzer")
    one, two = await buses.get("notifier"), await buses.get("notifier")
    heard: list[int] = []

    async def listen(bus: NatsBus) -> None:
        async with following(bus, RolloutStarted, durable="notifier") as deliveries:
            async for delivery in deliveries:
                heard.append(delivery.sequence)
                await delivery.ack()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(listen(bus)) for bus in (one, two)]
        for number in range(50):
            await analyzer.publish(fact(number))

        async def all_heard() -> bool:
            return len(heard) >= 50

        await eventually(all_heard, "fifty facts are heard")
        for task in tasks:
            task.cancel()
    assert sorted(heard) == list(range(1, 51))


async def test_a_service_that_learns_new_words_keeps_its_place(buses: Buses) -> None:
    analyzer, notifier = await buses.get("analyzer"), await buses.get("notifier")
    await analyzer.publish(fact(1))
    async with following(notifier, RolloutStarted, durable="notifier") as deliveries:
        (first,) = await take(deliveries, 1)
        await first.ack()
        await notifier.client.flush()
    await analyzer.publish(fact(2))
    kinds = [row.message for row in TABLE if row.stream == "FACTS"]
    async with following(notifier, *kinds, durable="notifier") as deliveries:
        assert [d.message for d in await take(deliveries, 1)] == [fact(2)]


# --- crashes and losses --------------------------------------------------------------------------


async def test_a_server_that_crashes_and_returns_loses_nothing(buses: Buses) -> None:
    watcher, analyzer = await buses.get("watcher"), await buses.get("analyzer")
    resets: list[str] = []
    analyzer.on_reset(lambda: resets.append("reset"))
    async with (
        following(analyzer, CanaryObserved) as values,
        following(analyzer, RolloutStarted, durable="analyzer") as facts,
    ):
        await watcher.publish(snapshot(1))
        await analyzer.publish(fact(1))
        assert [d.message for d in await take(values, 1)] == [snapshot(1)]
        (first,) = await take(facts, 1)
        buses.server.kill()
        sending = asyncio.ensure_future(watcher.publish(snapshot(2)))
        buses.server.start()
        await sending
        await first.ack()
        await analyzer.publish(fact(2))
        while (await take(values, 1, within_s=20))[0].message != snapshot(2):
            pass  # the view comes again as a whole; what counts is that the news is in it
        assert [d.message for d in await take(facts, 1, within_s=20)] == [fact(2)]
    assert resets == []
    assert buses.states["analyzer"] == [True, False, True]


async def test_an_acknowledgement_that_a_crash_swallowed_is_given_again(
    buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done is not handled a second time by the process that did it."""
    monkeypatch.setattr(pull, "ACK_WAIT_S", 1.0)
    analyzer = await buses.get("analyzer")
    async with following(analyzer, RolloutStarted, durable="analyzer") as facts:
        await analyzer.publish(fact(1))
        (first,) = await take(facts, 1)
        buses.server.kill()
        await first.ack()  # into a connection of which nobody knows yet that it is dead
        buses.server.start()
        await reconnected(analyzer)

        async def nothing_pending() -> bool:
            async with as_root(buses.server) as jetstream:
                info = await jetstream.consumer_info("FACTS", "analyzer")
                return not info.num_ack_pending

        await eventually(nothing_pending, "the server knows that the fact is done", 20)
        await analyzer.publish(fact(2))
        assert [d.message for d in await take(facts, 1, within_s=20)] == [fact(2)]


async def test_a_fact_in_hand_does_not_hide_the_one_that_has_its_number_in_a_new_store(
    buses: Buses,
) -> None:
    analyzer = await buses.get("analyzer")
    async with following(analyzer, RolloutStarted, durable="analyzer") as facts:
        await analyzer.publish(fact(1))
        await take(facts, 1)
        restart(buses.server, lose=True)
        await reconnected(analyzer)
        await analyzer.publish(fact(2))
        assert [d.message for d in await take(facts, 1, within_s=20)] == [fact(2)]


async def test_a_server_that_lost_its_store_gets_everything_again(buses: Buses) -> None:
    watcher, analyzer = await buses.get("watcher"), await buses.get("analyzer")
    again: list[asyncio.Task[int]] = []
    watcher.on_reset(lambda: again.append(asyncio.ensure_future(watcher.publish(snapshot(1)))))
    told: list[str] = []
    analyzer.on_reset(lambda: told.append("reset"))
    await watcher.publish(snapshot(1))
    async with (
        following(analyzer, CanaryObserved) as values,
        following(analyzer, RolloutStarted, durable="analyzer") as facts,
    ):
        await take(values, 1)
        listening = asyncio.ensure_future(take(facts, 1, within_s=30))
        restart(buses.server, lose=True)
        assert [d.message for d in await take(values, 1, within_s=20)] == [snapshot(1)]
        await reconnected(analyzer)
        await analyzer.publish(fact())
        assert [d.message for d in await listening] == [fact()]
    assert told == ["reset"]
    assert len(again) == 1


async def test_a_stream_that_somebody_deletes_is_made_anew_and_everybody_hears(
    buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serinus.runtime.connection.CHECK_S", 0.2)  # the watcher follows nothing
    watcher, analyzer = await buses.get("watcher"), await buses.get("analyzer")
    told: list[str] = []
    watcher.on_reset(partial(told.append, "watcher"))
    analyzer.on_reset(partial(told.append, "analyzer"))
    await watcher.publish(snapshot(1))
    async with following(analyzer, CanaryObserved) as values:
        await take(values, 1)
        async with as_root(buses.server) as jetstream:
            await jetstream.delete_stream("SNAPSHOTS")

        async def everybody() -> bool:
            return sorted(told) == ["analyzer", "watcher"]

        await eventually(everybody, "both hear that the stream is new")
        await watcher.publish(snapshot(2))
        assert [d.message for d in await take(values, 1)] == [snapshot(2)]


async def test_a_consumer_that_somebody_deletes_is_made_anew(buses: Buses) -> None:
    watcher, analyzer = await buses.get("watcher"), await buses.get("analyzer")
    await watcher.publish(snapshot(1))
    async with following(analyzer, CanaryObserved) as values:
        await take(values, 1)
        async with as_root(buses.server) as jetstream:
            (info,) = await jetstream.consumers_info("SNAPSHOTS")
            await jetstream.delete_consumer("SNAPSHOTS", info.name)
        await watcher.publish(snapshot(2))
        found = await take(values, 1)
    assert found[0].message == snapshot(2)


async def test_a_server_that_stands_still_is_a_retry_within_the_bound(
    buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serinus.runtime.nats.PUBLISH_S", 0.5)
    watcher = await buses.get("watcher")
    buses.server.pause()
    try:
        with pytest.raises(Retry, match=r"within 0\.5 s"):
            await watcher.publish(snapshot())
        with pytest.raises(Retry):
            await watcher.latest(CanaryObserved, WEB)
    finally:
        buses.server.resume()


async def test_a_bus_may_be_used_before_the_server_is_there(buses: Buses) -> None:
    buses.server.kill()
    watcher = buses.unconnected("watcher")
    sending = asyncio.ensure_future(watcher.publish(snapshot()))
    await asyncio.sleep(0)
    buses.server.start()
    assert await sending == 1


async def test_a_connection_that_is_closed_for_good_is_made_anew(buses: Buses) -> None:
    """The client gives up on some errors of the server; the bus does not."""
    watcher, analyzer = await buses.get("watcher"), await buses.get("analyzer")
    await watcher.publish(snapshot(1))
    async with following(analyzer, CanaryObserved) as values:
        await take(values, 1)
        await analyzer.client.close()
        await watcher.publish(snapshot(2))
        found = await take(values, 1, within_s=20)
    assert found[0].message == snapshot(2)


async def test_a_wrong_password_is_not_the_end(guarded: NatsServer) -> None:
    """Secrets are rotated under running services: red until it fits, no crash."""
    buses = Buses(guarded)
    watcher = buses.unconnected("watcher", "wrong")

    async def red() -> bool:
        return False in buses.states["watcher"]

    try:
        await eventually(red, "the bus says that it cannot connect")
        assert not watcher.ready.is_set()
    finally:
        await buses.close()


# --- strangers -----------------------------------------------------------------------------------

GARBAGE = (
    b"",
    b"\xff\xfe{",
    b"[1, 2]",
    b'{"type": "intent.cluster.v9"}',
    b'{"type": "intent.cluster.v1", "canary": 7}',
    encode(intent(1, API)),
    encode(fact()),
)


async def test_garbage_is_parked_counted_and_stops_nobody(buses: Buses) -> None:
    analyzer, router = await buses.get("analyzer"), await buses.get("router")
    async with following(router, Intent) as deliveries:
        waiting = asyncio.ensure_future(take(deliveries, 1, within_s=20))
        async with as_root(buses.server) as jetstream:
            for number, body in enumerate(GARBAGE):
                await jetstream.publish(f"serinus.intent.cluster.shop.g{number}", body)
            await analyzer.publish(intent())
            assert [d.message for d in await waiting] == [intent()]
            info = await jetstream.stream_info("FACTS", subjects_filter="serinus.dead.router")
            assert info.state.subjects == {"serinus.dead.router": len(GARBAGE)}
            last = await jetstream.get_last_msg("FACTS", "serinus.dead.router")
    note = json.loads(last.data or b"")
    assert note["subject"] == f"serinus.intent.cluster.shop.g{len(GARBAGE) - 1}"
    assert note["reason"] == "a message for serinus.fact.rollout.started.shop.web"
    exposed = buses.metrics["router"].exposition().decode()
    assert f'serinus_dead_total{{reason="undecodable"}} {len(GARBAGE)}.0' in exposed


async def test_garbage_among_facts_is_acknowledged(buses: Buses) -> None:
    notifier = await buses.get("notifier")
    async with following(notifier, RolloutStarted, durable="notifier") as deliveries:
        waiting = asyncio.ensure_future(take(deliveries, 1, within_s=20))
        async with as_root(buses.server) as jetstream:
            await jetstream.publish("serinus.fact.rollout.started.shop.web", b"garbage")
        analyzer = await buses.get("analyzer")
        await analyzer.publish(fact())
        (found,) = await waiting
        await found.ack()
        await notifier.client.flush()
        info = await notifier.jetstream.consumer_info("FACTS", "notifier")
    assert info.num_ack_pending == 0


async def test_the_latest_that_is_garbage_is_none_and_parked(buses: Buses) -> None:
    router = await buses.get("router")
    async with as_root(buses.server) as jetstream:
        await jetstream.publish("serinus.intent.cluster.shop.web", b"garbage")
        assert await router.latest(Intent, WEB) is None
        last = await jetstream.get_last_msg("FACTS", "serinus.dead.router")
    assert json.loads(last.data or b"")["body"] == "garbage"


# --- rights --------------------------------------------------------------------------------------


def own(service: ServiceName) -> list[object]:
    """One message of each kind that only this service may publish."""
    values = {type(one): one for one in (snapshot(), gone(), routes(), intent())}
    kinds = [row.message for row in TABLE if row.publisher == service]
    return [values[kind] if kind in values else kind(canary=WEB) for kind in kinds]


async def hears_everything(buses: Buses, bus: NatsBus, service: str) -> None:
    """Follows values and facts, acknowledges, and reads the newest value."""
    async with AsyncExitStack() as stack:
        values = await stack.enter_async_context(
            following(bus, CanaryObserved, RoutesObserved, Intent)
        )
        kinds = [row.message for row in TABLE if row.stream == "FACTS"]
        facts = await stack.enter_async_context(following(bus, *kinds, durable=service))
        heard = [
            asyncio.ensure_future(take(values, 3)),
            asyncio.ensure_future(take(facts, 1)),
        ]
        for publisher, message in (
            ("watcher", snapshot(9)),
            ("router", routes(9)),
            ("analyzer", intent(9)),
            ("analyzer", fact(9)),
        ):
            await (await buses.get(publisher)).publish(message)
        for done in await asyncio.gather(*heard):
            await done[-1].ack()
    assert await bus.latest(Intent, WEB) is not None


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_can_do_all_it_needs_with_its_own_rights(
    buses: Buses, service: ServiceName
) -> None:
    bus = await buses.get(service)  # the first to start makes the streams
    for message in own(service):
        assert await bus.publish(message) > 0
    await bus.publish(Parked(service=service, subject="x", reason="y"))
    if service not in FOLLOW_NOTHING:
        await hears_everything(buses, bus, service)
    for bucket in (bus.bucket(name) for name, (owner, _) in BUCKETS.items() if owner == service):
        assert await bucket.create("shop/web: a key", b"1")
        assert not await bucket.create("shop/web: a key", b"2")
        await bucket.put("shop/web: a key", b"3")
        assert await bucket.get("shop/web: a key") == b"3"
        await bucket.delete("shop/web: a key")
        assert await bucket.get("shop/web: a key") is None
        assert await bucket.create("shop/web: a key", b"4")


async def test_a_service_is_refused_anothers_subject_and_nothing_changes(
    buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serinus.runtime.nats.REQUEST_S", 0.5)
    analyzer, watcher = await buses.get("analyzer"), await buses.get("watcher")
    await analyzer.publish(intent(1))
    with pytest.raises(Refuse, match=r"watcher: .*permissions violation for publish"):
        await watcher.publish(intent(2))
    found = await analyzer.latest(Intent, WEB)
    assert found is not None
    assert found.message == intent(1)
    assert await watcher.publish(snapshot()) > 0, "it may go on with what is its own"


@pytest.mark.parametrize(
    "deed",
    [
        "$JS.API.STREAM.PURGE.INTENTS",
        "$JS.API.STREAM.DELETE.INTENTS",
        "$JS.API.STREAM.UPDATE.INTENTS",
        "$JS.API.STREAM.MSG.DELETE.INTENTS",
        "$JS.API.STREAM.CREATE.OTHER",
        "$JS.API.STREAM.MSG.GET.KV_serinus-gates",
        "$JS.API.CONSUMER.DELETE.FACTS.notifier",
        "$JS.API.CONSUMER.RESET.FACTS.notifier",
        "$JS.API.CONSUMER.CREATE.FACTS.notifier",
        "$JS.API.CONSUMER.CREATE.FACTS.notifier.serinus.dead.watcher",
        "$JS.API.CONSUMER.MSG.NEXT.FACTS.notifier",
        "$JS.ACK.FACTS.notifier.1.1.1.1.0",
        "$KV.serinus-gates.x",
        "serinus.dead.router",
        "serinus.fact.rollout.promoted.shop.web",
    ],
)
async def test_the_eyes_may_not_touch_what_belongs_to_others(buses: Buses, deed: str) -> None:
    await buses.get("analyzer")
    refused: list[str] = []

    async def hear(error: Exception) -> None:
        refused.append(str(error))

    client = await nats.connect(
        buses.server.url,
        user="watcher",
        password=PASSWORDS["watcher"],
        inbox_prefix="_INBOX.watcher",
        error_cb=hear,
    )
    try:
        with pytest.raises(nats.errors.TimeoutError):
            await client.request(deed, b"{}", timeout=0.3)
    finally:
        await client.close()
    assert f'permissions violation for publish to "{deed.lower()}"' in refused[0]


FORGED = b'{"type":"intent.cluster.v1"}'
MEANT = "serinus.intent.cluster.shop.web"


async def forged(buses: Buses, service: str, subject: str, body: dict[str, Any]) -> list[bytes]:
    """What somebody hears who listens to intents, when this service asks the server for this and
    then says something on its own subject. Last comes the true intent, and is the only one kept."""
    analyzer = await buses.get("analyzer")
    words = {"user": service, "password": PASSWORDS[service]}
    client = await nats.connect(buses.server.url, inbox_prefix=f"_INBOX.{service}", **words)
    tap = await nats.connect(buses.server.url, user="tap", password="tap")
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    async def came() -> bool:
        return bool(heard) and heard[-1] != FORGED

    try:
        await tap.subscribe(MEANT, cb=hear)
        await tap.flush()
        with contextlib.suppress(nats.errors.TimeoutError):
            await client.request(subject, json.dumps(body).encode(), timeout=0.3)
        await client.request(f"serinus.dead.{service}", FORGED, timeout=2)
        await analyzer.publish(intent(1))
        await eventually(came, "the true intent", 10)
    finally:
        await client.close()
        await tap.close()
    async with as_root(buses.server) as jetstream:
        assert (await jetstream.stream_info("INTENTS")).state.last_seq == 1
    return heard


@pytest.mark.parametrize("service", ["watcher", "router", "notifier", "loadtester"])
async def test_nobody_can_have_a_stream_speak_for_it(buses: Buses, service: str) -> None:
    await buses.get("analyzer")
    async with as_root(buses.server) as jetstream:
        live = (await jetstream.stream_info("FACTS")).config.as_dict()
    again = {**live, "republish": {"src": f"serinus.dead.{service}", "dest": MEANT}}
    assert FORGED not in await forged(buses, service, "$JS.API.STREAM.UPDATE.FACTS", again)


async def test_who_follows_nothing_cannot_have_a_consumer_speak_for_it(buses: Buses) -> None:
    """It is the one that runs other people's commands."""
    own = "serinus.dead.loadtester"
    push = {"name": "p", "deliver_subject": MEANT, "filter_subject": own, "ack_policy": "none"}
    body = {"stream_name": "FACTS", "config": push, "action": "create"}
    create = f"$JS.API.CONSUMER.CREATE.FACTS.p.{own}"
    assert FORGED not in await forged(buses, "loadtester", create, body)


async def test_nobody_hears_what_is_meant_for_another(buses: Buses) -> None:
    refused: list[str] = []

    async def hear(error: Exception) -> None:
        refused.append(str(error))

    client = await nats.connect(
        buses.server.url, user="watcher", password=PASSWORDS["watcher"], error_cb=hear
    )
    try:
        await client.subscribe("_INBOX.analyzer.>")
        await client.subscribe("serinus.>")

        async def both() -> bool:
            return len(refused) == 2

        await eventually(both, "two refusals")
    finally:
        await client.close()


# --- streams and buckets -------------------------------------------------------------------------


async def test_streams_are_as_the_table_says_and_are_put_right(buses: Buses) -> None:
    await buses.get("router")
    async with as_root(buses.server) as jetstream:
        for stream in STREAMS:
            config = (await jetstream.stream_info(stream.name)).config
            assert tuple(config.subjects or ()) == stream.subjects
            assert config.max_msgs_per_subject == (stream.max_msgs_per_subject or -1)
        live = (await jetstream.stream_info("SNAPSHOTS")).config
        await jetstream.update_stream(
            live.evolve(max_msgs_per_subject=5, description="kept", max_msg_size=1 << 20)
        )
        await buses.get("watcher")  # publishes there, and may not change it
        assert (await jetstream.stream_info("SNAPSHOTS")).config.max_msgs_per_subject == 5
        await buses.get("analyzer")
        put_right = (await jetstream.stream_info("SNAPSHOTS")).config
        assert put_right.max_msgs_per_subject == 1
        assert (put_right.description, put_right.max_msg_size) == ("kept", 1 << 20)


async def test_what_makes_a_stream_speak_for_others_is_put_right(buses: Buses) -> None:
    await buses.get("router")
    async with as_root(buses.server) as jetstream:
        live = (await jetstream.stream_info("FACTS")).config
        speaks = RePublish(src="serinus.fact.load.>", dest="serinus.intent.cluster.>")
        await jetstream.update_stream(live.evolve(republish=speaks))
        await buses.get("analyzer")
        assert (await jetstream.stream_info("FACTS")).config.republish is None


async def test_a_message_the_stream_will_never_take_is_refused(buses: Buses) -> None:
    watcher = await buses.get("watcher")
    async with as_root(buses.server) as jetstream:
        live = (await jetstream.stream_info("SNAPSHOTS")).config
        await jetstream.update_stream(live.evolve(max_msg_size=100))
    with pytest.raises(Refuse, match="size"):
        await watcher.publish(snapshot())


async def test_of_many_who_create_one_key_one_wins(buses: Buses) -> None:
    replicas = [await buses.get("notifier") for _ in range(3)]
    buckets = [bus.bucket("serinus-told") for bus in replicas]
    won = await asyncio.gather(*(bucket.create("k", b"1") for bucket in buckets))
    assert sorted(won) == [False, False, True]


async def test_a_bucket_lists_its_keys_whatever_they_are_made_of(buses: Buses) -> None:
    bucket = (await buses.get("loadtester")).bucket("serinus-gates")
    names = {"gate.web.shop", "a b", "*.>", "100%", "é=", "a/b-c_d"}
    assert await bucket.keys() == []
    for name in names:
        await bucket.put(name, b"1")
    assert set(await bucket.keys()) == names


async def test_a_bucket_outlives_the_server_and_is_made_anew_when_lost(buses: Buses) -> None:
    loadtester = await buses.get("loadtester")
    gates = loadtester.bucket("serinus-gates")
    await gates.put("web", b"open")
    restart(buses.server)
    assert await _patiently(gates.get, "web") == b"open"
    restart(buses.server, lose=True)
    assert await _patiently(gates.get, "web") is None
    assert await gates.create("web", b"closed")


async def test_a_bucket_is_looked_up_once_however_many_ask_at_the_same_time(buses: Buses) -> None:
    told = (await buses.get("notifier")).bucket("serinus-told")
    await told.put("a", b"1")
    root = await nats.connect(buses.server.url, user="root", password="root")
    looked_up = await root.subscribe("$JS.API.STREAM.INFO.KV_serinus-told")
    await root.flush()

    found = await asyncio.gather(*(told.get("a") for _ in range(50)))

    await root.flush()
    assert found == [b"1"] * 50
    assert looked_up.pending_msgs == 0
    await root.close()


async def _patiently(get: Callable[[str], object], key: str) -> object:
    """A bucket answers within its bound or says Retry; a server takes a moment to come back."""
    for _ in range(5):
        try:
            return await get(key)  # type: ignore[misc]  # an awaitable
        except Retry:
            continue
    raise AssertionError("the bucket never answered")
