"""The five services as five processes, for tests that need the whole ring.

async with Ring(kubeconfig=plane.kubeconfig, nats=server.url, settings={...}) as ring:
    ring.kill("router"); await ring.start("router")
"""

from __future__ import annotations

import asyncio
import importlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import aiohttp
from tests.servers.process import free_ports

from serinus.events.subjects import SERVICES

# Far more than it takes: machines that build and test at the same time start slowly.
START_S = 90.0


class NotReady(AssertionError):
    """A service did not become ready; the text holds why and the end of its log."""


def settings_of(name: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Those of `settings` that this service knows; the others belong to its neighbours."""
    known = importlib.import_module(f"serinus.{name}.settings").Settings.__struct_fields__
    variables = {f"SERINUS_{field.upper()}" for field in known}
    return {
        k: v for k, v in settings.items() if k in variables or k.removesuffix("_FILE") in variables
    }


class Ring:
    """Starts, kills and restarts the services; everything ends with the block.

    kubeconfig  service name -> path of its kubeconfig, or one path for all
    nats        URL of the NATS server; `users` gives (user, password) per service where it has some
    settings    SERINUS_* variables; each service gets those it knows
    """

    def __init__(
        self,
        *,
        kubeconfig: Callable[[str], Path] | Path | str,
        nats: str,
        settings: Mapping[str, str] | None = None,
        per_service: Mapping[str, Mapping[str, str]] | None = None,
        services: Iterable[str] = SERVICES,
        folder: Path | None = None,
    ) -> None:
        self._kubeconfig = kubeconfig
        self._nats = nats
        self._settings = dict(settings or {})
        self._per_service = per_service or {}
        self.services = tuple(services)
        self.folder = folder or Path(tempfile.mkdtemp(prefix="ring-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(2 * len(self.services))
        self.ports = dict(zip(self.services, ports, strict=False))
        self.web_port = ports[-1]
        self.loadtester_url = f"http://127.0.0.1:{self.web_port}"
        self.loadtester_token = secrets.token_urlsafe(12)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def hooks(self) -> dict[str, str]:
        """What an analyzer is given so that its hooks may come in at this ring's load tester."""
        return {
            "SERINUS_LOADTESTER_URLS": self.loadtester_url,
            "SERINUS_LOADTESTER_TOKEN": self.loadtester_token,
        }

    async def __aenter__(self) -> Ring:
        try:
            await self.start(*self.services)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def environment(self, name: str) -> dict[str, str]:
        wanted = {
            "SERINUS_TOKEN": self.loadtester_token,
            **self.hooks,
            **self._settings,
            "SERINUS_NATS_URL": self._nats,
            "SERINUS_LISTEN": f"127.0.0.1:{self.ports[name]}",
            "SERINUS_WEB": f"127.0.0.1:{self.web_port}",
        }
        if name != "loadtester":
            path = self._kubeconfig(name) if callable(self._kubeconfig) else self._kubeconfig
            wanted["SERINUS_KUBECONFIG"] = str(path)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SERINUS_")}
        return {**inherited, **settings_of(name, wanted), **self._per_service.get(name, {})}

    async def start(self, *names: str, ready: bool = True) -> None:
        """Starts these services and, unless told otherwise, waits until they are ready."""
        for name in names:
            self._spawn(name)
        if ready:
            await asyncio.gather(*(self.ready(name) for name in names))

    def _spawn(self, name: str) -> None:
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"serinus.{name}"],
                env=self.environment(name),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def kill(self, *names: str) -> None:
        """kill -9: no goodbye."""
        for name in names:
            self.processes[name].kill()
            self.processes[name].wait()

    async def is_ready(self, name: str) -> tuple[bool, str]:
        url = f"http://127.0.0.1:{self.ports[name]}/readyz"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status == 200, await answer.text()
        except aiohttp.ClientError as error:
            return False, str(error)

    async def ready(self, name: str, within_s: float = START_S) -> None:
        last = ""
        try:
            async with asyncio.timeout(within_s):
                while self.processes[name].poll() is None:
                    is_ready, last = await self.is_ready(name)
                    if is_ready:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass
        tail = self.log(name).read_text(errors="replace")[-3000:]
        raise NotReady(f"{name} is not ready: {last}\n{tail}")

    async def metrics(self, name: str) -> str:
        url = f"http://127.0.0.1:{self.ports[name]}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    async def stop(self) -> None:
        """SIGTERM to all, then what is needed."""
        running = [p for p in self.processes.values() if p.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                await asyncio.to_thread(process.wait, 15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
