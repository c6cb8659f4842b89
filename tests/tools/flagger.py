"""The Flagger that is replaced, for tests that hand over to it: found, else built once from its
Go module. Its version is pinned by flagger/go.mod and go.sum: the one of the recorded runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.servers.process import ServerError
from tests.tools.build import environment, go

MODULE = Path(__file__).parent / "flagger"
PACKAGE = "github.com/fluxcd/flagger/cmd/flagger"
FLAGS = ("-buildvcs=false", "-ldflags=-s -w")


def program() -> Path:
    """SERINUS_FLAGGER, else the program in the cache; built first where it is missing (three
    minutes on two cores). Raises ServerError that names what is missing."""
    if named := os.environ.get("SERINUS_FLAGGER"):
        return Path(named)
    folder = _cache()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = folder / "flagger"
        if not found.exists():
            _build(found)
    return found


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    pins = b"".join((MODULE / part).read_bytes() for part in ("go.mod", "go.sum"))
    digest = hashlib.sha256(pins + repr((PACKAGE, FLAGS)).encode()).hexdigest()
    return Path(base) / "serinus" / "tools" / digest[:16]


def _build(target: Path) -> None:
    print(f"building flagger (once; kept in {target.parent})", file=sys.stderr, flush=True)
    scratch = target.with_name("building")
    done = subprocess.run(
        ["nice", go(), "build", *FLAGS, "-o", str(scratch), PACKAGE],
        cwd=MODULE, env=environment(), text=True, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ServerError(f"go build of flagger: exit {done.returncode}\n{done.stderr[-3000:]}")
    scratch.replace(target)


if __name__ == "__main__":
    print(program())
