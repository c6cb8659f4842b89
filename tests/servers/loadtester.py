"""The load tester as a process of its own, closed to all but those who show TOKEN."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.servers.process import free_ports
from tests.servers.waiting import eventually

TOKEN = "t0ken-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BOUND_S = 60.0
ANY_SHELL = '[{"shell": true}]'


@dataclass
class LoadTester:
    """One running load tester. `health` is where its own metrics are, `log` what it has said."""

    face: str
    health: str
    process: asyncio.subprocess.Process
    client: aiohttp.ClientSession
    log: Path

    async def post(self, path: str, namespace: str, **metadata: str) -> tuple[int, str]:
        body = {"name": "web", "namespace": namespace, "metadata": metadata}
        async with self.client.post(f"{self.face}{path}", json=body) as answer:
            return answer.status, await answer.text()

    async def get(self, path: str) -> Any:
        """The JSON there."""
        async with self.client.get(f"{self.face}{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def tasks(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self.get("/tasks")
        return rows

    async def idle(self) -> None:
        """Returns when nothing runs."""

        async def is_idle() -> bool:
            return all(row["state"] != "running" for row in await self.tasks())

        await eventually(is_idle, "no task runs", BOUND_S)

    def memory_mib(self, which: str = "VmRSS") -> float:
        """What the process has in memory now, or at most had (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(which))
        return int(line.split()[1]) / 1024

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


@asynccontextmanager
async def load_tester(
    folder: Path,
    nats_url: str = "",
    *,
    tls: ssl.SSLContext | None = None,
    headers: dict[str, str] = BEARER,
    under: Sequence[str] = (),
    **settings: str,
) -> AsyncIterator[LoadTester]:
    """A load tester; killed at the end if it still runs.

    tls       how its client connects, where it has a certificate
    under     a command that runs it, such as `prlimit ...`
    settings  over the usual ones; an empty one is left out
    """
    face, health = free_ports(2)
    given = {
        "SERINUS_NATS_URL": nats_url,
        "SERINUS_LISTEN": f"127.0.0.1:{health}",
        "SERINUS_WEB": f"127.0.0.1:{face}",
        "SERINUS_TOKEN": TOKEN,
        "SERINUS_RULES": ANY_SHELL,
        **settings,
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SERINUS_")}
    environ = {**inherited, **{name: value for name, value in given.items() if value}}
    log = folder / f"loadtester-{face}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *under, sys.executable, "-m", "serinus.loadtester", env=environ, stdout=output,
            stderr=output,
        )  # fmt: skip
    connector = aiohttp.TCPConnector(limit=0, ssl=tls or True)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as client:
        url = f"{'https' if tls else 'http'}://127.0.0.1:{face}"
        made = LoadTester(url, f"http://127.0.0.1:{health}", process, client, log)

        async def is_up() -> bool:
            assert process.returncode is None, log.read_text()
            try:
                async with client.get(f"{made.health}/livez") as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                return False

        async def listens() -> bool:
            try:
                async with client.get(f"{made.face}/healthz") as answer:
                    return await answer.text() == "OK"
            except aiohttp.ClientConnectionError:
                return False

        try:
            await eventually(is_up, "the load tester lives", BOUND_S)
            await eventually(listens, "the load tester answers", BOUND_S)
            yield made
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
