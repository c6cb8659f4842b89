"""The version before this one: its chart, and what its images are made from."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.images import ROOT, SERVICES, Image, of_service
from tests.tools.helm import CHART

# Before the first release: a commit with definitions, rights, users of NATS and services that have
# changed since, under a number of its own.
COMMIT = "7d84f5b58203ea4538171f749f4cc8ec89ce7536"
NUMBER = "0.0.9"
TREE = ("deploy", "libs", "services", "requirements.lock")


@dataclass(frozen=True)
class Previous:
    """`images` are those of its services; `words` say which version it is."""

    chart: Path
    images: dict[str, Image]
    words: str


def previous(folder: Path) -> Previous:
    """Lays the newest release out in an empty folder.

    A clone without its history has neither release nor commit. There today's chart goes by the
    older number, with today's images: everything is replaced in an upgrade, but nothing changes.
    """
    release = _git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*").stdout.strip()
    archive = folder / "tree.tar"
    made = _git("archive", f"--output={archive}", release or COMMIT, *TREE)
    if made.returncode:
        chart = folder / "chart"
        shutil.copytree(CHART, chart)
        _number(chart)
        return Previous(chart, {}, f"today's as {NUMBER}, as {made.stderr.strip()}")
    shutil.unpack_archive(archive, folder, filter="data")
    chart = folder / "deploy" / "chart"
    if not release:
        _number(chart)
    images = {name: of_service(name, folder, "previous-") for name in SERVICES}
    return Previous(chart, images, release or f"commit {COMMIT[:12]} as {NUMBER}")


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    argv = ["git", "-C", str(ROOT), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def _number(chart: Path) -> None:
    file = chart / "Chart.yaml"
    numbered = re.compile(r"^(version|appVersion): .*", re.MULTILINE)
    file.write_text(numbered.sub(rf"\1: {NUMBER}", file.read_text("utf-8")))
