"""A fleet as the chart makes it: nats-servers with the rendered configuration, joined as leaves.

What a cluster may do is tried as somebody who has its credentials and keeps to nothing else: a
server of their own, joined as that leaf, whose users may do anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.chart import bus
from tests.chart.bus import Bus
from tests.servers.nats import NatsServer, nats_server
from tests.servers.waiting import eventually

from serinus.coordinator.wire import subjects

HUB, EU, AP = "us", "eu", "ap"
CLUSTERS = (HUB, EU, AP)
TRUTH = subjects(EU)[0]
BOUND_S = 20.0
# Whatever else there is on a bus: the ring's words, JetStream, inboxes, the server's own.
FORBIDDEN_TO_SAY = [
    *subjects(AP),
    *subjects(HUB),
    *subjects("nobody"),
    f"serinus.fleet.{EU}.order",
    f"serinus.fleet.{EU}",
    "serinus.snapshot.canary.shop.web",
    "serinus.intent.cluster.shop.web",
    "serinus.fact.rollout.promoted.shop.web",
    "serinus.dead.coordinator",
    "$JS.API.INFO",
    "$JS.API.STREAM.CREATE.FACTS",
    "$KV.serinus-told.x",
    "_INBOX.coordinator.x",
    "$SYS.REQ.SERVER.PING",
]
FORBIDDEN_TO_HEAR = [
    ">",
    "*.>",
    "serinus.>",
    "serinus.fleet.>",
    f"serinus.fleet.{AP}.order",
    "serinus.snapshot.>",
    "serinus.intent.>",
    "serinus.fact.>",
    "$JS.>",
    "_INBOX.>",
    "$SYS.>",
]
ROGUE = """
accounts {{
  ANY {{ users: [ {{ user: any, password: any-pw }} ] }}
  OWN {{ jetstream: enabled, users: [ {{ user: own, password: own-pw }} ] }}
}}
leafnodes {{ remotes: [ {{
  url: "tls://{user}:{password}@localhost:{port}", account: ANY, tls {{ ca_file: "{ca}" }}
}} ] }}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def fleet(folder: Path) -> Iterator[dict[str, Bus]]:
    """A hub and its two leaves."""
    with ExitStack() as stack:
        hub = stack.enter_context(bus.hub(folder / HUB, HUB, (EU, AP)))
        leaves = {c: stack.enter_context(bus.leaf(folder / c, c, hub)) for c in (EU, AP)}
        yield {HUB: hub, **leaves}


@pytest.fixture(scope="module")
def rogue(fleet: dict[str, Bus], folder: Path) -> Iterator[NatsServer]:
    """Somebody else's server with the credentials of a cluster."""
    secret = fleet[HUB].secrets[f"serinus-fleet-{EU}"]
    (folder / "rogue.crt").write_text(secret["ca.crt"])
    port = fleet[HUB].leaf_port
    config = ROGUE.format(
        user=secret["user"], password=secret["password"], port=port, ca=folder / "rogue.crt"
    )
    with nats_server(folder / "rogue", config) as server:
        yield server


