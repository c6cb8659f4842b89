"""Who is told what about each fact, with the bus in memory and the world scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
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
    RolloutStarted,
    WorkloadSeen,
)
from serinus.kube.errors import Unreachable
from serinus.kube.refs import Obj, ref_of
from serinus.notifier.core.audience import Target
from serinus.notifier.core.outcomes import Known, Outcome, Refused, Sent
from serinus.notifier.stages import Courier
from serinus.notifier.standings import Standings
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
    standings: Standings

    def voice(self, channels: Channels | None = None) -> Voice:
        return Voice(
            bus=MemoryBus(self.broker, "notifier"),
            cluster=self.cluster,  # type: ignore[arg-type]
            http=self.http,
            clock=LoopClock(),
            courier=self.courier,
            channels=channels or Channels(),
            standings=self.standings,
        )

    def knows(self, spec: CanarySpec, channels: Channels | None = None) -> Voice:
        voice = self.voice(channels)
        voice.observe(observed(spec))
        return voice

    def know(self, obj: Obj) -> None:
        """An AlertProvider that the watch has brought."""
        self.cluster.objects[ref_of(obj)] = obj
        self.standings.store.put_written(obj)

    async def publish(self, message: object) -> None:
        await MemoryBus(self.broker).publish(message)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    broker = MemoryBroker(LoopClock())
    told = BucketTold(MemoryBus(broker, "notifier").bucket(BUCKET))
    courier = Courier(told=told, clock=LoopClock(), metrics=PrometheusMetrics())
    cluster = FakeCluster()
    standings = Standings(cluster, LoopClock())  # type: ignore[arg-type]  # all that it asks for
    yield World(broker, cluster, FakeHttp(), courier, standings)
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


async def test_a_path_that_hangs_keeps_no_other_path_of_its_host_waiting(world: World) -> None:
    """Of one address few requests are under way at one time; of one host many may be."""
    hanging, well = "http://hooks.test/a", "http://hooks.test/b"
    world.http.hangs_s[hanging] = 10.0
    voice = world.voice()
    refs = [CanaryRef("prod", f"web-{number}", f"uid-{number}") for number in range(12)]
    for number, ref in enumerate(refs):
        url = well if number == 11 else hanging
        hooks = [{"name": "e", "type": "event", "url": url}]
        voice.observe(observed(a_spec(webhooks=hooks), ref))

    for number, ref in enumerate(refs):
        await voice.tell(a_fact(f"f-{number}", TEXT, canary=ref))
    await asyncio.sleep(1)

    assert 1 == len(world.http.bodies(well))
    assert 4 == len(world.http.bodies(hanging))


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


async def test_a_secret_that_is_not_labelled_is_no_channel_where_labels_are_asked_for(
    world: World,
) -> None:
    named = provider("a", secretRef={"name": "keys"})
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"address": "aHR0cDovL2IudGVzdC8="}}
    metadata = {"name": "keys", "namespace": WEB.namespace}
    world.cluster = FakeCluster(named, {**secret, "metadata": metadata})
    channels = Channels(labelled_secrets_only=True)

    [refused] = await tell(world.knows(alerting("a"), channels), a_fact("f-1", alert=STARTED))
    told = await tell(world.knows(alerting("a")), a_fact("f-2", alert=STARTED))

    assert isinstance(refused, Refused)
    assert "spec.secretRef: secret keys is not labelled to be read for this" in refused.why
    assert told == [Sent()]
    assert [r.url for r in world.http.asked] == ["http://b.test/"]


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


# --- fifty canaries, one change ------------------------------------------------------------------

GROUPING = Channels(cluster_name="east-1", group_from=5)


def crowd_of(voice: Voice, count: int, spec: CanarySpec, image: str = "web:2") -> list[CanaryRef]:
    """Canaries that get one image."""
    refs = [CanaryRef("prod", f"web-{number:02}", f"uid-{number}") for number in range(count)]
    for ref in refs:
        seen = observed(spec, ref)
        target = WorkloadSeen(found=True, revision="r2", images={"c": image})
        primary = WorkloadSeen(found=True, images={"c": "web:1"})
        voice.observe(msgspec.structs.replace(seen, target=target, primary=primary))
    return refs


def started(ref: CanaryRef) -> Fact:
    return RolloutStarted(
        canary=ref,
        id=f"start-{ref.name}",
        at=T0,
        revision="r2",
        alert=STARTED,
        images={"c": "web:2"},
    )


def broken(ref: CanaryRef) -> Fact:
    return RollbackDecided(
        canary=ref, id=f"end-{ref.name}", at=T0, revision="r2", alert=CONDEMNED, measurements=(BAD,)
    )


def chats(*names: str) -> FakeCluster:
    return FakeCluster(*(provider(name, type="rocket") for name in names))


async def tell_all(voice: Voice, facts: list[Fact]) -> list[Outcome]:
    endings = [ending for fact in facts for ending in await voice.tell(fact)]
    return list(await asyncio.gather(*endings))


async def test_fifty_canaries_of_one_change_are_one_message(world: World) -> None:
    world.cluster = chats("a")
    voice = world.voice(GROUPING)
    refs = crowd_of(voice, 50, alerting("a"))

    outcomes = await tell_all(voice, [started(ref) for ref in refs])

    assert outcomes == [Sent()] * 50
    [body] = world.http.bodies("http://a.test/")
    [attachment] = body["attachments"]
    assert "50 canaries" == attachment["author_name"]
    fields = {field["title"]: field["value"] for field in attachment["fields"]}
    assert "image web:2" == fields["Shared change"]
    assert [ref.name for ref in refs] == fields["prod (50)"].split(", ")
    assert 50 == len(world.broker.messages(AlertSent))
    assert asyncio.get_running_loop().time() <= 3


async def test_each_audience_hears_of_them_once(world: World) -> None:
    world.cluster = chats("a", "b")
    voice = world.voice(GROUPING)
    refs = crowd_of(voice, 20, alerting("a", "b"))

    await tell_all(voice, [started(ref) for ref in refs])

    assert ["http://a.test/", "http://b.test/"] == sorted(r.url for r in world.http.asked)


async def test_a_few_canaries_are_told_of_one_by_one_and_at_once(world: World) -> None:
    """As Flagger tells of them: what they share is no news yet."""
    world.cluster = chats("a")
    voice = world.voice(GROUPING)
    refs = crowd_of(voice, 4, alerting("a"))

    await tell_all(voice, [started(ref) for ref in refs])

    authors = [body["attachments"][0]["author_name"] for body in world.http.bodies()]
    assert [f"{ref.name}.prod" for ref in refs] == authors
    assert asyncio.get_running_loop().time() == pytest.approx(0, abs=0.1)


async def test_one_of_a_crowd_that_comes_by_itself_looks_as_always(world: World) -> None:
    world.cluster = chats("a")
    voice = world.voice(GROUPING)
    ref = crowd_of(voice, 50, alerting("a"))[7]

    await tell_all(voice, [started(ref)])

    [body] = world.http.bodies()
    assert "web-07.prod" == body["attachments"][0]["author_name"]


async def test_failures_in_a_crowd_are_told_at_once_each_with_its_reasons(world: World) -> None:
    world.cluster = chats("a")
    voice = world.voice(GROUPING)
    refs = crowd_of(voice, 10, alerting("a"))

    await tell_all(voice, [broken(ref) for ref in refs])

    fields = [body["attachments"][0]["fields"][1] for body in world.http.bodies()]
    assert ["Failed check latency"] * 10 == [field["title"] for field in fields]
    assert asyncio.get_running_loop().time() == pytest.approx(0, abs=0.1)


async def test_a_failure_does_not_wait_for_the_group_that_its_start_is_in(world: World) -> None:
    world.cluster = chats("a")
    voice = world.voice(GROUPING)
    refs = crowd_of(voice, 10, alerting("a"))

    starts = asyncio.create_task(tell_all(voice, [started(ref) for ref in refs]))
    await asyncio.sleep(0.5)
    await tell_all(voice, [broken(refs[3])])
    await starts

    authors = [body["attachments"][0]["author_name"] for body in world.http.bodies()]
    assert ["10 canaries", "web-03.prod"] == authors
    assert asyncio.get_running_loop().time() == pytest.approx(0.5, abs=0.1)


async def test_programs_hear_of_every_canary(world: World) -> None:
    world.cluster = FakeCluster(provider("a"))
    voice = world.voice(GROUPING)
    refs = crowd_of(voice, 50, alerting("a"))

    await tell_all(voice, [started(ref) for ref in refs])

    assert 50 == len(world.http.bodies("http://a.test/"))


async def test_the_global_channel_groups_too(world: World) -> None:
    chat = Target(type="rocket", address="http://chat.test/")
    voice = world.voice(Channels(chat=chat, group_from=5))
    refs = crowd_of(voice, 50, a_spec())

    await tell_all(voice, [started(ref) for ref in refs])

    assert 1 == len(world.http.bodies("http://chat.test/"))


async def test_a_group_that_does_not_get_through_is_tried_again_as_one(world: World) -> None:
    world.cluster = chats("a")
    world.http.answers["http://a.test/"] = [HttpResponse(status=500), HttpResponse(status=200)]
    voice = world.voice(GROUPING)
    refs = crowd_of(voice, 50, alerting("a"))

    assert [Sent()] * 50 == await tell_all(voice, [started(ref) for ref in refs])
    assert 2 == len(world.http.asked)


async def test_a_group_that_is_told_again_after_a_crash_leaves_out_who_was_told(
    world: World,
) -> None:
    world.cluster = chats("a")
    voice = world.voice(GROUPING)
    refs = crowd_of(voice, 50, alerting("a"))
    facts = [started(ref) for ref in refs]
    await tell_all(voice, facts[:40])

    await tell_all(voice, facts)

    authors = [body["attachments"][0]["author_name"] for body in world.http.bodies()]
    assert ["40 canaries", "10 canaries"] == authors


# --- what AlertProviders hear of themselves ------------------------------------------------------


def ready_of(world: World, name: str) -> dict[str, str]:
    [found] = [o for o in world.cluster.of_kind("AlertProvider") if o["metadata"]["name"] == name]
    condition: dict[str, str] = found["status"]["conditions"][0]
    return condition


async def test_an_undeliverable_alert_is_in_the_status_of_its_provider(world: World) -> None:
    world.know(provider("a"))
    world.http.answers["http://a.test/"] = [HttpResponse(status=404, body=b"no_team")]

    await tell(world.knows(alerting("a")), a_fact(alert=STARTED))

    assert "False" == ready_of(world, "a")["status"]
    assert "status 404: no_team" in ready_of(world, "a")["message"]


async def test_one_that_gets_through_again_says_so_and_then_no_more(world: World) -> None:
    world.know(provider("a"))
    voice = world.knows(alerting("a"))
    world.http.answers["http://a.test/"] = [HttpResponse(status=404), HttpResponse(status=200)]

    for number in range(4):
        await tell(voice, a_fact(f"f-{number}", alert=STARTED))

    assert ("True", "Delivered") == (ready_of(world, "a")["status"], ready_of(world, "a")["reason"])
    assert 2 == world.cluster.requests.count("patch AlertProvider")


async def test_a_bad_template_is_told_of_and_the_alert_with_it(world: World) -> None:
    world.know(provider("a", messageTemplate="{{ .Nmae }}"))

    [outcome] = await tell(world.knows(alerting("a")), a_fact(alert=STARTED))

    assert isinstance(outcome, Sent)
    assert "InvalidTemplate" == ready_of(world, "a")["reason"]
    [body] = world.http.bodies()
    assert STARTED.message == body["message"]
    assert "spec.messageTemplate" in body["fields"][-1]["value"]


async def test_a_template_is_what_people_read(world: World) -> None:
    world.know(provider("a", messageTemplate="{{ .Name }} is {{ .Status }}"))

    await tell(world.knows(alerting("a")), a_fact(alert=STARTED, phase="Progressing"))

    assert "web is progressing" == world.http.bodies()[0]["message"]
