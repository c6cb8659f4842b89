"""Services of compose.yaml on a container engine, by its API: what `docker compose up` would do."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import docker
import yaml
from docker.models.containers import Container
from tests.e2e.images import ROOT
from tests.e2e.shared import Shared
from tests.servers.process import ServerError

NAME = "serinus-e2e"
KIND = "--engine"
LOCAL = Path("/var/run/docker.sock")
START_S = 30.0
STOP_S = 20
VARIABLE = re.compile(r"\$\{(\w+)(?::[-?][^}]*)?\}")


class Engine:
    """`host` is where published ports are; `load` brings an image archive to it."""

    def __init__(self, client: docker.DockerClient, host: str) -> None:
        self.client = client
        self.host = host

    def load(self, archive: Path) -> None:
        with archive.open("rb") as content:
            self.client.images.load(content)


@contextlib.contextmanager
def engine(shared: Shared | None) -> Iterator[Engine]:
    """The engine that Docker's variables name, or the local one, else that of `../shared/cluster`.

    Raises ServerError.
    """
    with contextlib.ExitStack() as stack:
        environment: Mapping[str, str] = os.environ
        if "DOCKER_HOST" not in environment and not LOCAL.exists():
            if shared is None:
                raise ServerError(f"missing: a container engine; no DOCKER_HOST, and no {LOCAL}")
            if not shared.is_up(KIND):
                stack.callback(shared.down, KIND)
            shared.up(KIND)
            environment = shared.environment(KIND)
        client = docker.from_env(environment=dict(environment))
        stack.callback(client.close)
        host = urlparse(environment.get("DOCKER_HOST", "")).hostname
        yield Engine(client, environment.get("TESTCONTAINERS_HOST_OVERRIDE") or host or "127.0.0.1")


class Compose:
    """compose.yaml with the variables of its example, `replaced` put over them."""

    def __init__(self, engine: Engine, replaced: Mapping[str, str]) -> None:
        lines = (ROOT / "deploy/docker/example.env").read_text("utf-8").splitlines()
        example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        values = {**example, **replaced}
        text = (ROOT / "compose.yaml").read_text("utf-8")
        self.services: dict[str, Any] = yaml.safe_load(
            VARIABLE.sub(lambda found: values[found[1]], text)
        )["services"]
        self._engine = engine
        self._network: Any = None
        self._containers: dict[str, Container] = {}

    def __enter__(self) -> Compose:
        self._network = self._engine.client.networks.create(NAME)
        return self

    def __exit__(self, *_: object) -> None:
        for container in self._containers.values():
            container.remove(force=True, v=True)
        self._network.remove()

    def start(self, service: str, image: str, **changes: Any) -> None:
        """Starts a service from an image of ours; `changes` are words of Docker's API.

        Without `init`: not every engine has the program, and as process 1 they must stop, too.
        """
        declared = self.services[service]
        options: dict[str, Any] = {
            "command": declared.get("command"),
            "environment": declared.get("environment", {}),
            "read_only": declared["read_only"],
            "tmpfs": {path: "" for path in declared.get("tmpfs", ())},
            "cap_drop": declared.get("cap_drop"),
            "security_opt": declared.get("security_opt"),
            "user": declared.get("user"),
            "volumes": [_bind(volume) for volume in declared.get("volumes", ())],
            "ports": {"8080/tcp": None},
            **changes,
        }
        client = self._engine.client
        endpoint = client.api.create_endpoint_config(aliases=[service])
        container = client.containers.create(
            image,
            name=f"{NAME}-{service}",
            network=NAME,
            networking_config={NAME: endpoint},
            **options,
        )
        self._containers[service] = container
        container.start()

    def restart(self, service: str) -> int:
        """Asks it to end, starts it again; the status with which it ended."""
        container = self._containers[service]
        container.stop(timeout=STOP_S)
        code = int(container.wait()["StatusCode"])
        container.start()
        return code

    def until(self, service: str, condition: Callable[[set[str]], bool]) -> None:
        """Returns when the names of what is red in its /readyz are as wanted.

        Raises TimeoutError with what it said last.
        """
        deadline = time.monotonic() + START_S
        while True:
            status, text = self.ready(service)
            red = set(json.loads(text)["red"]) if status else None
            assert red is None or (status == 200) == (red == set()), (status, text)
            if red is not None and condition(red):
                return
            if time.monotonic() > deadline:
                late = f"{service}: not ready, or unready, as it should be in {START_S:g} s"
                raise TimeoutError(f"{late}; last: {status} {text}")
            time.sleep(0.05)

    def ready(self, service: str) -> tuple[int, str]:
        """Status and text of its /readyz; 0 and its log while nothing listens."""
        container = self._containers[service]
        container.reload()
        ports = container.attrs["NetworkSettings"]["Ports"].get("8080/tcp")
        if not ports:
            return 0, container.logs(tail=20).decode()
        url = f"http://{self._engine.host}:{ports[0]['HostPort']}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()
        except OSError as error:
            return 0, f"{error}\n{container.logs(tail=20).decode()}"

    def healthy(self, service: str) -> bool:
        """What its health check says, run as compose would."""
        _, *argv = self.services[service]["healthcheck"]["test"]
        return bool(self._containers[service].exec_run(argv).exit_code == 0)


def _bind(volume: Any) -> str:
    """A volume in the short form; a relative source is one of the repository."""
    if isinstance(volume, str):
        source, target, *mode = volume.split(":")
    else:
        source, target = volume["source"], volume["target"]
        mode = ["ro"] if volume.get("read_only") else []
    if source.startswith("."):
        source = str((ROOT / source).resolve())
    return ":".join([source, target, *mode])
