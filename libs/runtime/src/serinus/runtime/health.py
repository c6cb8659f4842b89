"""The face for Kubernetes and Prometheus: /livez /readyz /healthz /metrics.

Alive means that the loop answers. Ready means that everything registered by name is fine; what is
not is listed with its reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from aiohttp import web

log = logging.getLogger(__name__)

SHUTDOWN_S = 1.0


class HealthBoard:
    """`Health`: what readiness depends on, by name."""

    def __init__(self) -> None:
        self._state: dict[str, tuple[bool, str]] = {}

    def set(self, name: str, ok: bool, why: str = "") -> None:
        before = self._state.get(name)
        self._state[name] = (ok, why)
        if before is None or before[0] != ok:
            log.log(
                logging.INFO if ok or before is None else logging.WARNING,
                "readiness changed",
                extra={"check": name, "ok": ok, "reason": why},
            )

    @property
    def red(self) -> dict[str, str]:
        """What is not fine, with the reason."""
        return {name: why for name, (ok, why) in self._state.items() if not ok}

    @property
    def ready(self) -> bool:
        return bool(self._state) and not self.red


class HealthServer:
    """Serves the board and the metrics at `listen`; an empty address serves nothing."""

    def __init__(
        self,
        board: HealthBoard,
        exposition: Callable[[], bytes],
        *,
        listen: str,
        port_file: str = "",
        content_type: str = "text/plain",
    ) -> None:
        self._board = board
        self._exposition = exposition
        self._listen = listen
        self._port_file = port_file
        self._content_type = content_type
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Binds and serves. Raises OSError where the address is taken."""
        if not self._listen:
            return
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/healthz", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        host, _, port = self._listen.rpartition(":")
        site = web.TCPSite(runner, host.strip("[]") or None, int(port))
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = int(runner.addresses[0][1])
        if self._port_file:
            _write_whole(Path(self._port_file), f"{self.port}\n")

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _readyz(self, request: web.Request) -> web.Response:
        body = msgspec.json.encode({"ready": self._board.ready, "red": self._board.red})
        status = 200 if self._board.ready else 503
        return web.Response(body=body, status=status, content_type="application/json")

    async def _metrics(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": self._content_type}
        return web.Response(body=self._exposition(), headers=headers)


def _write_whole(path: Path, text: str) -> None:
    """So that whoever waits for the file never reads half of it."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text)
    beside.replace(path)
