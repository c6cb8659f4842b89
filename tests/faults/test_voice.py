"""Every sender with every fault of networks, while the notifier is killed at random: told once.

The notifier is a process on a real nats-server and a real API server; the receivers take what their
vendors would take and count it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
import nats
import pytest
import pytest_asyncio
from tests.ring import Ring
from tests.servers.control_plane import control_plane
from tests.servers.kube import Kube, Obj
from tests.servers.nats import nats_server
from tests.servers.receiver import FAULTS, FAULTY, HELD, Receiver, Taken
from tests.servers.waiting import eventually

from serinus.events import (
    Alert,
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    Measurement,
    RollbackDecided,
)
from serinus.notifier.ear import DURABLE
from serinus.notifier.senders.catalog import SENDERS
from serinus.runtime import RuntimeSettings, SystemClock
from serinus.runtime.nats import NatsBus
from serinus.runtime.telemetry import PrometheusMetrics

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

KINDS = (*SENDERS, "slackbot")
KEYED = frozenset({"pagerduty", "opsgenie", "slackbot", "webhook", "cdevents", "email"})
"""Kinds whose receivers know a repeat by its key."""

MARKS = 3
KILLS = 4
RECORD_S = 2.0
"""Between a receiver's answer and the notifier's record lies less than this; only a kill in it
may make a repeat."""

NAMESPACE = "voice"
BOUND_S = 180.0


@dataclass
class Stage:
    """A notifier, its receivers, and a bus to publish facts on."""

    receiver: Receiver
    ring: Ring
    kube: Kube
    bus: NatsBus
    nats_url: str
    killed_at: list[float] = field(default_factory=list)
    cured_at: float = 0.0

    async def kill(self) -> None:
        self.ring.kill("notifier")
        self.killed_at.append(asyncio.get_running_loop().time())
        await self.ring.start("notifier")

    async def provide(self, kind: str, fault: str, *, cured: bool = False) -> None:
        for obj in manifests(kind, fault, self.receiver.address(kind, fault, cured=cured)):
            await self.kube.apply(obj, NAMESPACE)

    async def tell(self, kind: str, fault: str) -> None:
        """A canary whose alerts go to one cell, and what happens to it."""
        ref = CanaryRef(NAMESPACE, f"{kind}-{fault}", f"uid-{kind}-{fault}")
        spec = msgspec.convert(
            {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": ref.name},
                "analysis": {"alerts": [{"name": "x", "providerRef": {"name": ref.name}}]},
            },
            CanarySpec,
        )
        await self.bus.publish(CanaryObserved(canary=ref, resource_version="1", spec=spec))
        bad = Measurement(metric="latency", outcome="failed", value=700, bound="<= 500")
        for mark in range(MARKS):
            await self.bus.publish(
                RollbackDecided(
                    canary=ref,
                    id=f"{ref.uid}-{mark}",
                    at=1_767_225_600.0 + mark,
                    phase="Failed",
                    revision=f"r{mark}",
                    alert=Alert("error", f"mark {mark} of {kind}/{fault}"),
                    measurements=(bad,),
                )
            )

    async def settled(self) -> None:
        """Until the notifier has acknowledged every fact."""
        client = await nats.connect(self.nats_url)
        try:

            async def done() -> bool:
                info = await client.jetstream().consumer_info("FACTS", DURABLE)
                return not info.num_ack_pending and not info.num_pending

            await eventually(done, "every fact is acknowledged", BOUND_S)
        finally:
            await client.close()


def manifests(kind: str, fault: str, address: str) -> list[Obj]:
    """An AlertProvider and its Secret."""
    name = f"{kind}-{fault}"
    secret = {"address": address, "token": "xoxb-token", "signingKey": "s3cret"}
    spec: Obj = {"type": "slack" if kind == "slackbot" else kind, "secretRef": {"name": name}}
    if kind in ("slack", "email"):
        secret.pop("token")
    if kind == "email":
        spec |= {"channel": f"{fault}@mail.test", "username": "serinus@mail.test"}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": secret},
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "AlertProvider",
            "metadata": {"name": name},
            "spec": spec,
        },
    ]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("voice")
    with control_plane(folder / "control-plane", ()) as plane, nats_server(folder / "nats") as bus_:
        async with Receiver(folder / "receiver") as receiver, Kube(plane.kubeconfig()) as kube:
            trust = str(receiver.authority)
            ring = Ring(
                kubeconfig=plane.kubeconfig,
                nats=bus_.url,
                services=("notifier",),
                per_service={"notifier": {"SSL_CERT_FILE": trust, "REQUESTS_CA_BUNDLE": trust}},
                folder=folder / "ring",
            )
            async with ring:
                bus = NatsBus(
                    "analyzer",
                    RuntimeSettings(nats_url=bus_.url),
                    clock=SystemClock(),
                    metrics=PrometheusMetrics(),
                )
                bus.start()
                try:
                    await kube.namespace(NAMESPACE)
                    yield Stage(receiver, ring, kube, bus, bus_.url)
                finally:
                    await bus.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def told(stage: Stage) -> dict[tuple[str, str], list[Taken]]:
    """What arrived in each cell, after all of it was told with the notifier killed meanwhile."""
    cells = [(kind, fault) for kind in KINDS for fault in FAULTS]
    await asyncio.gather(*(stage.provide(*cell) for cell in cells))
    for cell in cells:
        await stage.tell(*cell)
    chance = random.Random(20261128)
    for number in range(KILLS):
        await asyncio.sleep(chance.uniform(0.3, 4.0))
        await stage.kill()
        if number == 1:
            stage.cured_at = asyncio.get_running_loop().time()
            stage.receiver.trust()
            await asyncio.gather(*(stage.provide(kind, "dns", cured=True) for kind in KINDS))
    receiver = stage.receiver
    wanted = {(kind, fault, mark) for kind, fault in cells for mark in range(MARKS)}

    def arrived() -> bool:
        return wanted <= {(one.kind, one.fault, one.mark) for one in receiver.taken}

    try:
        await receiver.until(arrived, BOUND_S)
    except TimeoutError:
        missing = wanted - {(one.kind, one.fault, one.mark) for one in receiver.taken}
        raise AssertionError(f"never told: {sorted(missing)}") from None
    await stage.settled()
    found: dict[tuple[str, str], list[Taken]] = defaultdict(list)
    for one in receiver.taken:
        found[one.kind, one.fault].append(one)
    return found


async def test_the_vendors_took_every_message(
    stage: Stage, told: dict[tuple[str, str], list[Taken]]
) -> None:
    assert [] == stage.receiver.refused


async def test_every_fault_was_met(stage: Stage, told: dict[tuple[str, str], list[Taken]]) -> None:
    """Nothing came through before names and certificates were put right, nor on a first attempt."""
    away = [cell for cell in told if cell[1] in ("certificate", "dns")]
    early = [cell for cell in away if min(one.at for one in told[cell]) < stage.cured_at]
    attempts = stage.receiver.attempts
    cells = [(kind, fault) for kind in KINDS for fault in FAULTY]
    spared = [cell for cell in cells if attempts[cell] < FAULTY[cell[1]] + MARKS]

    assert [] == early
    assert [] == spared


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_told_once_whatever_goes_wrong(
    stage: Stage, told: dict[tuple[str, str], list[Taken]], kind: str, fault: str
) -> None:
    """Once as the receiver counts; a repeat only where a kill fell between answer and record."""
    arrivals: dict[int, list[Taken]] = defaultdict(list)
    for one in told[kind, fault]:
        arrivals[one.mark].append(one)

    assert set(range(MARKS)) == arrivals.keys()
    for mark, seen in arrivals.items():
        repeats = len(seen) - 1
        excused = sum(0 <= at - one.at <= RECORD_S for one in seen for at in stage.killed_at)
        assert repeats <= excused, f"mark {mark} came {len(seen)} times"
        if kind in KEYED:
            assert 1 == len({one.key for one in seen})


async def test_what_was_killed_between_answer_and_record_is_repeated_under_its_key(
    stage: Stage, told: dict[tuple[str, str], list[Taken]]
) -> None:
    """The one moment in which a repeat cannot be avoided: the receiver has it, nobody noted it."""
    receiver = stage.receiver
    receiver.taken.clear()
    await asyncio.gather(*(stage.provide(kind, HELD) for kind in KINDS))
    for kind in KINDS:
        await stage.tell(kind, HELD)

    def all_hold() -> bool:
        return {kind for kind, mark in receiver.heard if mark == 0} == set(KINDS)

    await receiver.until(all_hold, BOUND_S)
    stage.ring.kill("notifier")
    receiver.release()
    await receiver.until(lambda: len(receiver.taken) >= len(KINDS), BOUND_S)
    first = {one.kind: one.key for one in receiver.taken}
    await stage.ring.start("notifier")
    wanted = len(KINDS) * (MARKS + 1)
    await receiver.until(lambda: len(receiver.taken) >= wanted, BOUND_S)
    await stage.settled()

    counts = Counter((one.kind, one.mark) for one in receiver.taken)
    assert {
        (kind, mark): 2 if mark == 0 else 1 for kind in KINDS for mark in range(MARKS)
    } == counts
    again = {one.kind: one.key for one in receiver.taken if one.mark == 0}
    assert {kind: first[kind] for kind in KEYED} == {kind: again[kind] for kind in KEYED}
    assert {kind for kind in KINDS if first[kind]} == KEYED