@asynccontextmanager
async def client(url: str, user: str, password: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A connection, and what the server complains about."""
    complaints: list[str] = []

    async def complain(error: Exception) -> None:
        complaints.append(str(error))

    made = await nats.connect(url, user=user, password=password, error_cb=complain)
    try:
        yield made, complaints
    finally:
        await made.close()


def coordinator(fleet: dict[str, Bus], cluster: str) -> tuple[str, str, str]:
    """How the coordinator of a cluster comes to its bus."""
    return fleet[cluster].url, "fleet", fleet[cluster].password("fleet")


async def hears(connection: Client, *what: str) -> list[tuple[str, bytes]]:
    heard: list[tuple[str, bytes]] = []

    async def hear(message: Msg) -> None:
        heard.append((message.subject, message.data))

    for subject in what:
        await connection.subscribe(subject, cb=hear)
    await connection.flush()
    return heard


async def joined(speaker: Client, subject: str, heard: list[tuple[str, bytes]]) -> None:
    """Says it until it is heard: leaves join when they are ready."""

    async def arrived() -> bool:
        await speaker.publish(subject, b"joined")
        await speaker.flush()
        return (subject, b"joined") in heard

    await eventually(arrived, f"{subject} comes through", BOUND_S)


async def test_every_cluster_hears_what_all_others_say(fleet: dict[str, Bus]) -> None:
    async with (
        client(*coordinator(fleet, HUB)) as (us, _),
        client(*coordinator(fleet, EU)) as (eu, _),
        client(*coordinator(fleet, AP)) as (ap, _),
    ):
        connections = dict(zip(CLUSTERS, (us, eu, ap), strict=True))
        heard = {name: await hears(one, *subjects()) for name, one in connections.items()}
        for speaker, connection in connections.items():
            for listener in CLUSTERS:
                for subject in subjects(speaker) if listener != speaker else ():
                    await joined(connection, subject, heard[listener])


@pytest.mark.parametrize("subject", FORBIDDEN_TO_SAY)
async def test_nobody_hears_what_a_cluster_may_not_say(
    fleet: dict[str, Bus], rogue: NatsServer, subject: str
) -> None:
    """Not in the fleet and not in the hub's ring, whatever the leaf's own server lets through."""
    hub = fleet[HUB]
    async with (
        client(rogue.url, "any", "any-pw") as (liar, _),
        client(*coordinator(fleet, HUB)) as (us, _),
        client(*coordinator(fleet, AP)) as (ap, _),
        client(hub.url, "tap", hub.password("tap")) as (tap, _),
    ):
        heard = [await hears(us, *subjects()), await hears(ap, *subjects())]
        ring = await hears(tap, "serinus.>")
        for one in heard:
            await joined(liar, TRUTH, one)
        await liar.publish(subject, b"a lie")
        await liar.publish(TRUTH, b"the truth")
        for one in heard:
            await _until(one, (TRUTH, b"the truth"))
        assert b"a lie" not in {data for _, data in [*heard[0], *heard[1], *ring]}
        with pytest.raises((nats.errors.NoRespondersError, nats.errors.TimeoutError)):
            await liar.request(subject, b"", timeout=0.2)


async def test_a_cluster_hears_nothing_but_the_fleet(
    fleet: dict[str, Bus], rogue: NatsServer
) -> None:
    """Though it listens to everything, and the hub's ring and fleet are busy."""
    hub = fleet[HUB]
    async with (
        client(rogue.url, "any", "any-pw") as (spy, _),
        client(hub.url, "watcher", hub.password("watcher")) as (watcher, _),
        client(*coordinator(fleet, HUB)) as (us, _),
    ):
        heard = await hears(spy, ">", *subjects())
        truth = subjects(HUB)[0]
        await joined(us, truth, heard)
        await watcher.publish("serinus.snapshot.canary.shop.web", b"{}")
        await watcher.flush()
        await us.publish(truth, b"the truth")
        await _until(heard, (truth, b"the truth"))
        assert {subject for subject, _ in heard} <= {s for c in CLUSTERS for s in subjects(c)}


@pytest.mark.parametrize("subject", FORBIDDEN_TO_SAY)
@pytest.mark.parametrize("where", ["hub", "leaf"])
async def test_what_a_cluster_may_not_say_is_refused_to_its_user(
    fleet: dict[str, Bus], where: str, subject: str
) -> None:
    """At the hub, had it a way to its clients' port, and at its own bus."""
    async with client(*_user(fleet, where)) as (connection, complaints):
        await connection.publish(subject, b"a lie")
        await _refused(complaints, subject)


@pytest.mark.parametrize("subject", FORBIDDEN_TO_HEAR)
@pytest.mark.parametrize("where", ["hub", "leaf"])
async def test_what_a_cluster_may_not_hear_is_refused_to_its_user(
    fleet: dict[str, Bus], where: str, subject: str
) -> None:
    async with client(*_user(fleet, where)) as (connection, complaints):
        await connection.subscribe(subject)
        await _refused(complaints, subject)


async def test_users_of_the_ring_are_strangers_to_the_fleet(fleet: dict[str, Bus]) -> None:
    """Also the coordinator's own user there: two connections, two accounts."""
    eu = fleet[EU]
    async with (
        client(*coordinator(fleet, HUB)) as (us, _),
        client(eu.url, "tap", eu.password("tap")) as (tap, _),
        client(*coordinator(fleet, EU)) as (coordinator_, _),
    ):
        heard, ring = await hears(us, *subjects()), await hears(tap, "serinus.>")
        await joined(coordinator_, TRUTH, heard)
        assert [] == ring


@pytest.mark.parametrize(("user", "password"), [(EU, "guessed"), ("mars", "s" * 32), ("", "")])
async def test_without_its_password_no_cluster_joins(
    fleet: dict[str, Bus], folder: Path, user: str, password: str
) -> None:
    hub = fleet[HUB]
    (folder / "rogue.crt").write_text(hub.secrets[f"serinus-fleet-{EU}"]["ca.crt"])
    words = {"port": hub.leaf_port, "ca": folder / "rogue.crt"}
    config = ROGUE.format(user=user or "x", password=password or "x", **words)
    if not user:
        config = config.replace("x:x@", "")
    log = folder / f"stranger-{user}"
    with nats_server(log, config):

        async def refused() -> bool:
            return "Authorization Violation" in (log / "nats.log").read_text()

        await eventually(refused, "it is refused", BOUND_S)


def _user(fleet: dict[str, Bus], where: str) -> tuple[str, str, str]:
    if where == "leaf":
        return coordinator(fleet, EU)
    secret = fleet[HUB].secrets[f"serinus-fleet-{EU}"]
    return fleet[HUB].url, secret["user"], secret["password"]


async def _refused(complaints: list[str], subject: str) -> None:
    async def told() -> bool:
        return any("permissions violation" in one.lower() for one in complaints)

    await eventually(told, f"{subject} is refused", BOUND_S)


async def _until(heard: list[tuple[str, bytes]], wanted: tuple[str, bytes]) -> None:
    async def arrived() -> bool:
        await asyncio.sleep(0)
        return wanted in heard

    await eventually(arrived, f"{wanted[0]} arrives", BOUND_S)
