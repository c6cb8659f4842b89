"""All generators together, and what is on disk compared with what they say."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.gen import (
    catalogs,
    catalogue,
    chart,
    compatibility,
    crds,
    dashboards,
    fields,
    goldens,
    images,
    messages,
    phases,
    rbac,
    schemas,
    settings,
    subjects,
)
from tests.gen.pages import book

ROOT = Path(__file__).resolve().parents[2]

Generator = Callable[[], Mapping[str, str]]
GENERATORS: tuple[Generator, ...] = (
    crds.files,
    fields.files,
    schemas.files,
    subjects.files,
    catalogue.files,
    settings.files,
    compatibility.files,
    images.files,
    catalogs.files,
    phases.files,
    goldens.files,
    messages.files,
    rbac.files,
    chart.files,
    dashboards.files,
    book.files,
)

# Folders in which every file of this ending is generated; a file nobody generates is left over.
OWNED: tuple[str, ...] = (
    f"{crds.FOLDER}/*.yaml",
    f"{schemas.FOLDER}/*.json",
    f"{images.FOLDER}/*.txt",
    f"{dashboards.FOLDER}/*.json",
    f"{goldens.FOLDER}/*/*.yaml",
    f"{messages.FOLDER}/*.yaml",
    *(f"docs/{folder}/*.md" for folder in book.FOLDERS),
)


@cache
def generated() -> Mapping[str, str]:
    """Every derived file by its path from the root. Raises ValueError where two claim a path."""
    made: dict[str, str] = {}
    for generator in GENERATORS:
        for path, text in generator().items():
            if path in made:
                raise ValueError(f"two generators write {path}")
            made[path] = text
    return made


def stale(root: Path = ROOT) -> dict[str, str]:
    """Paths whose file differs from what is generated, each with the difference as text."""
    made = generated()
    found = {path: _difference(root / path, path, text) for path, text in made.items()}
    found |= {path: f"{path}: nobody generates this file\n" for path in _left_over(root, made)}
    return {path: difference for path, difference in found.items() if difference}


def write(root: Path = ROOT) -> list[str]:
    """Brings the files up to date and returns the paths that changed."""
    changed = sorted(stale(root))
    made = generated()
    for path in changed:
        target = root / path
        if path not in made:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(made[path], encoding="utf-8")
    return changed


def main(arguments: Sequence[str]) -> int:
    """Exit status 0 when every file is (now) fresh, 1 when `--check` found a stale one."""
    parser = argparse.ArgumentParser(prog="python -m tests.gen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, show differences")
    if parser.parse_args(arguments).check:
        differences = stale()
        for difference in differences.values():
            print(difference, end="")
        if differences:
            print(f"stale: {', '.join(sorted(differences))}; run: make gen")
        return 1 if differences else 0
    for path in write():
        print(f"wrote {path}")
    return 0


def _left_over(root: Path, made: Mapping[str, str]) -> list[str]:
    there = (p.relative_to(root).as_posix() for pattern in OWNED for p in root.glob(pattern))
    return [path for path in there if path not in made]


def _difference(file: Path, path: str, text: str) -> str:
    old = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), text.splitlines(keepends=True), path, f"{path} (generated)"
    )
    return "".join(lines)
