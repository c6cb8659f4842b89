"""The real Skipper, with its routes from an API server by its own Kubernetes client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers.control_plane import ControlPlane
from tests.servers.process import Child, answers, free_ports
from tests.tools import build


class Skipper:
    """A running Skipper: `url` takes traffic."""

    def __init__(self, folder: Path, plane: ControlPlane) -> None:
        self.folder = folder
        self._plane = plane
        self._web, self._support = free_ports(2)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._web}"

    def start(self) -> None:
        """Returns when it answers; routes follow when it has read them. Raises ServerError."""
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(self._plane.token())
        argv = [
            build.tool("skipper"),
            f"-address=127.0.0.1:{self._web}",
            f"-support-listener=127.0.0.1:{self._support}",
            "-kubernetes",
            f"-kubernetes-url={self._plane.server}",
            f"-kubernetes-token-file={token}",
            "-kubernetes-https-redirect=false",
            "-enable-kubernetes-endpointslices",
            "-wait-first-route-load",
            "-source-poll-timeout=200",
            "-access-log-disabled",
            "-application-log-level=WARN",
        ]
        environment = {"SSL_CERT_FILE": str(self._plane.certificate), "HOME": str(self.folder)}
        self._child = Child("skipper", argv, self.folder / "skipper.log", environment)
        self._child.wait_until(answers(f"{self.url}/kube-system/healthz"), "answers")

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()


@contextlib.contextmanager
def skipper(folder: Path, plane: ControlPlane) -> Iterator[Skipper]:
    """A running Skipper that reads its routes as the administrator of `plane`."""
    server = Skipper(folder, plane)
    try:
        server.start()
        yield server
    finally:
        server.stop()
