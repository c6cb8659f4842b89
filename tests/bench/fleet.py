"""Twenty clusters of a hundred canaries each, on one NATS server: how soon the last one reacts.

The coordinators are whole, but for the API server, which is kept in memory; all twenty run in one
process, on one core, so times are upper bounds. A hundred waves have a canary in every cluster.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from tests.bench.table import Row, at_most, figure, p50_p95, percentile
from tests.builders import NEW, OLD, a_status, a_workload_seen, an_observed
from tests.servers.nats import nats_server
from tests.unit.router.cluster import FakeCluster

from serinus.coordinator.core.standing import Key
from serinus.coordinator.desk import ABORT, PAUSE, Desk
from serinus.coordinator.settings import Settings
from serinus.coordinator.wire import NatsLine
from serinus.events import CanaryRef
from serinus.kube.cluster import Change
from serinus.kube.refs import Obj, Ref
from serinus.runtime.clock import SystemClock
from serinus.runtime.telemetry import PrometheusMetrics

CLUSTERS, CANARIES = 20, 100
VERDICTS, HALTS = 40, 20
NAMES = [f"c{n:02}" for n in range(CLUSTERS)]
IMAGES = {"web": "example.test/web:2"}


class Asked(FakeCluster):
    """Notes when a canary is asked to abort, or to stand still."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: dict[str, dict[str, float]] = {ABORT: {}, PAUSE: {}}
        self.statuses: list[Obj] = []

    async def patch(self, ref: Ref, patch: Any, **more: Any) -> Obj:
        if ref.kind == "Canary":
            for asked in patch["metadata"].get("annotations", {}):
                self.requests[asked].setdefault(ref.name, time.monotonic())
            return {}
        obj = await super().patch(ref, patch, **more)
        self.statuses.append(obj["status"])
        return obj


class Coordinator:
    """One cluster's. Without a URL it is alone."""

    def __init__(self, name: str, url: str = "") -> None:
        clock, metrics = SystemClock(), PrometheusMetrics()
        self.name = name
        self.metrics = metrics
        self.cluster = Asked()
        self.desk = Desk(
            name, int(time.time() * 1000), cluster=self.cluster, clock=clock, metrics=metrics
        )
        self.desk.waves.replace([], "1")
        work = [self.desk.run(), self.desk.pulse()]
        if url:
            settings = Settings(cluster=name, fleet_url=url)
            self.desk.line = line = NatsLine(settings, clock, metrics, self.desk.hear)
            work.append(line.run())
        self.tasks = [asyncio.create_task(one) for one in work]

    async def stand(self, canary: str, phase: str, **more: Any) -> None:
        target = OLD if phase == "Initialized" else NEW
        observed = an_observed(
            status=a_status(phase, **more),
            target=a_workload_seen(target, images=IMAGES),
            labels={"tier": "web"},
        )
        await self.desk.observe(replace(observed, canary=CanaryRef("shop", canary)))

    def declare(self, wave: Obj) -> None:
        self.desk.waves.take(Change("ADDED", self.cluster.put(wave)))

    def pause(self, name: str) -> None:
        """As the watch would bring it: first the status that we wrote, then the pause."""
        wave = self.cluster.objects[Ref("serinus.dev/v1alpha1", "Wave", "shop", name)]
        self.desk.waves.take(Change("MODIFIED", wave))
        self.declare({**wave, "spec": {**wave["spec"], "paused": True}})

    def sent(self) -> tuple[float, float]:
        """Messages and bytes so far."""
        text = self.metrics.exposition().decode()
        found = {}
        for line in text.splitlines():
            if line.startswith("serinus_fleet_") and 'direction="out"' in line:
                found[line.partition("{")[0]] = float(line.rpartition(" ")[2])
        return (
            found.get("serinus_fleet_messages_total", 0.0),
            found.get("serinus_fleet_bytes_total", 0.0),
        )


def a_wave(canary: str) -> Obj:
    members = [{"cluster": name, "name": canary} for name in NAMES]
    return {
        "apiVersion": "serinus.dev/v1alpha1",
        "kind": "Wave",
        "metadata": {"name": canary, "namespace": "shop", "generation": 1},
        "spec": {"steps": [{"name": "all", "canaries": members}], "onFailure": "rollBack"},
    }


async def _rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, nats_server(Path(folder)) as server:
        fleet = [Coordinator(name, server.url) for name in NAMES]
        try:
            return await _measured(fleet)
        finally:
            for one in fleet:
                for task in one.tasks:
                    task.cancel()
            await asyncio.gather(*(t for one in fleet for t in one.tasks), return_exceptions=True)


async def _measured(fleet: list[Coordinator]) -> list[Row]:
    canaries = [f"web-{n:03}" for n in range(CANARIES)]
    for one in fleet:
        for canary in canaries:
            await one.stand(canary, "Initialized")
    for number, canary in enumerate(canaries):
        fleet[number % CLUSTERS].declare(a_wave(canary))
    await _until(lambda: all(len(one.desk.fleet.standings) == 2000 for one in fleet))
    messages, size = await _released(fleet, canaries[-1])
    taken = [await _verdict(fleet, canaries[n], n) for n in range(VERDICTS)]
    halts = [await _halt(fleet, canaries[n], n) for n in range(VERDICTS, VERDICTS + HALTS)]
    return [
        at_most(
            f"{CLUSTERS} clusters x {CANARIES} canaries: verdict in one to reaction in the last, "
            "p50 / p95",
            percentile(taken, 0.95),
            2.0,
            " s",
            shown=p50_p95(taken),
        ),
        at_most(
            f"{CLUSTERS} clusters x {CANARIES} canaries: halt in one to hold in the last, "
            "p50 / p95",
            percentile(halts, 0.95),
            2.0,
            " s",
            shown=p50_p95(halts),
        ),
        Row(
            what=f"messages and bytes between clusters, per release in {CLUSTERS} clusters",
            here=f"{messages:.0f} messages, {figure(size / 1024)} KiB",
        ),
    ]


