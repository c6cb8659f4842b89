"""The command `helm`, as people use it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.servers.process import ServerError
from tests.tools import build

CHART = Path(__file__).resolve().parents[2] / "deploy" / "chart"
COMMAND_S = 400


def helm(*words: str, kubeconfig: Path | None = None) -> str:
    """What it prints. Raises ServerError with what it complained about.

    Without a kubeconfig it sees no cluster, whatever the environment names.
    """
    done = subprocess.run(
        [str(build.tool("helm")), *words],
        env=os.environ | {"KUBECONFIG": str(kubeconfig or os.devnull)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_S,
    )
    if done.returncode:
        raise ServerError(f"helm {' '.join(words)}: {done.stderr.strip()}\n{done.stdout[-3000:]}")
    return done.stdout
