"""Images for the cluster: named by a hash of all they are made from, built only when that changes.

Built with `../shared/cluster` where that lies beside the repository, else with docker or podman.
Archives are kept under `${XDG_CACHE_HOME:-~/.cache}/serinus/images`, the newest of each name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.shared import Shared
from tests.servers.process import ServerError
from tests.tools import build, flagger

ROOT = Path(__file__).resolve().parents[2]
BASE = "SERINUS_TEST_BASE_IMAGE"
DEFAULT_BASE = "python:3.11-slim"
SERVICES = ("watcher", "analyzer", "router", "notifier", "loadtester")
# With what stands beside the ring.
PARTS = (*SERVICES, "coordinator")
BUILD_S = 900


@dataclass(frozen=True)
class Image:
    """One image. `inputs` are the files and folders below `root` that end up in it."""

    name: str
    dockerfile: str
    inputs: Sequence[str]
    target: str = ""
    arguments: Sequence[str] = field(default_factory=tuple)
    root: Path = ROOT

    @property
    def reference(self) -> str:
        """`repository:tag`; the tag is a hash of everything that it is built from."""
        digest = hashlib.sha256(repr((self.target, self.arguments, base())).encode())
        for path in (self.dockerfile, *self.inputs):
            for file in _files(self.root / path):
                digest.update(os.path.relpath(file, self.root).encode() + b"\0")
                digest.update(file.read_bytes())
        return f"serinus-e2e/{self.name}:{digest.hexdigest()[:16]}"


def base() -> str:
    """What all of them start from: an image with Python 3.11 or newer, pip and apt-get."""
    return os.environ.get(BASE, DEFAULT_BASE)


def every() -> dict[str, Image]:
    """Those of the suite, and what a cluster of users has: a bus, proxies, a metrics server,
    something to release, Flagger."""
    locked = ("requirements.lock", "deploy/docker/pick.py")
    inputs = {
        "nats": locked,
        "traefik": locked,
        "envoy": locked,
        "prometheus": (),
        "hello": ("libs/sandbox/src/serinus/sandbox/demoapp.py",),
    }
    surroundings = {
        name: Image(name, "tests/e2e/Dockerfile", files, target=name)
        for name, files in inputs.items()
    }
    programs = {"contour": build.tool("contour"), "flagger": flagger.program()}
    return {
        **{name: of_service(name) for name in PARTS},
        **surroundings,
        **{name: _of_program(name, path) for name, path in programs.items()},
    }


def _of_program(name: str, program: Path) -> Image:
    """Of one that was built from its Go module, alone."""
    dockerfile = str(ROOT / "tests/e2e/Dockerfile")
    arguments = (f"PROGRAM={program.name}",)
    return Image(name, dockerfile, (program.name,), "program", arguments, program.parent)


def of_service(name: str, root: Path = ROOT, prefix: str = "") -> Image:
    """A service of the suite, built from the tree at `root`; `prefix` tells trees apart."""
    lines = (root / f"deploy/docker/needs/{name}.txt").read_text("utf-8").splitlines()
    members = [line for line in lines if "/" in line and not line.startswith("#")]
    inputs = ("requirements.lock", "deploy/docker", *members)
    arguments = (f"SERVICE={name}",)
    return Image(prefix + name, "deploy/docker/Dockerfile", inputs, "", arguments, root)


def archive(image: Image, shared: Shared | None) -> Path:
    """The image as an archive that container engines load; built when there is none yet.

    Raises ServerError.
    """
    name, _, tag = image.reference.rpartition("/")[2].partition(":")
    kept = _cache() / name / tag
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = _build(image, shared)
        shutil.move(fresh, kept.with_suffix(".new"))
        for old in kept.parent.iterdir():
            if old.suffix != ".new":
                old.unlink()
        kept.with_suffix(".new").replace(kept)
    return kept


def _build(image: Image, shared: Shared | None) -> Path:
    words = ["--tag", image.reference, "--file", str(image.root / image.dockerfile)]
    words += ["--target", image.target] if image.target else []
    for argument in (f"BASE_IMAGE={base()}", *image.arguments):
        words += ["--build-arg", argument]
    if shared is not None:
        return shared.build_image(base(), [*words, str(image.root)])
    engine = shutil.which("docker") or shutil.which("podman")
    if engine is None:
        raise ServerError("missing: docker or podman, to build the images")
    _run([engine, "build", *words, str(image.root)])
    target = _cache() / f"{image.name}.saved"
    _run([engine, "save", "--output", str(target), image.reference])
    return target


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=BUILD_S)
    if done.returncode:
        raise ServerError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stderr[-3000:]}")


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "serinus" / "images"


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file):
            yield file
