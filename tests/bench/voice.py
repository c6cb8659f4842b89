"""How fast one notifier tells, and what it holds when a tenth of the receivers fail.

A real nats-server, the notifier as a process, the sandbox's API server for Kubernetes Events and
AlertProviders, and one HTTP server that plays all receivers and takes the time.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from tests.bench.table import Row, at_most, figure, p50_p95, percentile
from tests.ring import Ring
from tests.servers import crds
from tests.servers.kube import Kube
from tests.servers.nats import nats_server
from tests.servers.waiting import eventually

from serinus.events import Alert, CanaryObserved, CanaryRef, CanarySpec, RolloutNoted
from serinus.runtime import RuntimeSettings, SystemClock
from serinus.runtime.nats import NatsBus
from serinus.runtime.telemetry import PrometheusMetrics
from serinus.sandbox import ApiServer, define, kubeconfig

NAMESPACE = "default"
CANARIES = 100
QUIET_FACTS, QUIET_EVERY_S = 300, 0.05
FACTS, WITHIN_S = 10_000, 60.0
FAILING = 10
ALERT_EVERY = 11
LATENCY_MAX_S = 0.1
RSS_MAX_MIB = 128
SETTLE_S = 30.0
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Receivers:
    """Event hooks and webhooks of all canaries. Those below `FAILING` never take anything: half of
    them answer 500, the others not at all."""

    sent: dict[str, float] = field(default_factory=dict)
    heard: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    failing: int = 0
    port: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        number, kind = int(request.match_info["number"]), request.match_info["kind"]
        body = await request.json()
        if number < self.failing:
            self.refused[kind] += 1
            if number % 2:
                await asyncio.sleep(3600)
            return web.Response(status=500)
        said = body["metadata"]["eventMessage"] if kind == "hook" else body["message"]
        self.heard[f"{kind} {said}"].append(time.monotonic())
        return web.Response()

    def url(self, kind: str, number: int) -> str:
        return f"http://127.0.0.1:{self.port}/{kind}/{number}"

    def latencies_s(self, prefix: str) -> list[float]:
        """From before a fact was published to its request, by the first request."""
        return [
            at[0] - self.sent[said.partition(" ")[2]]
            for said, at in self.heard.items()
            if said.partition(" ")[2].startswith(prefix)
        ]


@dataclass
class Stage:
    receivers: Receivers
    ring: Ring
    bus: NatsBus

    async def publish(self, number: int, id: str, *, alert: bool) -> None:
        ref = canary(number)
        self.receivers.sent[id] = time.monotonic()
        await self.bus.publish(
            RolloutNoted(
                canary=ref,
                id=id,
                at=time.time(),
                text=id,
                alert=Alert("error", id) if alert else None,
            )
        )

    def rss_mib(self) -> float:
        pid = self.ring.processes["notifier"].pid
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20

    async def waiting(self) -> float:
        """Messages that are not told yet, as the notifier counts them."""
        lines = (await self.ring.metrics("notifier")).splitlines()
        found = [line for line in lines if line.startswith("serinus_notifications_waiting")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


def canary(number: int) -> CanaryRef:
    return CanaryRef(NAMESPACE, f"app-{number:03}", f"uid-{number}")


def observed(number: int, receivers: Receivers) -> CanaryObserved:
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"app-{number:03}"},
        "analysis": {
            "webhooks": [{"name": "e", "type": "event", "url": receivers.url("hook", number)}],
            "alerts": [{"name": "a", "providerRef": {"name": f"app-{number:03}"}}],
        },
    }
    ref = canary(number)
    return CanaryObserved(canary=ref, resource_version="1", spec=msgspec.convert(spec, CanarySpec))


def provider(number: int, receivers: Receivers) -> dict[str, Any]:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "AlertProvider",
        "metadata": {"name": f"app-{number:03}", "namespace": NAMESPACE},
        "spec": {"type": "webhook", "address": receivers.url("alert", number)},
    }


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    receivers = Receivers()
    app = web.Application()
    app.router.add_post("/{kind}/{number}", receivers.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receivers.port = runner.addresses[0][1]
    server = ApiServer()
    path = folder / "kubeconfig"
    path.write_text(kubeconfig(await server.start()))
    define(server, [file for file in crds.files() if "flagger" in file.read_text()])
    try:
        with nats_server(folder / "nats") as nats:
            ring = Ring(
                kubeconfig=path, nats=nats.url, services=("notifier",), folder=folder / "ring"
            )
            async with ring, _bus(nats.url) as bus:
                await _provide(path, receivers)
                for number in range(CANARIES):
                    await bus.publish(observed(number, receivers))
                yield Stage(receivers, ring, bus)
    finally:
        await server.stop()
        await runner.cleanup()


@asynccontextmanager
async def _bus(url: str) -> AsyncIterator[NatsBus]:
    bus = NatsBus(
        "analyzer", RuntimeSettings(nats_url=url), clock=SystemClock(), metrics=PrometheusMetrics()
    )
    bus.start()
    try:
        yield bus
    finally:
        await bus.close()


async def _provide(path: Path, receivers: Receivers) -> None:
    async with Kube(path) as kube:
        for number in range(CANARIES):
            await kube.apply(provider(number, receivers), NAMESPACE)


async def quiet(on: Stage) -> list[Row]:
    """One fact at a time: a hook and an alert each."""
    for number in range(QUIET_FACTS):
        await on.publish(number % CANARIES, f"quiet-{number}", alert=True)
        await asyncio.sleep(QUIET_EVERY_S)
    await _until(lambda: len(on.receivers.latencies_s("quiet-")) == 2 * QUIET_FACTS)
    found = on.receivers.latencies_s("quiet-")
    ms = [latency * 1000 for latency in found]
    return [
        at_most(
            "fact to HTTP request at the receiver, p50 / p95",
            percentile(ms, 0.95),
            LATENCY_MAX_S * 1000,
            " ms",
            shown=p50_p95(ms, " ms"),
        )
    ]


async def load(on: Stage) -> list[Row]:
    """10,000 facts in a minute; a tenth of the receivers takes nothing, and the others count."""
    on.receivers.failing = FAILING
    before_mib = on.rss_mib()
    peak = {"rss": before_mib, "waiting": 0.0}
    watching = asyncio.create_task(_watch(on, peak))
    began = time.monotonic()
    for number, due_s in _plan():
        await asyncio.sleep(max(0.0, began + due_s - time.monotonic()))
        await on.publish(number % CANARIES, f"load-{number}", alert=number % ALERT_EVERY == 0)
    took_s = time.monotonic() - began
    wanted = dict(_expected())
    await _until(lambda: all(on.receivers.heard.get(said) for said in wanted))
    watching.cancel()
    counts = Counter(len(on.receivers.heard[said]) for said in wanted)
    ms = [latency * 1000 for latency in on.receivers.latencies_s("load-")]
    what = f"{FACTS:,} facts in {took_s:.0f} s, 10 % of receivers failing"
    return [
        Row(
            what=f"{what}: told once",
            here=f"{counts[1]:,} of {len(wanted):,}, {sum(counts.values()) - counts[1]} twice",
            target="all",
            met=counts[1] == len(wanted),
        ),
        Row(what=f"{what}: latency, p50 / p95", here=p50_p95(ms, " ms")),
        at_most(
            f"{what}: RSS, peak",
            peak["rss"],
            RSS_MAX_MIB,
            " MiB",
            shown=f"{figure(peak['rss'])} MiB ({figure(before_mib)} before, "
            f"{figure(peak['waiting'])} messages waiting at most)",
        ),
    ]


def _plan() -> Iterator[tuple[int, float]]:
    return ((number, number * WITHIN_S / FACTS) for number in range(FACTS))


def _expected() -> Iterator[tuple[str, int]]:
    for number in range(FACTS):
        if number % CANARIES >= FAILING:
            yield f"hook load-{number}", 1
            if number % ALERT_EVERY == 0:
                yield f"alert load-{number}", 1


async def _watch(on: Stage, peak: dict[str, float]) -> None:
    while True:
        peak["rss"] = max(peak["rss"], on.rss_mib())
        peak["waiting"] = max(peak["waiting"], await on.waiting())
        await asyncio.sleep(1)


async def _until(probe: Callable[[], bool]) -> None:
    async def is_so() -> bool:
        return probe()

    await eventually(is_so, "everything is told", SETTLE_S)


def rows() -> list[Row]:
    """All rows; the stage is made anew and ended."""
    return asyncio.run(_rows())


async def _rows() -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="serinus-bench-voice-"))
    async with stage(folder) as on:
        return [*await quiet(on), *await load(on)]
