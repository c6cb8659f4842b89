"""The notifier as a whole service: a real NATS, a real kube-apiserver, chats that are scripted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from tests.builders import T0
from tests.servers.control_plane import ControlPlane, Request
from tests.servers.kube import Kube, Obj
from tests.servers.nats import NatsServer
from tests.servers.stub import Reply, Stub
from tests.servers.waiting import eventually

from serinus.events import (
    Alert,
    AlertSent,
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    Measurement,
    RollbackDecided,
    RolloutNoted,
    RolloutStarted,
)
from serinus.kube.credentials import READABLE
from serinus.notifier.app import service
from serinus.notifier.settings import Settings
from serinus.runtime import Running, RuntimeSettings, Secret, SystemClock, serve
from serinus.runtime.nats import NatsBus
from serinus.runtime.telemetry import PrometheusMetrics

BOUND_S = 60.0
HALT = "Halt web.prod advancement waiting for approval gate"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
STARTED = Alert("info", "New revision detected, progressing canary analysis.", True)


@asynccontextmanager
async def analyzer(server: NatsServer) -> AsyncIterator[NatsBus]:
    """A bus to publish facts on, as the analyzer has it."""
    bus = NatsBus(
        "analyzer",
        RuntimeSettings(nats_url=server.url),
        clock=SystemClock(),
        metrics=PrometheusMetrics(),
    )
    bus.start()
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def speaking(
    plane: ControlPlane, server: NatsServer, **settings: Any
) -> AsyncIterator[Running]:
    """A notifier from its start to its stop."""
    stop = asyncio.Event()
    up: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    made = Settings(
        nats_url=server.url,
        kubeconfig=str(plane.kubeconfig("notifier")),
        listen="127.0.0.1:0",
        drain_s=2.0,
        **settings,
    )
    task = asyncio.create_task(serve(service, made, stop=stop, started=up.set_result))
    try:
        await asyncio.wait({task, up}, timeout=BOUND_S, return_when=asyncio.FIRST_COMPLETED)
        yield up.result()
    finally:
        stop.set()
        await task


async def a_canary(kube: Kube, namespace: str, **analysis: Any) -> tuple[CanaryRef, CanarySpec]:
    spec = {
        "targetRef": TARGET,
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 5, "stepWeight": 10, **analysis},
    }
    made = await kube.apply(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "web"},
            "spec": spec,
        },
        namespace,
    )
    ref = CanaryRef(namespace, "web", made["metadata"]["uid"])
    return ref, msgspec.convert(spec, CanarySpec)


def note(ref: CanaryRef, id: str, text: str = HALT, at: float = T0) -> RolloutNoted:
    return RolloutNoted(canary=ref, id=f"{ref.namespace}-{id}", text=text, at=at)


async def events(kube: Kube, ref: CanaryRef) -> list[Obj]:
    """What `kubectl describe canary` lists: the Events that name the Canary by its uid."""
    found = await kube.list("v1", "Event", ref.namespace)
    return [e for e in found if e["involvedObject"].get("uid") == ref.uid]


async def counts(kube: Kube, ref: CanaryRef) -> dict[str, int]:
    return {e["message"]: e["count"] for e in await events(kube, ref)}


async def until_counts(kube: Kube, ref: CanaryRef, wanted: dict[str, int]) -> None:
    async def is_so() -> bool:
        return await counts(kube, ref) == wanted

    await eventually(is_so, f"Events {wanted}", BOUND_S)


async def test_a_sentence_is_an_event_and_its_repeats_cost_one_request_each(
    control_plane: ControlPlane, nats: NatsServer, kube: Kube, namespace: str
) -> None:
    ref, _ = await a_canary(kube, namespace)
    async with analyzer(nats) as bus, speaking(control_plane, nats):
        before = len(about_events(control_plane))
        for number in range(3):
            await bus.publish(note(ref, str(number), at=T0 + number))
        await bus.publish(note(ref, "other", "Promotion completed! Scaling down web.prod"))
        await until_counts(kube, ref, {HALT: 3, "Promotion completed! Scaling down web.prod": 1})

    found = next(e for e in await events(kube, ref) if e["message"] == HALT)
    assert (found["reason"], found["source"], found["reportingComponent"], found["type"]) == (
        "Synced",
        {"component": "flagger"},
        "flagger",
        "Normal",
    )
    assert len(about_events(control_plane)) - before == 4


async def test_facts_of_a_time_without_a_notifier_are_told_once(
    control_plane: ControlPlane, nats: NatsServer, kube: Kube, namespace: str
) -> None:
    ref, _ = await a_canary(kube, namespace)
    async with analyzer(nats) as bus:
        async with speaking(control_plane, nats):
            await bus.publish(note(ref, "1", "one"))
            await until_counts(kube, ref, {"one": 1})
        await bus.publish(note(ref, "2", "two"))
        async with speaking(control_plane, nats):
            await bus.publish(note(ref, "3", "three"))
            await until_counts(kube, ref, {"one": 1, "two": 1, "three": 1})


async def test_a_rollback_reaches_slack_with_the_reason(
    control_plane: ControlPlane, nats: NatsServer, kube: Kube, namespace: str, stub: Stub
) -> None:
    """AlertProvider and Secret come from the API server; slack-sdk posts."""
    secret = {"address": f"{stub.url('chat', namespace)}/slack", "token": "xoxb-1"}
    await kube.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": secret},
        namespace,
    )
    provider = {"type": "slack", "channel": "ops", "secretRef": {"name": "s"}}
    await kube.apply(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "AlertProvider",
            "metadata": {"name": "slack"},
            "spec": provider,
        },
        namespace,
    )
    ref, spec = await a_canary(
        kube, namespace, alerts=[{"name": "ops", "providerRef": {"name": "slack"}}]
    )
    measured = Measurement(
        metric="request-success-rate",
        outcome="failed",
        value=91.5,
        unit="%",
        bound=">= 99",
        interval="1m",
    )
    async with analyzer(nats) as bus, speaking(control_plane, nats):
        await stub_watcher(bus, ref, spec)
        await bus.publish(
            RollbackDecided(
                canary=ref,
                id=f"{namespace}-condemned",
                at=T0,
                alert=Alert("error", "Failed checks threshold reached 5"),
                measurements=(measured,),
            )
        )
        await stub.until(lambda _: bool(stub.of(namespace, "chat")), BOUND_S)
        told = await latest_told(bus, ref)

    [call] = stub.of(namespace, "chat")
    assert call.authorization == "Bearer xoxb-1"
    [attachment] = call.body["attachments"]
    assert call.body["channel"] == "ops"
    assert (attachment["color"], attachment["text"]) == (
        "danger",
        "Failed checks threshold reached 5",
    )
    [check, advice] = attachment["fields"]
    assert check == {
        "title": "Failed check request-success-rate",
        "value": "91.5 %, must be &gt;= 99, over 1m",
        "short": False,
    }
    assert advice["title"] == "What next"
    assert told.provider == f"slack.{namespace}"


async def test_an_audience_that_is_down_keeps_no_other_waiting(
    control_plane: ControlPlane, nats: NatsServer, kube: Kube, namespace: str, stub: Stub
) -> None:
    """The webhook answers 503 twice; Events and the other hook do not wait for it."""
    script = stub.script(namespace)
    script.set_hooks({"/down": [Reply(status=503), Reply(status=503), Reply()]})
    hooks = [
        {"name": name, "type": "event", "url": f"{stub.url('hook', namespace)}/{name}", **more}
        for name, more in (("down", {"retries": 5}), ("up", {}))
    ]
    ref, spec = await a_canary(kube, namespace, webhooks=hooks)
    async with analyzer(nats) as bus, speaking(control_plane, nats):
        await stub_watcher(bus, ref, spec)
        await bus.publish(note(ref, "1", "one"))
        await bus.publish(note(ref, "2", "two"))
        await stub.until(lambda calls: len(said(stub, namespace, "/down")) == 4, BOUND_S)
        await until_counts(kube, ref, {"one": 1, "two": 1})

    assert said(stub, namespace, "/up") == ["one", "two"]
    assert said(stub, namespace, "/down") == ["one", "one", "one", "two"]
    order = [(c.path, c.body["metadata"]["eventMessage"]) for c in stub.of(namespace, "hook")]
    assert order.index(("/up", "two")) < order.index(("/down", "two"))


async def test_a_nats_that_was_killed_costs_no_message(
    control_plane: ControlPlane, own_nats: NatsServer, kube: Kube, namespace: str
) -> None:
    ref, _ = await a_canary(kube, namespace)
    async with analyzer(own_nats) as bus, speaking(control_plane, own_nats):
        await bus.publish(note(ref, "1", "one"))
        await until_counts(kube, ref, {"one": 1})
        own_nats.kill()
        own_nats.start()
        async with asyncio.timeout(BOUND_S):
            await bus.connected()
            await bus.publish(note(ref, "2", "two"))
        await until_counts(kube, ref, {"one": 1, "two": 1})


async def test_the_global_channel_hears_of_canaries_without_alerts(
    control_plane: ControlPlane, nats: NatsServer, kube: Kube, namespace: str, stub: Stub
) -> None:
    ref, spec = await a_canary(kube, namespace)
    slack = {
        "slack_url": Secret(f"{stub.url('chat', namespace)}/global"),
        "slack_channel": "deploys",
        "cluster_name": "east-1",
    }
    async with analyzer(nats) as bus, speaking(control_plane, nats, **slack):
        await stub_watcher(bus, ref, spec)
        await bus.publish(RolloutStarted(canary=ref, id=f"{namespace}-1", at=T0, alert=STARTED))
        await stub.until(lambda _: bool(stub.of(namespace, "chat")), BOUND_S)

    [call] = stub.of(namespace, "chat")
    fields = {f["title"]: f["value"] for f in call.body["attachments"][0]["fields"]}
    assert fields == {
        "Cluster": "east-1",
        "Target": f"Deployment/web.{namespace}",
        "Failed checks threshold": "5",
        "Progress deadline": "600s",
        "Traffic routing": "Weight step: 10 max: 0",
    }


@pytest.mark.parametrize("path", ["/readyz", "/livez"])
async def test_it_says_that_it_is_well(
    control_plane: ControlPlane, nats: NatsServer, path: str
) -> None:
    async with speaking(control_plane, nats) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        status = await reader.readline()
        writer.close()
        await writer.wait_closed()

    assert b" 200 " in status


def handled(running: Running, kind: str) -> int:
    """How many messages of a kind the service has handled."""
    found = re.findall(
        rf'^serinus_handler_seconds_count{{.*kind="{kind}".*}} (\d+)',
        running.metrics.exposition().decode(),
        re.M,
    )
    return sum(map(int, found))


async def test_a_config_that_starts_many_canaries_is_one_message_to_people(
    control_plane: ControlPlane, own_nats: NatsServer, kube: Kube, namespace: str, stub: Stub
) -> None:
    """Each of them is told of once, as a fact of its own says."""
    provider = {"type": "rocket", "address": f"{stub.url('chat', namespace)}/people"}
    await kube.apply(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "AlertProvider",
            "metadata": {"name": "people"},
            "spec": provider,
        },
        namespace,
    )
    spec = msgspec.convert(
        {
            "targetRef": TARGET,
            "analysis": {"alerts": [{"name": "p", "providerRef": {"name": "people"}}]},
        },
        CanarySpec,
    )
    refs = [CanaryRef(namespace, f"web-{n:02}", f"uid-{n}") for n in range(50)]
    kind = CanaryObserved.__name__
    async with analyzer(own_nats) as bus, speaking(control_plane, own_nats) as running:
        for version in "12":
            before = handled(running, kind)
            for ref in refs:
                await bus.publish(
                    CanaryObserved(
                        canary=ref,
                        resource_version=version,
                        spec=spec,
                        configs={"configmap/settings": version},
                    )
                )

            async def seen(before: int = before) -> bool:
                return handled(running, kind) >= before + len(refs)

            await eventually(seen, "all snapshots are handled", BOUND_S)
        for ref in refs:
            await bus.publish(RolloutStarted(canary=ref, id=f"start-{ref}", at=T0, alert=STARTED))

        async def recorded() -> bool:
            return all([await bus.latest(AlertSent, ref) is not None for ref in refs])

        await eventually(recorded, "everybody was told", BOUND_S)

    [call] = stub.of(namespace, "chat")
    [attachment] = call.body["attachments"]
    fields = {field["title"]: field["value"] for field in attachment["fields"]}
    assert attachment["author_name"] == "50 canaries"
    assert fields["Shared change"] == f"configmap/settings in {namespace}"
    assert fields[f"{namespace} (50)"].split(", ") == [ref.name for ref in refs]


def about_events(plane: ControlPlane) -> list[Request]:
    return [one for one in plane.requests("notifier") if one.object_ref.resource == "events"]


async def ready_of(kube: Kube, namespace: str, name: str) -> Obj:
    """The condition of an AlertProvider, {} where there is none yet."""
    found = await kube.get("flagger.app/v1beta1", "AlertProvider", namespace, name)
    conditions: list[Obj] = (found.get("status") or {}).get("conditions") or [{}]
    return conditions[0]


async def test_an_alert_provider_says_in_its_status_whether_it_reaches_anybody(
    control_plane: ControlPlane, nats: NatsServer, kube: Kube, namespace: str, stub: Stub
) -> None:
    """Before there is an alert, when one got through, and when one did not."""
    stub.script(namespace).set_chat({"/bad": 404})
    for name, more in (
        ("good", {}),
        ("bad", {}),
        ("words", {"messageTemplate": "{{ .Name }} {{ .Nmae }}"}),
    ):
        address = f"{stub.url('chat', namespace)}/{name}"
        await kube.apply(
            {
                "apiVersion": "flagger.app/v1beta1",
                "kind": "AlertProvider",
                "metadata": {"name": name},
                "spec": {"type": "webhook", "address": address, **more},
            },
            namespace,
        )
    names = ("good", "bad", "words")
    alerts = [{"name": name, "providerRef": {"name": name}} for name in names]

    async def until(wanted: dict[str, str]) -> None:
        async def is_so() -> bool:
            found = {name: await ready_of(kube, namespace, name) for name in names}
            return {name: one.get("reason") for name, one in found.items()} == wanted

        await eventually(is_so, f"conditions {wanted}", BOUND_S)

    async with analyzer(nats) as bus, speaking(control_plane, nats):
        await until({"good": "Usable", "bad": "Usable", "words": "InvalidTemplate"})
        ref, spec = await a_canary(kube, namespace, alerts=alerts)
        await stub_watcher(bus, ref, spec)
        await bus.publish(RolloutStarted(canary=ref, id=f"{namespace}-1", at=T0, alert=STARTED))
        await until({"good": "Delivered", "bad": "Undeliverable", "words": "InvalidTemplate"})

    refused = await ready_of(kube, namespace, "bad")
    assert ("Ready", "False") == (refused["type"], refused["status"])
    assert "status 404" in refused["message"]
    wrong = (await ready_of(kube, namespace, "words"))["message"]
    assert "spec.messageTemplate" in wrong
    assert 'no entry for key "Nmae"' in wrong


async def test_where_labels_are_asked_for_a_channel_gets_no_other_secrets_keys(
    control_plane: ControlPlane, nats: NatsServer, kube: Kube, namespace: str, stub: Stub
) -> None:
    """The API server's own Secrets; the AlertProvider says what its owner has to do."""
    for name, labels in (("open", {READABLE: "true"}), ("shut", {"team": "shop"})):
        address = f"{stub.url('chat', namespace)}/{name}"
        secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"address": address}}
        await kube.apply({**secret, "metadata": {"name": name, "labels": labels}}, namespace)
        await kube.apply(
            {
                "apiVersion": "flagger.app/v1beta1",
                "kind": "AlertProvider",
                "metadata": {"name": name},
                "spec": {"type": "webhook", "secretRef": {"name": name}},
            },
            namespace,
        )
    alerts = [{"name": name, "providerRef": {"name": name}} for name in ("shut", "open")]

    async def until(**wanted: str) -> None:
        async def is_so() -> bool:
            found = {name: await ready_of(kube, namespace, name) for name in wanted}
            return {name: one.get("reason") for name, one in found.items()} == wanted

        await eventually(is_so, f"conditions {wanted}", BOUND_S)

    async with analyzer(nats) as bus, speaking(control_plane, nats, labelled_secrets_only=True):
        await until(open="Usable", shut="Usable")
        ref, spec = await a_canary(kube, namespace, alerts=alerts)
        await stub_watcher(bus, ref, spec)
        await bus.publish(RolloutStarted(canary=ref, id=f"{namespace}-1", at=T0, alert=STARTED))
        await until(open="Delivered", shut="Undeliverable")
    cure = f"kubectl --namespace {namespace} label secret shut {READABLE}=true"
    message = (await ready_of(kube, namespace, "shut"))["message"]
    assert "spec.secretRef: secret shut is not labelled" in message
    assert message.endswith(cure)
    assert {call.path for call in stub.of(namespace, "chat")} == {"/open"}


def said(stub: Stub, namespace: str, path: str) -> list[str]:
    calls = stub.of(namespace, "hook")
    return [c.body["metadata"]["eventMessage"] for c in calls if c.path == path]


async def stub_watcher(bus: NatsBus, ref: CanaryRef, spec: CanarySpec) -> None:
    """Tells of the canary as the watcher does."""
    await bus.publish(CanaryObserved(canary=ref, resource_version="1", spec=spec))


async def latest_told(bus: NatsBus, ref: CanaryRef) -> AlertSent:
    """The record of the alert, once it is there."""

    async def is_there() -> bool:
        return await bus.latest(AlertSent, ref) is not None

    await eventually(is_there, "AlertSent is published", BOUND_S)
    found = await bus.latest(AlertSent, ref)
    assert found is not None
    assert isinstance(found.message, AlertSent)
    return found.message
