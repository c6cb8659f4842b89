"""A service as a process: signals, exit codes, readiness through the coming and going of NATS."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.servers.nats import NatsServer
from tests.servers.process import Child, inherited
from tests.servers.waiting import eventually
from tests.unit.runtime.helpers import intent

from serinus.runtime.clock import SystemClock
from serinus.runtime.nats import NatsBus
from serinus.runtime.settings import RuntimeSettings
from serinus.runtime.telemetry import PrometheusMetrics

PROGRAM = """
import asyncio
import logging
from contextlib import asynccontextmanager

from serinus.events import Intent
from serinus.runtime import RuntimeSettings, Service, run

log = logging.getLogger("program")


class Settings(RuntimeSettings, frozen=True, kw_only=True):
    crash_after_s: float = 0.0
    handle_s: float = 0.0


@asynccontextmanager
async def start(context):
    async def crash():
        await context.clock.sleep(context.settings.crash_after_s)
        raise RuntimeError("boom")

    if context.settings.crash_after_s:
        context.spawn(crash(), "crash")
    yield context
    log.info("closed")


async def converge(intent, context):
    log.info("begun", extra={"version": intent.version})
    await context.clock.sleep(context.settings.handle_s)
    log.info("handled", extra={"version": intent.version})


run(Service(name="router", settings=Settings, start=start, follow={Intent: converge}))
"""


class Program:
    """The service as a child process."""

    def __init__(self, folder: Path, nats: NatsServer, **settings: str) -> None:
        self.port_file = folder / "port"
        source = folder / "program.py"
        source.write_text(PROGRAM)
        variables = {f"SERINUS_{name.upper()}": text for name, text in settings.items()}
        self.child = Child(
            "program",
            [sys.executable, source],
            folder / "program.log",
            env=inherited(
                SERINUS_NATS_URL=nats.url,
                SERINUS_LISTEN="127.0.0.1:0",
                SERINUS_PORT_FILE=str(self.port_file),
                **variables,
            ),
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port_file.read_text().strip()}"

    async def metric(self, name: str) -> float:
        async with aiohttp.ClientSession(self.url) as session, session.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    async def readiness(self) -> dict[str, Any]:
        """What /readyz says; nothing while it does not listen yet."""
        if not self.port_file.exists():
            return {}
        async with aiohttp.ClientSession(self.url) as session, session.get("/readyz") as answer:
            found: dict[str, Any] = await answer.json()
            assert (answer.status == 200) == found["ready"]
            return found

    async def becomes(self, ready: bool, timeout_s: float = 15.0) -> None:
        async def check() -> bool:
            assert self.child.running, self.child.tail()
            return (await self.readiness()).get("ready") is ready

        await eventually(check, f"ready is {ready}\n{self.child.tail()}", timeout_s)

    async def says(self, message: str) -> None:
        async def check() -> bool:
            return message in self.messages()

        await eventually(check, f"it says {message!r}")

    async def exit_code(self, timeout_s: float = 10.0) -> int:
        async def ended() -> bool:
            return not self.child.running

        await eventually(ended, f"it ends\n{self.child.tail()}", timeout_s)
        code = self.child.exit_code
        assert code is not None
        return code

    def lines(self) -> list[dict[str, Any]]:
        """Its log, every line of which is JSON."""
        return [json.loads(line) for line in self.child.log.read_text().splitlines()]

    def messages(self) -> list[str]:
        return [line["msg"] for line in self.lines()]


@pytest.fixture
async def sender(own_nats: NatsServer) -> AsyncIterator[NatsBus]:
    bus = NatsBus(
        "analyzer",
        RuntimeSettings(nats_url=own_nats.url),
        clock=SystemClock(),
        metrics=PrometheusMetrics(),
    )
    bus.start()
    yield bus
    await bus.close()


async def test_it_becomes_ready_and_ends_when_told(own_nats: NatsServer, tmp_path: Path) -> None:
    program = Program(tmp_path, own_nats)
    await program.becomes(ready=True)
    program.child.signal(signal.SIGTERM)
    assert await program.exit_code() == 0
    assert "closed" in program.messages()


async def test_starting_takes_less_than_two_seconds_of_a_processor(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    """It waits for nothing on its way, so on a machine with time to spare that is all it takes."""
    program = Program(tmp_path, own_nats)
    await program.becomes(ready=True)
    assert await program.metric("process_cpu_seconds_total") < 2.0
    program.child.stop()


async def test_it_waits_for_a_server_that_is_not_there_yet(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    own_nats.kill()
    program = Program(tmp_path, own_nats)
    await program.becomes(ready=False)
    red = (await program.readiness())["red"]
    assert "nats" in red
    own_nats.start()
    await program.becomes(ready=True)
    program.child.stop()


async def test_while_it_waits_it_can_be_told_to_end(own_nats: NatsServer, tmp_path: Path) -> None:
    own_nats.kill()
    program = Program(tmp_path, own_nats)
    await program.becomes(ready=False)
    program.child.signal(signal.SIGTERM)
    assert await program.exit_code() == 0


async def test_a_server_that_goes_and_comes_turns_it_red_and_green(
    own_nats: NatsServer, tmp_path: Path, sender: NatsBus
) -> None:
    program = Program(tmp_path, own_nats)
    await program.becomes(ready=True)
    own_nats.kill()
    await program.becomes(ready=False)
    assert "nats" in (await program.readiness())["red"]
    own_nats.start()
    await program.becomes(ready=True)
    await sender.publish(intent())
    await program.says("handled")
    program.child.stop()


async def test_told_to_end_it_finishes_what_it_has_begun_and_begins_no_more(
    own_nats: NatsServer, tmp_path: Path, sender: NatsBus
) -> None:
    program = Program(tmp_path, own_nats, handle_s="1")
    await program.becomes(ready=True)
    await sender.publish(intent(1))
    await program.says("begun")
    await sender.publish(intent(2))
    program.child.signal(signal.SIGTERM)
    assert await program.exit_code() == 0
    told = [m for m in program.messages() if m in ("begun", "handled", "closed")]
    assert told == ["begun", "handled", "closed"]


async def test_told_twice_it_ends_at_once(
    own_nats: NatsServer, tmp_path: Path, sender: NatsBus
) -> None:
    program = Program(tmp_path, own_nats, handle_s="60", drain_s="60")
    await program.becomes(ready=True)
    await sender.publish(intent())
    await program.says("begun")
    program.child.signal(signal.SIGTERM)
    await program.says("draining")
    program.child.signal(signal.SIGINT)
    assert await program.exit_code(timeout_s=2) == 1


async def test_a_crash_in_the_background_ends_it_with_one_and_says_why(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    program = Program(tmp_path, own_nats, crash_after_s="0.1")
    assert await program.exit_code() == 1
    (line,) = [line for line in program.lines() if line["level"] == "ERROR"]
    assert line["service"] == "router"
    assert line["reason"] == "RuntimeError('boom')"
    assert "Traceback" in line["exception"]


async def test_a_wrong_setting_ends_it_with_two(own_nats: NatsServer, tmp_path: Path) -> None:
    program = Program(tmp_path, own_nats, handel_s="1")
    assert await program.exit_code() == 2
    assert await asyncio.to_thread(program.child.log.read_text) == (
        "SERINUS_HANDEL_S: no such setting; did you mean SERINUS_HANDLE_S?\n"
    )
