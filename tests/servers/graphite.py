"""The real Graphite: carbon-cache takes points, graphite-web renders them."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import Child, answers, free_ports
from tests.tools import debian

PYTHON = "/usr/bin/python3"
"""Debian's own, which sees Debian's packages."""


class Graphite:
    """A running Graphite; `url` is the base address of its web server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._line, self._pickle, self._query, self._web = free_ports(4)
        self._children: list[Child] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._web}"

    def start(self) -> None:
        """Returns when both halves answer. Raises ServerError."""
        for name in ("conf", "whisper", "log", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        carbon = debian.program("carbon-cache")
        debian.program("graphite-manage")
        (self.folder / "conf" / "storage-schemas.conf").write_text(
            "[all]\npattern = .*\nretentions = 1s:1h\n"
        )
        config = self.folder / "conf" / "carbon.conf"
        config.write_text(self._carbon())
        (self.folder / "test_settings.py").write_text(self._settings())
        argv = [carbon, "--nodaemon", f"--config={config}", "start"]
        self._start("carbon", argv, {})
        argv = [PYTHON, "-m", "django", "runserver", "--noreload", f"127.0.0.1:{self._web}"]
        settings = {
            "PYTHONPATH": str(self.folder),
            "GRAPHITE_SETTINGS_MODULE": "test_settings",
            "DJANGO_SETTINGS_MODULE": "graphite.settings",
        }
        web = self._start("graphite", argv, settings)
        web.wait_until(answers(f"{self.url}/render?target=test&format=json"), "ready")
        self._children[0].wait_until(self._listens, "ready")

    def _start(self, name: str, argv: list[str], environment: dict[str, str]) -> Child:
        child = Child(name, argv, self.folder / f"{name}.log", {**os.environ, **environment})
        self._children.append(child)
        return child

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._line), 1):
            return True
        return False

    def _carbon(self) -> str:
        ports = {"LINE": self._line, "PICKLE": self._pickle}
        receivers = "".join(
            f"{kind}_RECEIVER_INTERFACE = 127.0.0.1\n{kind}_RECEIVER_PORT = {port}\n"
            for kind, port in ports.items()
        )
        return f"""[cache]
STORAGE_DIR = {self.folder}
LOCAL_DATA_DIR = {self.folder}/whisper
CONF_DIR = {self.folder}/conf
LOG_DIR = {self.folder}/log
PID_DIR = {self.folder}/run
USER =
{receivers}CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {self._query}
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
ENABLE_LOGROTATION = False
"""

    def _settings(self) -> str:
        return f"""SECRET_KEY = "test"
ALLOWED_HOSTS = ["*"]
STORAGE_DIR = "{self.folder}"
WHISPER_DIR = "{self.folder}/whisper"
CONF_DIR = "{self.folder}/conf"
LOG_DIR = "{self.folder}/log"
INDEX_FILE = "{self.folder}/index"
CARBONLINK_HOSTS = ["127.0.0.1:{self._query}:a"]
DATABASES = {{"default": {{"NAME": "{self.folder}/db", "ENGINE": "django.db.backends.sqlite3"}}}}
TIME_ZONE = "UTC"
"""

    def write(self, *lines: str) -> None:
        """Points as `name value seconds`."""
        with socket.create_connection(("127.0.0.1", self._line), 5) as socket_:
            socket_.sendall(("\n".join(lines) + "\n").encode())

    def stop(self) -> None:
        for child in self._children:
            child.kill()


@contextlib.contextmanager
def graphite(folder: Path) -> Iterator[Graphite]:
    server = Graphite(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