WAVE_OF, AT_ONCE = 500, 10


async def _large() -> list[Row]:
    """One release through a wave of five hundred, ten at once: what that costs etcd."""
    one = Coordinator(NAMES[0])
    try:
        return await _through(one)
    finally:
        for task in one.tasks:
            task.cancel()
        await asyncio.gather(*one.tasks, return_exceptions=True)


async def _through(one: Coordinator) -> list[Row]:
    canaries = [f"web-{n:03}" for n in range(WAVE_OF)]
    for canary in canaries:
        await one.stand(canary, "Initialized")
    members = [{"selector": {"tier": "web"}}]
    steps = [{"name": "all", "canaries": members, "atOnce": AT_ONCE}]
    one.declare({**a_wave("all"), "spec": {"steps": steps}})
    await _until(lambda: one.desk.ready)
    one.cluster.statuses.clear()
    for canary in canaries:
        await one.stand(canary, "Waiting")
    waiting, most = set(canaries), 0
    while waiting:
        going = {c for c in waiting if one.desk.confirm("shop", c).status == 200}
        most = max(most, len(going))
        for phase, more in (
            *(("Progressing", {"canary_weight": weight}) for weight in (20, 40, 60)),
            ("Finalising", {}),
            ("Succeeded", {}),
        ):
            for canary in going:
                await one.stand(canary, phase, **more)
            await asyncio.sleep(0.02)
        waiting -= going
    await _until(lambda: one.cluster.statuses[-1].get("done") == f"{WAVE_OF}/{WAVE_OF}")
    sizes = [len(msgspec.json.encode(status)) for status in one.cluster.statuses]
    assert most == AT_ONCE
    return [
        at_most(
            f"one wave of {WAVE_OF} canaries, {AT_ONCE} at once: writes of its status per canary",
            len(sizes) / WAVE_OF,
            1.0,
            "",
        ),
        at_most(
            "its largest status, of the 1.5 MB that etcd takes", max(sizes) / 1024, 256, " KiB"
        ),
    ]


async def _until(condition: Any, bound_s: float = 120.0) -> None:
    async with asyncio.timeout(bound_s):
        while not condition():  # noqa: ASYNC110  (a view has no news of its own)
            await asyncio.sleep(0.02)


async def _released(fleet: list[Coordinator], canary: str) -> tuple[float, float]:
    """What one release of one service says, from waiting to settled in all clusters."""
    before = [one.sent() for one in fleet]
    began = time.monotonic()
    key = Key(NAMES[0], "shop", canary)
    for phase, more in (
        ("Waiting", {}),
        *(("Progressing", {"canary_weight": weight}) for weight in (20, 40, 60)),
        ("Promoting", {"canary_weight": 60}),
        ("Finalising", {}),
        ("Succeeded", {}),
    ):
        for one in fleet:
            await one.stand(canary, phase, **more)
        await _until(partial(_all_see, fleet, key, phase))
    pulses = (time.monotonic() - began) * CLUSTERS
    after = [one.sent() for one in fleet]
    messages = sum(now[0] - then[0] for now, then in zip(after, before, strict=True))
    size = sum(now[1] - then[1] for now, then in zip(after, before, strict=True))
    pulse_bytes = 60.0
    return messages - pulses, size - pulses * pulse_bytes


def _all_see(fleet: list[Coordinator], key: Key, phase: str) -> bool:
    return all(one.desk.fleet.standings[key].phase == phase for one in fleet)


async def _verdict(fleet: list[Coordinator], canary: str, number: int) -> float:
    """From a failure in one cluster to the abort in the last of the others."""
    for one in fleet:
        await one.stand(canary, "Progressing", canary_weight=20)
    home = fleet[number % CLUSTERS]
    await _until(
        lambda: (
            sum(
                key.name == canary and standing.state == "running"
                for key, standing in home.desk.fleet.standings.items()
            )
            == CLUSTERS
        )
    )
    failing = fleet[(number + 7) % CLUSTERS]
    began = time.monotonic()
    await failing.stand(canary, "Failed")
    return await _last(ABORT, [one for one in fleet if one is not failing], canary) - began


async def _halt(fleet: list[Coordinator], canary: str, number: int) -> float:
    """From the pause of a wave to the hold of its last canary; all of them are under way."""
    for one in fleet:
        await one.stand(canary, "Progressing", canary_weight=20)
    home = fleet[number % CLUSTERS]
    await _until(partial(_all_see, [home], Key(NAMES[-1], "shop", canary), "Progressing"))
    began = time.monotonic()
    home.pause(canary)
    return await _last(PAUSE, fleet, canary) - began


async def _last(asked: str, fleet: list[Coordinator], canary: str) -> float:
    """When the last of them was asked that."""
    await _until(lambda: all(canary in one.cluster.requests[asked] for one in fleet))
    return max(one.cluster.requests[asked][canary] for one in fleet)


def rows() -> list[Row]:
    """The rows of the table."""
    return [*asyncio.run(_rows()), *asyncio.run(_large())]
