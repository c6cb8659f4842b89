"""Real servers from their wheels: NATS and Traefik, started, awaited and stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import yaml

from serinus.sandbox.leash import Child, Leash

START_S = 20.0
"""Seconds that a server may take until it answers."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0)
"""Upper bounds of Traefik's duration histogram, seconds; finer than its own."""


class NotStarted(Exception):
    """A server that ended or did not answer in time; the message holds the end of its log."""


def program(name: str) -> str:
    """The path of a program of this environment, else of PATH; raises NotStarted naming it."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise NotStarted(f"{name} is not installed in {beside.parent} nor found on PATH")
    return found


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A child process that answers HTTP at `ready_url` when it is ready.

    `start` may be called again after `stop` or `kill`, and then uses the same ports and files.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        ready_url: str,
        leash: Leash,
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._argv = tuple(argv)
        self._ready_url = ready_url
        self._leash = leash
        self._log = log
        self._env = env
        self.child: Child | None = None

    async def start(self) -> None:
        """Starts it and returns when it is ready; raises NotStarted otherwise."""
        self.child = await self._leash.spawn(self.name, self._argv, self._log, self._env)
        try:
            async with asyncio.timeout(START_S):
                await self._answered(self.child)
        except TimeoutError as late:
            await self.stop()
            raise NotStarted(
                f"{self.name} did not answer in {START_S:.0f} s:\n{self.child.tail()}"
            ) from late

    async def _answered(self, child: Child) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                if not child.running:
                    raise NotStarted(
                        f"{self.name} ended with {await child.wait()}:\n{child.tail()}"
                    )
                try:
                    async with session.get(self._ready_url) as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass  # not listening yet
                await asyncio.sleep(0.03)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Ends it within `grace_s` seconds."""
        if self.child:
            await self.child.stop(grace_s)

    async def kill(self) -> None:
        """kill -9, as a fault would."""
        if self.child:
            self.child.signal(signal.SIGKILL)
            await self.child.wait()

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class NatsServer(Server):
    """NATS with JetStream; clients connect to `url`, `monitor_url` is its HTTP side."""

    def __init__(
        self,
        leash: Leash,
        directory: Path,
        log: Path,
        port: int = 0,
        config: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`config` is more text in the server's own language: users and permissions, say.

        It may use the variables of `env`. Where it listens and stores is decided here, whatever
        the text says.
        """
        port = port or free_port()
        monitor = free_port()
        self.url = f"nats://127.0.0.1:{port}"
        self.monitor_url = f"http://127.0.0.1:{monitor}"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "nats.conf"
        # Of two values the server takes the later one.
        path.write_text(
            f'{config}\nlisten: "127.0.0.1:{port}"\nhttp: "127.0.0.1:{monitor}"\n'
            f'server_name: "sandbox"\njetstream {{ store_dir: "{directory}" }}\n'
        )
        argv = [program("nats-server"), "-c", str(path)]
        whole = {**os.environ, **(env or {})}
        super().__init__("nats", argv, self.monitor_url + "/healthz", leash, log, whole)


class Traefik(Server):
    """Traefik with its Kubernetes provider on `api_url`.

    Requests go to `url`; `admin_url` has `/ping` and Prometheus' `/metrics`.
    """

    def __init__(
        self, leash: Leash, directory: Path, log: Path, api_url: str, port: int = 0
    ) -> None:
        port, admin = port or free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.admin_url = f"http://127.0.0.1:{admin}"
        self.metrics_url = self.admin_url + "/metrics"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "traefik.yaml"
        path.write_text(yaml.safe_dump(traefik_config(api_url, port, admin)))
        # With one of these set the provider would look for a cluster elsewhere.
        env = {
            name: value
            for name, value in os.environ.items()
            if name not in {"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"}
        }
        argv = [program("traefik"), f"--configfile={path}"]
        super().__init__("traefik", argv, self.admin_url + "/ping", leash, log, env)


def traefik_config(api_url: str, port: int, admin: int) -> dict[str, object]:
    """Traefik's static configuration."""
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "INFO"},
        "entryPoints": {
            "web": {"address": f"127.0.0.1:{port}"},
            "traefik": {"address": f"127.0.0.1:{admin}"},
        },
        "ping": {},
        "metrics": {
            "prometheus": {
                "addEntryPointsLabels": True,
                "addServicesLabels": True,
                "buckets": list(BUCKETS),
            }
        },
        "providers": {
            "providersThrottleDuration": "100ms",
            "kubernetesCRD": {
                "endpoint": api_url,
                "allowCrossNamespace": True,
                "allowEmptyServices": True,
                "throttleDuration": "0s",
            },
        },
    }
