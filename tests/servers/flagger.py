"""The real Flagger, as the operator before or after us."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import Child, answers, free_ports
from tests.tools.flagger import program

USER = "flagger"


@contextlib.contextmanager
def flagger(folder: Path, kubeconfig: Path, namespace: str, metrics: str) -> Iterator[Child]:
    """Works on the canaries of one namespace for as long as the block runs. Raises ServerError."""
    [port] = free_ports(1)
    argv: list[str | Path] = [
        program(),
        f"-kubeconfig={kubeconfig}",
        f"-namespace={namespace}",
        f"-metrics-server={metrics}",
        f"-port={port}",
        "-control-loop-interval=1s",
    ]
    child = Child("flagger", argv, folder / "flagger.log")
    try:
        child.wait_until(answers(f"http://127.0.0.1:{port}/healthz"), "answers")
        yield child
    finally:
        child.stop()
