"""The five services as five processes inside a sandbox, each with its own NATS user."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from serinus.cli.demo import manifests
from serinus.events import TAP_PERMISSIONS, users
from serinus.events.subjects import SERVICES
from serinus.sandbox.leash import Child
from serinus.sandbox.sandbox import Sandbox
from serinus.sandbox.servers import free_port

TAP_USER = "tap"
START_S = 20.0


class NotReady(RuntimeError):
    """A service did not become ready; the text names it and shows the end of its log."""


class Passwords:
    """One per NATS user, new in every run."""

    def __init__(self) -> None:
        self.of = {name: secrets.token_urlsafe(12) for name in (*SERVICES, TAP_USER)}

    def nats_config(self) -> str:
        """The users with what each of them may do."""
        everybody = [
            *users({name: self.of[name] for name in SERVICES}),
            {"user": TAP_USER, "password": self.of[TAP_USER], "permissions": TAP_PERMISSIONS},
        ]
        return f"authorization {{ users: {json.dumps(everybody)} }}"


class Ring:
    """The services once they run: `ports` says where each answers."""

    def __init__(self, box: Sandbox, passwords: Passwords) -> None:
        self._box = box
        self._passwords = passwords
        self.ports: dict[str, int] = {name: free_port() for name in SERVICES}
        self.face = free_port()
        self._token = secrets.token_urlsafe(12)
        self.children: dict[str, Child] = {}

    @property
    def loadtester_url(self) -> str:
        """Where hooks call the load tester."""
        return f"http://127.0.0.1:{self.face}"

    async def start(self) -> None:
        """Starts all five and returns when all are ready."""
        for name in SERVICES:
            argv = [sys.executable, "-m", f"serinus.{name}"]
            self.children[name] = await self._box.spawn(name, argv, self.environment(name))
        await asyncio.gather(*(self._ready(name) for name in SERVICES))

    def environment(self, name: str) -> Mapping[str, str]:
        """The settings of one service."""
        own = {
            "analyzer": {
                "SERINUS_MESH_PROVIDER": "traefik",
                "SERINUS_METRICS_SERVER": f"scrape:{self._box.traefik_metrics_url}",
                "SERINUS_LOADTESTER_URLS": self.loadtester_url,
                "SERINUS_LOADTESTER_TOKEN": self._token,
            },
            "loadtester": {
                "SERINUS_WEB": f"127.0.0.1:{self.face}",
                "SERINUS_TOKEN": self._token,
                "SERINUS_RULES": manifests.RULES,
            },
        }.get(name, {})
        if name != "loadtester":
            own["SERINUS_KUBECONFIG"] = str(self._box.kubeconfig)
        return {
            "SERINUS_NATS_URL": self._box.nats_url,
            "SERINUS_NATS_USER": name,
            "SERINUS_NATS_PASSWORD": self._passwords.of[name],
            "SERINUS_LISTEN": f"127.0.0.1:{self.ports[name]}",
            **own,
        }

    async def _ready(self, name: str) -> None:
        child = self.children[name]
        url = f"http://127.0.0.1:{self.ports[name]}/readyz"
        last = "nothing listens yet"
        try:
            async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
                while child.running:
                    try:
                        async with session.get(url) as answer:
                            if answer.status == 200:
                                return
                            last = (await answer.text()).strip()
                    except aiohttp.ClientError:
                        pass  # not listening yet
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass
        raise NotReady(f"{name} did not become ready: {last}\n{child.tail()}")


def crds() -> list[Path]:
    """The chart's CRDs when this runs from a checkout: bad manifests are refused here too."""
    for parent in Path(__file__).resolve().parents:
        folder = parent / "deploy" / "chart" / "files" / "crds"
        if folder.is_dir():
            return [folder]
    return []
