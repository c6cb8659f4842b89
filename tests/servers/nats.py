"""The real NATS server with JetStream: the program of its wheel, or that program in a container.

SERINUS_TEST_ENGINE=containers takes the container engine that testcontainers finds. The image is
SERINUS_NATS_IMAGE, else one that is made on the spot from the wheel's program: nothing is pulled.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.servers.process import Child, ServerError, free_ports, of_the_environment

ENGINE, CONTAINERS = "SERINUS_TEST_ENGINE", "containers"
IMAGE = "SERINUS_NATS_IMAGE"
DOCKERFILE = 'FROM scratch\nCOPY nats-server /nats-server\nENTRYPOINT ["/nats-server"]\n'
ROOT = Path(__file__).resolve().parents[2]
TAG = "serinus-tests/nats:wheel"


class NatsServer(Protocol):
    """One server on a port of its own; `url` is what clients connect to, and it never changes."""

    @property
    def url(self) -> str: ...

    def start(self) -> None:
        """Starts it (again: on the same port and store) and waits until it listens.

        Raises ServerError.
        """

    def kill(self) -> None:
        """Ends it with no warning; the store stays."""

    def pause(self) -> None:
        """It stands still: connections stay open and nothing answers."""

    def resume(self) -> None: ...

    def lose_store(self) -> None:
        """Deletes everything that JetStream kept; only while it is not running."""

    def stop(self) -> None:
        """Ends it for good."""


class LocalNats:
    """The wheel's program as a child process."""

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
        """The running program, to read its log."""
        assert self._child is not None, "it is not started"
        return self._child

    def start(self) -> None:
        ports = self.folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        config = self.folder / "nats.conf"
        more = f'ports_file_dir: "{ports}"\n{self._config}'
        config.write_text(_config(f"127.0.0.1:{self._port}", self.folder / "store", more))
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
        self.child.kill()

    def pause(self) -> None:
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def lose_store(self) -> None:
        shutil.rmtree(self.folder / "store", ignore_errors=True)

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()


class ContainerNats:
    """The same in a container of the engine that testcontainers finds."""

    def __init__(self, folder: Path, config: str = "") -> None:
        from testcontainers.core.container import DockerContainer

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nats.conf").write_text(_config("0.0.0.0:4222", Path("/nats/store"), config))
        self.folder = folder
        self._port = free_ports(1)[0]
        self._container = (
            DockerContainer(_image())
            .with_command(["-c", "/nats/nats.conf"])
            .with_bind_ports(4222, self._port)
            .with_volume_mapping(str(folder), "/nats", "rw")
        )
        self._running: Any = None

    @property
    def url(self) -> str:
        return f"nats://{self._container.get_container_host_ip()}:{self._port}"

    def start(self) -> None:
        from docker.errors import DockerException  # type: ignore[import-untyped]

        try:
            if self._running is None:
                self._container.start()
                self._running = self._container.get_wrapped_container()
            else:
                self._running.start()
        except (DockerException, OSError) as error:
            raise ServerError(f"{ENGINE}={CONTAINERS}: nats-server: {error}") from error
        self._until_it_listens()

    def _until_it_listens(self, timeout_s: float = 30.0) -> None:
        address = (self._container.get_container_host_ip(), self._port)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            # An engine's proxy accepts before the server does: the greeting is what counts.
            with contextlib.suppress(OSError), socket.create_connection(address, 1) as connection:
                connection.settimeout(1)
                if connection.recv(4) == b"INFO":
                    return
            time.sleep(0.05)
        raise ServerError(f"nats-server does not listen on {self.url} within {timeout_s:g} s")

    def kill(self) -> None:
        self._running.kill()
        self._running.wait()

    def pause(self) -> None:
        self._running.pause()

    def resume(self) -> None:
        self._running.unpause()

    def lose_store(self) -> None:
        shutil.rmtree(self.folder / "store", ignore_errors=True)

    def stop(self) -> None:
        if self._running is not None:
            self._container.stop()
            self._container.get_docker_client().client.close()


def _config(listen: str, store: Path, more: str) -> str:
    return f'listen: "{listen}"\njetstream {{ store_dir: "{store}" }}\n{more}\n'


def _image() -> str:
    """The image to run. Raises ServerError when the engine cannot make it."""
    if named := os.environ.get(IMAGE):
        return named
    # In a process of its own: Docker's client leaves connections open, and the tests' warnings
    # are errors.
    argv = [sys.executable, "-c", "from tests.servers.nats import make_image; make_image()"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)
    if done.returncode:
        raise ServerError(
            f"{ENGINE}={CONTAINERS}: no image of nats-server can be made: "
            f"{done.stderr.strip().rpartition(chr(10))[2]}. "
            f"Name one with {IMAGE}, or unset {ENGINE} to run the wheel's program"
        )
    return TAG


def make_image() -> None:
    """Makes TAG from the wheel's program with the engine that testcontainers finds."""
    from testcontainers.core.image import DockerImage

    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(of_the_environment("nats-server"), folder)
        (Path(folder) / "Dockerfile").write_text(DOCKERFILE)
        DockerImage(path=folder, tag=TAG, clean_up=False).build()


@contextlib.contextmanager
def nats_server(folder: Path, config: str = "") -> Iterator[NatsServer]:
    """A running server with its files in `folder`; it is ended at the end.

    `config` is more of its configuration (users and their permissions, say), as text.
    """
    in_container = os.environ.get(ENGINE) == CONTAINERS
    server: NatsServer = (ContainerNats if in_container else LocalNats)(folder, config)
    try:
        server.start()
        yield server
    finally:
        server.stop()
