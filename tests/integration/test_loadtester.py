"""The load tester as a process of its own: real NATS, real hey, real signals."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.servers.loadtester import BOUND_S, load_tester
from tests.servers.nats import NatsServer
from tests.servers.waiting import eventually

from serinus.events import CanaryRef, GateChanged, LoadFinished, LoadStarted
from serinus.runtime import RuntimeSettings, SystemClock
from serinus.runtime.nats import NatsBus
from serinus.runtime.telemetry import PrometheusMetrics


@asynccontextmanager
async def bus(server: NatsServer) -> AsyncIterator[NatsBus]:
    made = NatsBus(
        "reader",
        RuntimeSettings(nats_url=server.url),
        clock=SystemClock(),
        metrics=PrometheusMetrics(),
    )
    made.start()
    try:
        yield made
    finally:
        await made.close()


async def fact(reader: NatsBus, kind: type[Any], namespace: str) -> Any:
    """The last fact of this kind about the canary, once there is one."""
    found: list[Any] = []

    async def is_there() -> bool:
        latest = await reader.latest(kind, CanaryRef(namespace, "web"))
        if latest is not None:
            found.append(latest.message)
        return latest is not None

    await eventually(is_there, f"{kind.__name__} is published", BOUND_S)
    return found[-1]


@pytest.fixture
async def shop() -> AsyncIterator[str]:
    """A web service in which every tenth answer is a 500; its URL."""
    served = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal served
        served += 1
        return web.Response(status=500 if served % 10 == 0 else 200, text="hello")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def test_heys_numbers_are_told(nats: NatsServer, shop: str, tmp_path: Path) -> None:
    """What the reference throws away: that the load ran, how it ended, what it measured."""
    space = "load-numbers"
    async with load_tester(tmp_path, nats.url) as one, bus(nats) as reader:
        assert await one.post("/", space, cmd=f"hey -n 200 -c 4 {shop}") == (202, "")
        started = await fact(reader, LoadStarted, space)
        finished = await fact(reader, LoadFinished, space)
        [row] = [r for r in await one.tasks() if r["task"] == started.task]

    assert started.task == finished.task == row["task"]
    assert finished.exit_status == 0
    assert finished.numbers["status_200"] == 180
    assert finished.numbers["status_500"] == 20
    assert finished.numbers["requests_per_s"] > 0
    assert 0 < finished.numbers["p50_s"] <= finished.numbers["p99_s"]
    assert finished.output == ""
    assert row["state"] == "succeeded"
    assert row["numbers"] == finished.numbers


async def test_replicas_share_gates(nats: NatsServer, tmp_path: Path) -> None:
    space = "shared-gates"
    async with (
        load_tester(tmp_path, nats.url) as one,
        load_tester(tmp_path, nats.url) as other,
        bus(nats) as reader,
    ):
        assert await other.post("/gate/check", space) == (403, "Forbidden")
        assert await one.post("/gate/open", space) == (202, "")
        assert await other.post("/gate/check", space) == (200, "Approved")
        assert await other.post("/gate/close", space) == (202, "")
        assert await one.post("/gate/check", space) == (403, "Forbidden")
        assert isinstance(await fact(reader, GateChanged, space), GateChanged)


async def test_a_restart_closes_no_gate(nats: NatsServer, tmp_path: Path) -> None:
    space = "restarted-gates"
    async with load_tester(tmp_path, nats.url) as one:
        await one.post("/rollback/open", space)

    async with load_tester(tmp_path, nats.url) as another:
        assert await another.post("/rollback/check", space) == (200, "Approved")


async def test_while_nats_is_away_gates_say_neither_yes_nor_no_and_tasks_run(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    async with load_tester(tmp_path, own_nats.url) as one:
        await one.post("/gate/open", "away")
        own_nats.kill()

        assert await one.post("/", "away", type="bash", cmd="echo hi") == (200, "")
        assert (await one.post("/gate/check", "away"))[0] == 503

        own_nats.start()

        async def is_open() -> bool:
            return await one.post("/gate/check", "away") == (200, "Approved")

        await eventually(is_open, "the gate is open again", BOUND_S)


async def test_sigterm_ends_tasks_and_the_process_within_its_bound(tmp_path: Path) -> None:
    log = tmp_path / "ended"
    async with load_tester(tmp_path, SERINUS_DRAIN_S="4") as one:
        await one.post("/", "alone", cmd=f"trap 'echo bye > {log}; exit 0' TERM; sleep 60 & wait")
        assert (await one.tasks())[0]["state"] == "running"
        caller = asyncio.create_task(one.post("/", "alone", type="bash", cmd="sleep 60"))

        async def both_run() -> bool:
            return len(await one.tasks()) == 2

        await eventually(both_run, "both tasks run", BOUND_S)
        one.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            answer = await caller
            assert await one.process.wait() == 0

    assert answer == (503, "the load tester is stopping")
    assert log.read_text() == "bye\n"
