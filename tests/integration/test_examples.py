"""The examples of docs/extending.md, installed and run as their reader would."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.servers.nats import NatsServer, nats_server
from tests.servers.process import ServerError, free_ports
from tests.servers.waiting import eventually

from serinus.events import CanaryRef, Fact, Promoted, RolledBack, permissions
from serinus.events.streams import TAP_PERMISSIONS, users
from serinus.events.subjects import SERVICES
from serinus.runtime import RuntimeSettings, SystemClock
from serinus.runtime.nats import NatsBus
from serinus.runtime.settings import Secret
from serinus.runtime.telemetry import PrometheusMetrics

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
BOUND_S = 60.0
WEB = CanaryRef("shop", "web", "uid-1")
PASSWORDS = dict.fromkeys(SERVICES, "secret-word")
OTHERS = [
    {"user": "dora", "password": "secret-word", "permissions": permissions("dora")},
    {"user": "tap", "password": "secret-word", "permissions": TAP_PERMISSIONS},
]
CONFIG = f"authorization {{ users = {json.dumps([*users(PASSWORDS), *OTHERS])} }}"


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A server whose users may do what the subject table says."""
    with nats_server(tmp_path / "nats", CONFIG) as server:
        yield server


@asynccontextmanager
async def telling(nats: NatsServer) -> AsyncIterator[NatsBus]:
    """The bus, as the analyzer has it."""
    bus = NatsBus(
        "analyzer",
        RuntimeSettings(
            nats_url=nats.url, nats_user="analyzer", nats_password=Secret("secret-word")
        ),
        clock=SystemClock(),
        metrics=PrometheusMetrics(),
    )
    bus.start()
    try:
        yield bus
    finally:
        await bus.close()


def facts() -> list[Fact]:
    """Two good releases and a bad one."""
    return [
        Promoted(canary=WEB, id="a", text="Promotion completed!"),
        Promoted(canary=WEB, id="b", text="Promotion completed!"),
        RolledBack(canary=WEB, id="c", text="Canary failed!"),
    ]


def counts(metrics: str) -> dict[str, float]:
    """Releases by outcome."""
    found = re.findall(r'^dora_releases_total\{.*outcome="(\w+)".*\} (\S+)$', metrics, re.M)
    return {outcome: float(value) for outcome, value in found}


async def ran(argv: list[str], **options: Any) -> None:
    """Waits for a program that must succeed."""
    process = await asyncio.create_subprocess_exec(*argv, **options)
    async with asyncio.timeout(300):
        assert await process.wait() == 0, argv


async def test_a_service_of_a_few_lines_counts_releases(nats: NatsServer, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(EXAMPLES / "dora", source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-build-isolation", "--target", str(target), str(source)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    await ran(pip, env={**os.environ, "PATH": path})
    [port] = free_ports(1)
    environ = {
        **os.environ,
        "PYTHONPATH": str(target),
        "SERINUS_NATS_URL": nats.url,
        "SERINUS_NATS_USER": "dora",
        "SERINUS_NATS_PASSWORD": "secret-word",
        "SERINUS_LISTEN": f"127.0.0.1:{port}",
    }
    with (tmp_path / "dora.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dora", env=environ, stdout=log, stderr=log
        )
    try:
        async with telling(nats) as bus, aiohttp.ClientSession() as client:

            async def get(path: str) -> tuple[int, str]:
                assert process.returncode is None, (tmp_path / "dora.log").read_text()
                try:
                    async with client.get(f"http://127.0.0.1:{port}{path}") as answer:
                        return answer.status, await answer.text()
                except aiohttp.ClientConnectionError:
                    return 0, ""

            async def is_ready() -> bool:
                return (await get("/readyz"))[0] == 200

            await eventually(is_ready, "the service is ready", BOUND_S)
            for fact in facts():
                await bus.publish(fact)

            async def counted() -> bool:
                return counts((await get("/metrics"))[1]) == {"succeeded": 2, "failed": 1}

            await eventually(counted, "two good releases and a bad one", BOUND_S)
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode == 0


async def test_a_program_in_another_language_hears_the_same(
    nats: NatsServer, tmp_path: Path
) -> None:
    go = shutil.which("go")
    if go is None:
        raise ServerError("missing: go, for docs/examples/tail-go (any version that go.mod takes)")
    program = tmp_path / "tail"
    build = [go, "build", "-o", str(program), "."]
    await ran(build, cwd=EXAMPLES / "tail-go")
    url = nats.url.replace("nats://", "nats://tap:secret-word@")
    process = await asyncio.create_subprocess_exec(
        str(program), "shop", env={**os.environ, "NATS_URL": url}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(BOUND_S), telling(nats) as bus:
            assert await process.stdout.readline() == b"listening\n"
            elsewhere = Promoted(canary=CanaryRef("other", "web"), id="z", text="not asked for")
            for fact in (elsewhere, *facts()):
                await bus.publish(fact)
            heard = [(await process.stdout.readline()).decode() for _ in facts()]
    finally:
        process.kill()
        await process.wait()
    assert heard == [
        "fact.rollout.promoted.v1 shop/web Promotion completed!\n",
        "fact.rollout.promoted.v1 shop/web Promotion completed!\n",
        "fact.rollout.rolledback.v1 shop/web Canary failed!\n",
    ]
