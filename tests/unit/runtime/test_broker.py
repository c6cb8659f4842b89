"""The server in memory keeps what the real one keeps."""

from __future__ import annotations

import pytest
from tests.unit.runtime.helpers import API, WEB, fact, snapshot

from serinus.events import encode, message_id
from serinus.runtime.broker import MemoryBroker
from serinus.runtime.clock import LoopClock
from serinus.runtime.errors import Refuse, Retry, Stale

pytestmark = pytest.mark.looptime
SUBJECT = "serinus.snapshot.canary.shop.web"


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(LoopClock())


async def test_a_snapshot_takes_the_place_of_the_one_before(broker: MemoryBroker) -> None:
    broker.store(SUBJECT, {}, encode(snapshot(1)))
    broker.store(SUBJECT, {}, encode(snapshot(2)))
    broker.store("serinus.snapshot.canary.shop.api", {}, encode(snapshot(1, API)))
    assert broker.messages() == [snapshot(2), snapshot(1, API)]


async def test_facts_are_all_kept(broker: MemoryBroker) -> None:
    for number in (1, 2):
        broker.store("serinus.fact.rollout.started.shop.web", {}, encode(fact(number)))
    assert broker.messages(type(fact())) == [fact(1), fact(2)]


async def test_a_repeated_id_is_dropped_inside_the_window_and_news_after_it(
    broker: MemoryBroker,
) -> None:
    headers = {"Nats-Msg-Id": message_id(fact())}
    subject = "serinus.fact.rollout.started.shop.web"
    first = broker.store(subject, headers, encode(fact()))
    await broker.clock.sleep(119)
    assert broker.store(subject, headers, encode(fact())).sequence == first.sequence
    await broker.clock.sleep(2)
    assert broker.store(subject, headers, encode(fact())).sequence == first.sequence + 1


async def test_an_expected_sequence_that_is_passed_is_stale(broker: MemoryBroker) -> None:
    first = broker.store(SUBJECT, {}, b"1", expect=0)
    second = broker.store(SUBJECT, {}, b"2", expect=first.sequence)
    with pytest.raises(Stale):
        broker.store(SUBJECT, {}, b"3", expect=first.sequence)
    with pytest.raises(Stale):
        broker.store(SUBJECT, {}, b"3", expect=0)
    last = broker.last(SUBJECT)
    assert last is not None
    assert (last.sequence, last.body) == (second.sequence, b"2")


async def test_while_nobody_reaches_it_everything_is_a_retry(broker: MemoryBroker) -> None:
    broker.disconnect()
    with pytest.raises(Retry):
        broker.store(SUBJECT, {}, b"")
    with pytest.raises(Retry):
        broker.last(SUBJECT)
    broker.reconnect()
    assert broker.store(SUBJECT, {}, b"").sequence == 1


async def test_a_subject_of_no_stream_is_refused(broker: MemoryBroker) -> None:
    with pytest.raises(Refuse, match=r"no stream takes elsewhere\.x"):
        broker.store("elsewhere.x", {}, b"")


async def test_losing_everything_leaves_new_empty_streams_and_tells(broker: MemoryBroker) -> None:
    told: list[str] = []
    broker.resets.append(lambda: told.append("reset"))
    broker.store(SUBJECT, {}, encode(snapshot(1, WEB)))
    broker.lose_everything()
    assert told == ["reset"]
    assert broker.messages() == []
    assert broker.store(SUBJECT, {}, b"").sequence == 1


async def test_a_repeat_of_an_expected_message_is_no_conflict_unless_others_followed(
    broker: MemoryBroker,
) -> None:
    headers = {"Nats-Msg-Id": "one"}
    first = broker.store(SUBJECT, headers, b"1", expect=0)
    assert broker.store(SUBJECT, headers, b"1", expect=0).sequence == first.sequence
    broker.store(SUBJECT, {"Nats-Msg-Id": "two"}, b"2", expect=first.sequence)
    with pytest.raises(Stale):
        broker.store(SUBJECT, headers, b"1", expect=0)
