"""The real Traefik, with its routes from an API server by its own Kubernetes provider."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers import gateway
from tests.servers.control_plane import ControlPlane
from tests.servers.process import Child, answers, free_ports, of_the_environment

CLASS = "traefik"
CONTROLLER = "traefik.io/gateway-controller"
CRDS = (
    "--providers.kubernetescrd=true",
    "--providers.kubernetescrd.allowexternalnameservices=true",
    "--providers.kubernetescrd.throttleduration=100ms",
    "--providers.kubernetesingress=true",
    "--providers.kubernetesingress.throttleduration=100ms",
)
GATEWAY = (
    "--providers.kubernetesgateway=true",
    "--providers.kubernetesgateway.throttleduration=100ms",
)


class Traefik:
    """A running Traefik: `url` takes traffic, `metrics` (host:port) is for scraping.

    provider  flags that say where routes come from: CRDS or GATEWAY
    """

    def __init__(self, folder: Path, kubeconfig: Path, provider: Sequence[str] = CRDS) -> None:
        self.folder = folder
        self._kubeconfig = kubeconfig
        self._provider = provider
        self.port, self._admin = free_ports(2)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def metrics(self) -> str:
        return f"127.0.0.1:{self._admin}"

    def start(self) -> None:
        """Returns when it listens; routes follow when it has read them. Raises ServerError."""
        argv = [
            of_the_environment("traefik"),
            f"--entrypoints.web.address=127.0.0.1:{self.port}",
            f"--entrypoints.traefik.address={self.metrics}",
            "--ping=true",
            *self._provider,
            "--metrics.prometheus=true",
            "--metrics.prometheus.addserviceslabels=true",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
            "--log.level=WARN",
        ]
        environment = {"KUBECONFIG": str(self._kubeconfig), "HOME": str(self.folder)}
        self._child = Child("traefik", argv, self.folder / "traefik.log", environment)
        self._child.wait_until(answers(f"http://{self.metrics}/ping"), "answers pings")

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()


@contextlib.contextmanager
def traefik(folder: Path, kubeconfig: Path) -> Iterator[Traefik]:
    """A running Traefik that reads its routes as the user of `kubeconfig`."""
    with _running(Traefik(folder, kubeconfig)) as server:
        yield server


@contextlib.contextmanager
def traefik_gateway(folder: Path, plane: ControlPlane) -> Iterator[Traefik]:
    """A running Traefik with a Gateway in the namespace CLASS, which it makes."""
    server = Traefik(folder, plane.kubeconfig(), GATEWAY)
    gateway.make(plane, folder, CLASS, CONTROLLER, server.port)
    with _running(server):
        yield server


@contextlib.contextmanager
def _running(server: Traefik) -> Iterator[Traefik]:
    try:
        server.start()
        yield server
    finally:
        server.stop()
