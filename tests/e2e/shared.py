"""`../shared/cluster`, which brings up a real Kubernetes from package registries. Optional."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers.process import ServerError

SCRIPT = Path(__file__).resolve().parents[3] / "shared" / "cluster" / "cluster.py"
COMMAND_S = 1800  # the first `up` builds Kubernetes


class Shared:
    """Its commands. Each raises ServerError with the end of what the command said."""

    @classmethod
    def find(cls) -> Shared | None:
        """None where it does not lie beside the repository."""
        return cls() if SCRIPT.exists() else None

    def is_up(self, *kind: str) -> bool:
        """`kind`: --engine, or nothing for a node."""
        return _call("status", *kind, check=False).returncode == 0

    def up(self, *kind: str) -> str:
        """Starts it if need be; the path of its kubeconfig, or the DOCKER_HOST of an engine."""
        return _last(_call("up", *kind))

    def environment(self, *kind: str) -> dict[str, str]:
        """The variables by which clients find it."""
        lines = _call("env", *kind).stdout.splitlines()
        pairs = (line.removeprefix("export ").partition("=") for line in lines)
        return {name: value for name, _, value in pairs if name != "PATH"}

    def down(self, *kind: str) -> None:
        _call("down", *kind)

    def process(self, program: str) -> int:
        """The id of a running program of the node, e.g. kube-apiserver. Raises ServerError."""
        for line in _call("status").stdout.splitlines():
            match line.split():
                case ["process", pid, name] if name == program:
                    return int(pid)
        raise ServerError(f"the node of {SCRIPT} runs no {program}")

    def build_image(self, base: str, words: Sequence[str]) -> Path:
        """The archive of what was built; the base image is made first where there is none."""
        argv = ("build-image", "--no-load", *words)
        done = _call(*argv, check=False)
        if done.returncode and f"initializing source docker://{base}" in done.stderr:
            _call("base-image", "--tag", base)
            done = _call(*argv, check=False)
        _check(done)
        return Path(_last(done))

    def load_image(self, archive: Path, *kind: str) -> None:
        _call("load-image", *kind, str(archive))


def _call(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_S,
    )
    if check:
        _check(done)
    return done


def _check(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise ServerError(
            f"{' '.join(done.args[1:])}: exit {done.returncode}\n{done.stderr[-3000:]}"
        )


def _last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.strip().splitlines()[-1]
