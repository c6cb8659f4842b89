"""The real NATS server with JetStream: from its wheel, or in a container of the same program."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import Child, of_the_environment

ENGINE = "SERINUS_TEST_ENGINE"


class NatsServer:
    """One server on a port of its own; `url` is what clients connect to.

    `config` is more of its configuration file (users and their permissions, say), as text.
    """

    def __init__(self, folder: Path, config: str = "") -> None:
        self.folder = folder
        self._config = config
        self._child: Child | None = None
        self._port = -1  # the server's word for "any free one"

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    @property
    def child(self) -> Child:
        """The running program, to pause or read."""
        assert self._child is not None, "it is not started"
        return self._child

    def start(self) -> None:
        """Starts it (again: on the same port and store) and waits until it listens."""
        ports = self.folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        config = self.folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self._port}"\n'
            f'ports_file_dir: "{ports}"\n'
            f'jetstream {{ store_dir: "{self.folder / "store"}" }}\n{self._config}\n'
        )
        argv = [of_the_environment("nats-server"), "-c", str(config)]
        self._child = Child("nats-server", argv, self.folder / "nats.log")
        self._child.wait_until(lambda: self._listens(ports), "a port to listen on")

    def _listens(self, ports: Path) -> bool:
        with contextlib.suppress(StopIteration, ValueError):
            listed = json.loads(next(ports.glob("*.ports")).read_text())
            self._port = int(listed["nats"][0].rpartition(":")[2])
            return True
        return False

    def kill(self) -> None:
        """Ends it with no warning; the store stays."""
        self.child.kill()

    def lose_store(self) -> None:
        """Deletes everything that JetStream kept; only while it is not running."""
        shutil.rmtree(self.folder / "store", ignore_errors=True)

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()


@contextlib.contextmanager
def nats_server(folder: Path, config: str = "") -> Iterator[NatsServer]:
    """A running server with its files in `folder`; it is ended at the end."""
    server = NatsServer(folder, config)
    try:
        server.start()
        yield server
    finally:
        server.stop()
