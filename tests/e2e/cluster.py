"""The cluster of the tests: the one of KUBECONFIG, else one that `../shared/cluster` brings up."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.shared import Shared
from tests.servers.process import ServerError

LOAD = "SERINUS_TEST_LOAD_IMAGE"
LOAD_S = 300

_NO_CLUSTER = f"""\
missing: a Kubernetes cluster that may be changed at will. Either
- set KUBECONFIG to one's kubeconfig, and {LOAD} to a command that takes the path of an image
  archive and brings it to the nodes ("kind load image-archive", "k3d image import", a script), or
- have ../shared/cluster beside the repository, and be root: it brings one up by itself."""


@dataclass(frozen=True)
class Cluster:
    """`load` brings an image archive to its nodes."""

    kubeconfig: Path
    load: Callable[[Path], None]


@contextlib.contextmanager
def cluster(shared: Shared | None) -> Iterator[Cluster]:
    """A running cluster; one that was started for this is stopped at the end.

    Two runs on one machine would be in each other's way: the second waits for the first. Raises
    ServerError that says what is missing.
    """
    with _alone():
        yield from _running(shared)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "serinus"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "e2e.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _running(shared: Shared | None) -> Iterator[Cluster]:
    named = os.environ.get("KUBECONFIG", "")
    if named:
        path = Path(named)
        if not path.is_file():
            raise ServerError(f"KUBECONFIG={named}: no such file")
        yield Cluster(path, _loader(path, shared))
        return
    if shared is None or os.geteuid() != 0:
        raise ServerError(_NO_CLUSTER)
    was_up = shared.is_up()
    path = Path(shared.up())
    try:
        yield Cluster(path, shared.load_image)
    finally:
        if not was_up:
            shared.down()


def _loader(kubeconfig: Path, shared: Shared | None) -> Callable[[Path], None]:
    command = os.environ.get(LOAD, "")
    if command:
        return lambda archive: _load(command, archive)
    if shared is not None and shared.is_up() and Path(shared.up()).samefile(kubeconfig):
        return shared.load_image
    raise ServerError(f"missing: {LOAD}, as images must get to the nodes of the cluster of "
                      f"KUBECONFIG={kubeconfig}.\n{_NO_CLUSTER}")  # fmt: skip


def _load(command: str, archive: Path) -> None:
    argv = [*shlex.split(command), str(archive)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LOAD_S)
    if done.returncode:
        raise ServerError(f"{shlex.join(argv)}: exit {done.returncode}\n{done.stderr[-2000:]}")
