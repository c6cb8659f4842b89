"""One request for each sentence."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.notifier.helpers import T0, FakeCluster, a_fact

from serinus.events import CanaryRef, Fact
from serinus.kube.errors import Denied, NotFound, Unreachable
from serinus.notifier.core.outcomes import Again, Refused, Sent
from serinus.notifier.events import EventWriter
from serinus.runtime.clock import LoopClock

HALT = "Halt web.prod advancement waiting for approval gate"


def at(seconds: float, text: str = HALT, id: str = "") -> Fact:
    return msgspec.structs.replace(a_fact(id or f"f-{seconds}", text), at=T0 + seconds)


def writer(cluster: FakeCluster, limit: int = 100) -> EventWriter:
    return EventWriter(cluster, LoopClock(), limit=limit)  # type: ignore[arg-type]


async def test_a_sentence_becomes_an_event_in_one_request() -> None:
    cluster = FakeCluster()

    assert await writer(cluster).write(at(0), "f-1", "") == Sent()

    assert cluster.requests == ["create Event"]
    [event] = cluster.of_kind("Event")
    assert (event["message"], event["count"]) == (HALT, 1)


async def test_a_repeat_raises_the_count_in_one_request() -> None:
    cluster = FakeCluster()
    events = writer(cluster)

    for seconds in (0, 60, 120):
        await events.write(at(seconds), f"f-{seconds}", "")

    assert cluster.requests == ["create Event", "patch Event", "patch Event"]
    [event] = cluster.of_kind("Event")
    assert event["count"] == 3
    assert event["firstTimestamp"] == "2026-01-01T00:00:00Z"
    assert event["lastTimestamp"] == "2026-01-01T00:02:00Z"


async def test_a_fact_that_is_heard_again_is_not_counted_again() -> None:
    """The bus may have lost the memory of what was told, and whoever told it tells it again."""
    cluster = FakeCluster()
    events = writer(cluster)

    for seconds, fact_id in ((0, "f-1"), (60, "f-2"), (70, "f-2")):
        assert await events.write(at(seconds), fact_id, "") == Sent()

    [event] = cluster.of_kind("Event")
    assert event["count"] == 2


async def test_another_text_in_between_does_not_break_the_count() -> None:
    cluster = FakeCluster()
    events = writer(cluster)

    for seconds, text in ((0, HALT), (1, "other"), (2, HALT)):
        await events.write(at(seconds, text), f"f-{seconds}", "")

    assert {e["message"]: e["count"] for e in cluster.of_kind("Event")} == {HALT: 2, "other": 1}


async def test_after_ten_quiet_minutes_it_is_said_anew() -> None:
    cluster = FakeCluster()
    events = writer(cluster)

    await events.write(at(0), "f-1", "")
    await events.write(at(601), "f-2", "")

    assert [e["count"] for e in cluster.of_kind("Event")] == [1, 1]


async def test_an_event_that_is_gone_is_written_anew() -> None:
    cluster = FakeCluster()
    events = writer(cluster)
    await events.write(at(0), "f-1", "")
    cluster.objects.clear()

    assert await events.write(at(60), "f-2", "") == Sent()

    assert [e["count"] for e in cluster.of_kind("Event")] == [1]


async def test_an_event_written_before_a_crash_is_not_written_twice() -> None:
    cluster = FakeCluster()

    await writer(cluster).write(at(0), "f-1", "")
    assert await writer(cluster).write(at(0), "f-1", "") == Sent()

    assert len(cluster.of_kind("Event")) == 1


async def test_the_uid_comes_from_the_snapshot_where_the_fact_has_none() -> None:
    cluster = FakeCluster()
    fact = msgspec.structs.replace(at(0), canary=CanaryRef("prod", "web"))

    await writer(cluster).write(fact, "f-1", "uid-9")

    [event] = cluster.of_kind("Event")
    assert event["involvedObject"]["uid"] == "uid-9"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Unreachable("no answer", 3.0), Again("no answer", 3.0)),
        (Denied("events is forbidden"), Refused("events is forbidden")),
        (NotFound("namespaces prod not found"), Refused),
    ],
)
async def test_what_the_api_server_says_decides_whether_to_try_again(
    error: Exception, outcome: Again | Refused | type
) -> None:
    cluster = FakeCluster()
    cluster.failures.append(error)

    found = await writer(cluster).write(at(0), "f-1", "")

    assert found == outcome or (isinstance(outcome, type) and isinstance(found, outcome))


async def test_a_failed_repeat_is_counted_when_it_succeeds_at_last() -> None:
    cluster = FakeCluster()
    events = writer(cluster)
    await events.write(at(0), "f-1", "")
    cluster.failures.append(Unreachable("no answer"))

    assert isinstance(await events.write(at(60), "f-2", ""), Again)
    await events.write(at(60), "f-2", "")

    assert [e["count"] for e in cluster.of_kind("Event")] == [2]


async def test_the_memory_of_written_events_is_bounded() -> None:
    cluster = FakeCluster()
    events = writer(cluster, limit=2)

    for text in ("a", "b", "c", "a", "c"):
        await events.write(at(0, text), f"f-{len(cluster.requests)}", "")

    assert cluster.requests == ["create Event"] * 4 + ["patch Event"]
