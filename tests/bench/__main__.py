"""Benchmarks: counts and ratios first, beside Flagger's figures and the targets.

    python -m tests.bench                 everything (more than an hour)
    python -m tests.bench core small ...  some suites
    python -m tests.bench judge           how judges tell good releases from bad, as a table
    python -m tests.bench judge --write   the same, put into docs/judge.md
    python -m tests.bench --table         the table of all suites that were run here
    python -m tests.bench --write         the same, put into docs/benchmarks.md

Exit status 1 when a row misses its target. Times depend on how quiet the machine is; counts do not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec
from tests.bench import core, fleet, judge, scenarios, sources, voice
from tests.bench.scenarios import note
from tests.bench.stage import Stage, stage
from tests.bench.table import Row, markdown

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "bench"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
MARKS = re.compile(r"(<!-- table -->\n).*(\n<!-- end of table -->)", re.DOTALL)

Play = Callable[[Stage], Awaitable[list[Row]]]

# These need no control plane.
ALONE: dict[str, Callable[[], list[Row]]] = {
    "core": core.rows,
    "judge": judge.promises,
    "sources": sources.rows,
    "voice": voice.rows,
    "fleet": fleet.rows,
}
# What is played one after another on one stage.
SUITES: dict[str, Sequence[Play]] = {
    "small": (
        lambda on: scenarios.idle(on, 100, 3),
        lambda on: scenarios.start(on, 100),
        lambda on: scenarios.detection(on, 120, 20, 50),
    ),
    "releases": (
        lambda on: scenarios.rollouts(on, 50),
        lambda on: scenarios.step(on, 20),
    ),
    "faults": (
        lambda on: scenarios.rollback(on, 20),
        lambda on: scenarios.killed(on, 50),
    ),
    "large": (
        lambda on: scenarios.idle(on, 1000, 1),
        lambda on: scenarios.start(on, 1000),
        lambda on: scenarios.detection(on, 1000, 20, 50),
    ),
    # As many steps in a second as two cores carry, beside an API server; and as many rollouts.
    "crowd": (lambda on: scenarios.crowd(on, 600, 10),),
    "thousand": (lambda on: scenarios.crowd(on, 1000, 20),),
    "endurance": (lambda on: scenarios.endurance(on, 100, 100),),
}


async def play(name: str) -> AsyncIterator[list[Row]]:
    """The rows of each scenario of a suite."""
    folder = Path(os.environ.get("BENCH_FOLDER") or tempfile.mkdtemp(prefix="serinus-bench-"))
    note(f"files in {folder}")
    async with stage(folder) as on:
        for scenario in SUITES[name]:
            yield await scenario(on)


def run(name: str) -> list[Row]:
    """All rows of a suite; what there is of them is kept, whatever comes later."""
    KEPT.mkdir(parents=True, exist_ok=True)
    alone = ALONE.get(name)
    return _keep(name, alone()) if alone else asyncio.run(_played(name))


async def _played(name: str) -> list[Row]:
    rows: list[Row] = []
    async with aclosing(play(name)) as played:
        async for found in played:
            rows = _keep(name, [*rows, *found])
    return rows


def _keep(name: str, rows: list[Row]) -> list[Row]:
    (KEPT / f"{name}.json").write_bytes(msgspec.json.encode(rows))
    return rows


def kept() -> list[Row]:
    """The rows of every suite that was run here, in the order of the suites."""
    found = (KEPT / f"{name}.json" for name in (*ALONE, *SUITES))
    bodies = [path.read_bytes() for path in found if path.exists()]
    return [row for body in bodies for row in msgspec.json.decode(body, type=list[Row])]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "suites", nargs="*", help=f"{', '.join((*ALONE, *SUITES))}; none: all of them"
    )
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--write", action="store_true", help="run nothing, write the document")
    chosen = parser.parse_args(argv)
    if chosen.write and chosen.suites == ["judge"]:
        judge.write(MARKS)
        return 0
    unknown = set(chosen.suites) - {*ALONE, *SUITES}
    if unknown:
        parser.error(f"unknown suites: {', '.join(sorted(unknown))}")
    if chosen.table or chosen.write:
        rows = kept()
    else:
        rows = [row for name in chosen.suites or (*ALONE, *SUITES) for row in run(name)]
    if chosen.write:
        text = MARKS.sub(lambda found: found[1] + markdown(rows) + found[2], DOCUMENT.read_text())
        DOCUMENT.write_text(text)
    print(markdown(rows))
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
