"""The real Traefik, with its routes from an API server by its own Kubernetes provider."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import Child, answers, free_ports, of_the_environment


class Traefik:
    """A running Traefik: `url` takes traffic, `metrics` (host:port) is for scraping."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        self.folder = folder
        self._kubeconfig = kubeconfig
        self._web, self._admin = free_ports(2)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._web}"

    @property
    def metrics(self) -> str:
        return f"127.0.0.1:{self._admin}"

    def start(self) -> None:
        """Returns when it listens; routes follow when it has read them. Raises ServerError."""
        argv = [
            of_the_environment("traefik"),
            f"--entrypoints.web.address=127.0.0.1:{self._web}",
            f"--entrypoints.traefik.address={self.metrics}",
            "--ping=true",
            "--providers.kubernetescrd=true",
            "--providers.kubernetescrd.allowexternalnameservices=true",
            "--providers.kubernetescrd.throttleduration=100ms",
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
    server = Traefik(folder, kubeconfig)
    try:
        server.start()
        yield server
    finally:
        server.stop()
