"""The real Contour with a real Envoy: HTTPProxies, or HTTPRoutes of one Gateway."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.servers import gateway
from tests.servers.control_plane import ControlPlane
from tests.servers.envoy import envoy
from tests.servers.process import Child, answers, free_ports
from tests.tools import build

CLASS = "contour"
CONTROLLER = "projectcontour.io/gateway-controller"
# Kinds that no test needs, some of them in versions that other data planes do not have.
WITHOUT = ("extensionservices", "tlsroutes", "tcproutes", "grpcroutes", "backendtlspolicies")


class Contour:
    """A running Contour and its Envoy: `url` takes traffic.

    With `has_gateway` it serves the routes of a Gateway in the namespace CLASS, which it makes.
    """

    def __init__(self, folder: Path, plane: ControlPlane, *, has_gateway: bool) -> None:
        self.folder = folder
        self._plane = plane
        self._has_gateway = has_gateway
        self._web, self._xds, self._stats, self._health, self._metrics = free_ports(5)
        self._program = build.tool("contour")
        self._children: list[Child] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._web}"

    def start(self) -> None:
        """Returns when Envoy has its listeners; routes follow. Raises ServerError."""
        config = self.folder / "contour.json"
        config.write_text(json.dumps(self._whose_routes()))
        local = "127.0.0.1"
        argv = [
            self._program,
            "serve",
            f"--config-path={config}",
            f"--kubeconfig={self._plane.kubeconfig()}",
            "--insecure",
            "--disable-leader-election",
            f"--xds-address={local}",
            f"--xds-port={self._xds}",
            f"--envoy-service-http-address={local}",
            f"--envoy-service-http-port={self._web}",
            f"--stats-address={local}",
            f"--stats-port={self._stats}",
            f"--health-address={local}",
            f"--health-port={self._health}",
            f"--http-address={local}",
            f"--http-port={self._metrics}",
            f"--debug-http-port={free_ports(1)[0]}",
            *(f"--disable-feature={kind}" for kind in WITHOUT),
        ]
        contour = Child("contour", argv, self.folder / "contour.log", {"HOME": str(self.folder)})
        self._children.append(contour)
        contour.wait_until(answers(f"http://{local}:{self._health}/healthz"), "is healthy")
        ready = f"http://{local}:{self._stats}/ready"
        self._children.append(envoy(self.folder, self._bootstrap(), ready))

    def stop(self) -> None:
        for child in reversed(self._children):
            child.kill()

    def _bootstrap(self) -> Path:
        file = self.folder / "bootstrap.json"
        argv = [
            str(self._program),
            "bootstrap",
            str(file),
            "--xds-address=127.0.0.1",
            f"--xds-port={self._xds}",
            f"--admin-address={self.folder / 'admin.sock'}",
        ]
        subprocess.run(argv, check=True, capture_output=True, timeout=30)
        return file

    def _whose_routes(self) -> dict[str, object]:
        if not self._has_gateway:
            return {}
        # Envoy listens 8000 ports above the Gateway's.
        gateway.make(self._plane, self.folder, CLASS, CONTROLLER, self._web - 8000)
        return {"gateway": {"gatewayRef": {"namespace": CLASS, "name": gateway.NAME}}}


@contextlib.contextmanager
def contour(folder: Path, plane: ControlPlane, *, has_gateway: bool = False) -> Iterator[Contour]:
    """A running Contour that reads its routes as the administrator of `plane`."""
    server = Contour(folder, plane, has_gateway=has_gateway)
    try:
        server.start()
        yield server
    finally:
        server.stop()
