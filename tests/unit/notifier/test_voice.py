"""Who is told what about each fact, with the bus in memory and the world scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.unit.notifier.helpers import (
    T0,
    WEB,
    FakeCluster,
    FakeHttp,
    a_fact,
    a_spec,
    observed,
    provider,
)

from serinus.events import (
    Alert,
    AlertFailed,
    AlertSent,
    CanaryGone,
    CanaryRef,
    CanarySpec,
    CheckFailed,
    Fact,
    Measurement,
    Promoted,
    RollbackDecided,
)
from serinus.kube.errors import Unreachable
from serinus.kube.refs import Obj, ref_of
from serinus.notifier.core.audience import Target
from serinus.notifier.core.outcomes import Known, Outcome, Refused, Sent
from serinus.notifier.stages import Courier
from serinus.notifier.told import BUCKET, BucketTold
from serinus.notifier.voice import HEARD, HOOK_AGE_S, Channels, Voice, host_of
from serinus.runtime.clock import LoopClock
from serinus.runtime.errors import Retry
from serinus.runtime.http import HttpResponse, Unanswered
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.telemetry import PrometheusMetrics

pytestmark = pytest.mark.looptime

TEXT = "Advance web.prod canary weight 10"
ALL = "http://all.test/"
STARTED = Alert("info", "New revision detected, progressing canary analysis.", True)
CONDEMNED = Alert("error", "Failed checks threshold reached 5")
BAD = Measurement(
    metric="latency", outcome="failed", value=700.0, unit="ms", bound="<= 500", interval="1m"
)


@dataclass
class World:
    """A voice and everything it speaks to."""

    broker: MemoryBroker
    cluster: FakeCluster
    http: FakeHttp
    courier: Courier

    def voice(self, channels: Channels | None = None) -> Voice:
        return Voice(
            bus=MemoryBus(self.broker, "notifier"),
            cluster=self.cluster,  # type: ignore[arg-type]
            http=self.http,
            clock=LoopClock(),
            courier=self.courier,
            channels=channels or Channels(),
        )

    def knows(self, spec: CanarySpec, channels: Channels | None = None) -> Voice:
        voice = self.voice(channels)
        voice.observe(observed(spec))
        return voice

    async def publish(self, message: object) -> None:
        await MemoryBus(self.broker).publish(message)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    broker = MemoryBroker(LoopClock())
    told = BucketTold(MemoryBus(broker, "notifier").bucket(BUCKET))
    courier = Courier(told=told, clock=LoopClock(), metrics=PrometheusMetrics())
    yield World(broker, FakeCluster(), FakeHttp(), courier)
    await courier.drain(0)


async def tell(voice: Voice, fact: Fact) -> list[Outcome]:
    return list(await asyncio.gather(*await voice.tell(fact)))


def alerting(*names: str) -> CanarySpec:
    return a_spec(
        alerts=[{"name": n, "severity": "info", "providerRef": {"name": n}} for n in names]
    )


async def test_a_sentence_becomes_a_kubernetes_event(world: World) -> None:
    outcomes = await tell(world.knows(a_spec()), a_fact(text=TEXT))

    assert outcomes == [Sent()]
    [event] = world.cluster.of_kind("Event")
    assert (event["message"], event["involvedObject"]["uid"]) == (TEXT, WEB.uid)
    assert world.http.asked == []


async def test_a_fact_that_is_no_news_to_people_is_not_told(world: World) -> None:
    assert await tell(world.knows(a_spec()), a_fact()) == []
    assert world.cluster.requests == []


async def test_a_fact_that_comes_again_is_told_once(world: World) -> None:
    voice = world.knows(a_spec(), Channels(event_webhook=ALL))
    await tell(voice, a_fact(text=TEXT))

    assert await tell(voice, a_fact(text=TEXT)) == [Known(), Known()]
    assert len(world.cluster.requests) == 1
    assert len(world.http.asked) == 1


async def test_the_global_event_webhook_hears_every_sentence(world: World) -> None:
    voice = world.knows(a_spec(), Channels(event_webhook=ALL))

    await tell(voice, a_fact(text=TEXT, phase="Progressing", checksum="7b9"))

    assert world.http.bodies(ALL) == [
        {
            "name": "web",
            "namespace": "prod",
            "phase": "Progressing",
            "checksum": "7b9",
            "metadata": {
                "eventMessage": TEXT,
                "eventType": "Normal",
                "timestamp": str(round(T0 * 1000)),
            },
        }
    ]


async def test_event_hooks_of_a_canary_replace_the_global_one(world: World) -> None:
    spec = a_spec(webhooks=[{"name": "own", "type": "event", "url": "http://own.test/"}])

    await tell(world.knows(spec, Channels(event_webhook=ALL)), a_fact(text=TEXT))

    assert [r.url for r in world.http.asked] == ["http://own.test/"]


async def test_an_event_hook_that_answers_500_is_asked_once_unless_it_has_retries(
    world: World,
) -> None:
    spec = a_spec(
        webhooks=[
            {"name": "a", "type": "event", "url": "http://a.test/"},
            {"name": "b", "type": "event", "url": "http://b.test/", "retries": 2},
        ]
    )
    for url in ("http://a.test/", "http://b.test/"):
        world.http.answers[url] = [HttpResponse(status=500)]

    await tell(world.knows(spec), a_fact(text=TEXT))

    assert len(world.http.bodies("http://a.test/")) == 1
    assert len(world.http.bodies("http://b.test/")) == 3


async def test_an_event_hook_that_was_away_gets_what_it_missed(world: World) -> None:
    world.http.answers[ALL] = [Unanswered("cannot connect"), HttpResponse(status=200)]
    voice = world.knows(a_spec(), Channels(event_webhook=ALL))

    assert await tell(voice, a_fact(text=TEXT)) == [Sent(), Sent()]
    assert len(world.http.asked) == 2


async def test_an_event_hook_that_stays_away_is_given_up_soon(world: World) -> None:
    world.http.answers[ALL] = [Unanswered("cannot connect")]
    voice = world.knows(a_spec(), Channels(event_webhook=ALL))

    sent, given_up = await tell(voice, a_fact(text=TEXT))

    assert sent == Sent()
    assert isinstance(given_up, Refused)
    assert asyncio.get_running_loop().time() <= HOOK_AGE_S


async def test_an_alert_goes_to_the_canarys_providers(world: World) -> None:
    world.cluster = FakeCluster(provider("a"), provider("b"))
    voice = world.knows(alerting("a", "b"))

    assert await tell(voice, a_fact(alert=STARTED)) == [Sent(), Sent()]
    assert sorted(r.url for r in world.http.asked) == ["http://a.test/", "http://b.test/"]
    assert {b["message"] for b in world.http.bodies()} == {STARTED.message}


async def test_sent_alerts_are_facts(world: World) -> None:
    world.cluster = FakeCluster(provider("a"))

    await tell(world.knows(alerting("a")), a_fact(alert=STARTED))

    [fact] = world.broker.messages(AlertSent)
    assert (fact.provider, fact.about, fact.canary.key) == ("a.prod", "fact-1", "prod/web")


async def test_an_alert_that_cannot_be_sent_is_a_fact_with_the_reason(world: World) -> None:
    assert isinstance(
        (await tell(world.knows(alerting("gone")), a_fact(alert=STARTED)))[0], Refused
    )

    [fact] = world.broker.messages(AlertFailed)
    assert fact.provider == "gone.prod"
    assert "AlertProvider gone not found" in fact.reason


async def test_providers_are_not_read_while_there_is_nothing_to_tell(world: World) -> None:
    world.cluster = FakeCluster(provider("a"))
    voice = world.knows(alerting("a"))

    await tell(voice, a_fact(text=TEXT))

    assert world.cluster.requests == ["create Event"]


async def test_a_provider_is_read_again_for_each_attempt(world: World) -> None:
    """So that a corrected address counts, and an API server that is away is waited for."""
    world.cluster = FakeCluster(provider("a"))
    world.cluster.failures.append(Unreachable("no answer"))

    assert await tell(world.knows(alerting("a")), a_fact(alert=STARTED)) == [Sent()]
    assert world.cluster.requests == ["get AlertProvider"] * 2


async def test_without_alerts_of_its_own_the_global_channel_speaks(world: World) -> None:
    chat = Target(type="webhook", address="http://chat.test/")
    voice = world.knows(a_spec(), Channels(cluster_name="east-1", chat=chat))

    await tell(voice, a_fact(alert=STARTED))

    [body] = world.http.bodies("http://chat.test/")
    assert body["fields"][0] == {"name": "Cluster", "value": "east-1"}


async def test_alerts_of_its_own_silence_the_global_channel(world: World) -> None:
    world.cluster = FakeCluster(provider("a"))
    chat = Target(type="webhook", address="http://chat.test/")

    await tell(world.knows(alerting("a"), Channels(chat=chat)), a_fact(alert=STARTED))

    assert [r.url for r in world.http.asked] == ["http://a.test/"]


async def test_without_any_channel_an_alert_stays_unsaid(world: World) -> None:
    assert await tell(world.knows(a_spec()), a_fact(alert=STARTED)) == []


async def test_a_foreign_provider_is_refused_where_that_is_switched_off(world: World) -> None:
    spec = a_spec(alerts=[{"name": "o", "providerRef": {"name": "o", "namespace": "ops"}}])
    world.cluster = FakeCluster(provider("o", "ops"))

    shut = await tell(
        world.knows(spec, Channels(own_namespace_only=True)), a_fact("f-1", alert=STARTED)
    )
    open_ = await tell(world.knows(spec), a_fact("f-2", alert=STARTED))

    assert isinstance(shut[0], Refused)
    assert open_ == [Sent()]


async def test_a_rollback_names_the_check_from_the_last_failed_one(world: World) -> None:
    world.cluster = FakeCluster(provider("a"))
    await world.publish(CheckFailed(canary=WEB, id="c", revision="r2", measurements=(BAD,)))
    fact = RollbackDecided(canary=WEB, id="f", at=T0, revision="r2", alert=CONDEMNED)

    await tell(world.knows(alerting("a")), fact)

    [body] = world.http.bodies()
    assert body["failedChecks"][0]["metric"] == "latency"
    assert body["fields"] == [
        {"name": "Failed check latency", "value": "700 ms, must be <= 500, over 1m"}
    ]


async def test_a_failed_check_of_another_revision_explains_nothing(world: World) -> None:
    world.cluster = FakeCluster(provider("a"))
    await world.publish(CheckFailed(canary=WEB, id="c", revision="r1", measurements=(BAD,)))
    fact = RollbackDecided(canary=WEB, id="f", at=T0, revision="r2", alert=CONDEMNED)

    await tell(world.knows(alerting("a")), fact)

    assert world.http.bodies()[0]["failedChecks"] == []


async def test_a_canary_not_heard_of_yet_is_looked_up(world: World) -> None:
    """After a restart a fact may come before its snapshot does."""
    world.cluster = FakeCluster(provider("a"))
    await world.publish(observed(alerting("a")))

    assert await tell(world.voice(), a_fact(alert=STARTED)) == [Sent()]


async def test_a_canary_nobody_knows_still_gets_its_event(world: World) -> None:
    assert await tell(world.voice(), a_fact(text=TEXT, alert=STARTED)) == [Sent()]


async def test_without_the_bus_a_fact_waits(world: World) -> None:
    world.broker.disconnect()

    with pytest.raises(Retry):
        await world.voice().tell(a_fact(text=TEXT))


async def test_the_last_words_of_a_deleted_canary_reach_its_audience(world: World) -> None:
    world.cluster = FakeCluster(provider("a"))
    voice = world.knows(alerting("a"))
    voice.forget(CanaryGone(canary=WEB))

    assert await tell(voice, a_fact(alert=STARTED)) == [Sent()]


async def test_of_deleted_canaries_only_the_last_ones_are_kept(world: World) -> None:
    voice = world.voice()
    for number in range(400):
        ref = CanaryRef("prod", f"web-{number}", f"u-{number}")
        voice.observe(observed(a_spec(), ref))
        voice.forget(CanaryGone(canary=ref))

    assert voice.remembered <= 256


def test_its_own_facts_are_not_heard() -> None:
    assert AlertSent not in HEARD
    assert AlertFailed not in HEARD
    assert RollbackDecided in HEARD


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://u:secret@h.test:8443/x?token=y", "h.test:8443"), ("http://h.test", "h.test")],
)
def test_of_a_url_only_the_host_is_named(url: str, host: str) -> None:
    assert host_of(url) == host


PROMOTED = Promoted(
    canary=WEB,
    id="fact-9",
    at=T0,
    alert=Alert("info", "Canary analysis completed successfully, promotion finished."),
)


async def test_an_incident_ends_with_the_release_whatever_its_provider_asked_for(
    world: World,
) -> None:
    """A pager that wants errors only would never learn that all is well again."""
    spec = a_spec(
        alerts=[
            {"name": n, "severity": "error", "providerRef": {"name": n}} for n in ("pager", "chat")
        ]
    )
    pager = provider("pager", type="pagerduty", address="http://pd.test/")
    pager["spec"]["secretRef"] = {"name": "key"}
    secret: Obj = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key", "namespace": "prod"},
        "data": {"token": "a2V5"},
    }
    for obj in (pager, provider("chat"), secret):
        world.cluster.objects[ref_of(obj)] = obj

    outcomes = await tell(world.knows(spec), PROMOTED)

    assert outcomes == [Sent(), Known()]
    assert [request.url for request in world.http.asked] == ["http://pd.test/"]
    assert world.http.bodies()[0]["event_action"] == "resolve"


async def test_an_incident_channel_without_an_incident_to_end_costs_no_failure(
    world: World,
) -> None:
    spec = a_spec(alerts=[{"name": "x", "severity": "error", "providerRef": {"name": "x"}}])

    assert await tell(world.knows(spec), PROMOTED) == [Known()]
