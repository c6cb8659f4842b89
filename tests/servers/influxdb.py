"""The real InfluxDB (1.x, as Debian has it)."""

from __future__ import annotations

import contextlib
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import Child, answers, free_ports
from tests.tools import debian


class InfluxDb:
    """A running InfluxDB; `url` is its base address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rpc, self._http = free_ports(2)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http}"

    def start(self) -> None:
        """Returns when it answers. Raises ServerError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "influxdb.conf"
        config.write_text(
            f"""
reporting-disabled = true
bind-address = "127.0.0.1:{self._rpc}"
[meta]
  dir = "{self.folder}/meta"
[data]
  dir = "{self.folder}/data"
  wal-dir = "{self.folder}/wal"
[http]
  bind-address = "127.0.0.1:{self._http}"
  log-enabled = false
"""
        )
        argv = [debian.program("influxd"), "-config", str(config)]
        self._child = Child("influxdb", argv, self.folder / "influxdb.log")
        self._child.wait_until(answers(f"{self.url}/ping", 204), "ready")

    def create(self, database: str) -> None:
        self._post("/query", {"q": f'CREATE DATABASE "{database}"'}, b"")

    def write(self, database: str, *lines: str) -> None:
        """Points in the line protocol, with times in seconds."""
        self._post("/write", {"db": database, "precision": "s"}, "\n".join(lines).encode())

    def _post(self, path: str, words: dict[str, str], body: bytes) -> None:
        url = f"{self.url}{path}?{urllib.parse.urlencode(words)}"
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=10):
            pass

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()


@contextlib.contextmanager
def influxdb(folder: Path) -> Iterator[InfluxDb]:
    server = InfluxDb(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
