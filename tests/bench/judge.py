"""How well judges tell good releases from bad ones: the table in docs/judge.md.

Every judge looks at every interval of every release of the corpus (tests/corpus/releases.py) and
may roll it back at any look. `caught` of good releases is false rollbacks.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct
from tests.bench.table import Row, at_most
from tests.corpus.recorded import recordings
from tests.corpus.releases import BOUNDS, INTERVAL_S, Interval, World, release

from serinus.analyzer.judge.histograms import compare_histograms
from serinus.analyzer.judge.mannwhitney import classify
from serinus.analyzer.judge.proportions import log_evidence

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "judge.md"
ALPHA = 0.01
FIXED_SUCCESS = 0.97
FIXED_CHECKS = 3
# Looks at whole histograms are dear in a table of thousands of releases.
LATENCY_LOOKS = (1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48, 60)

Judge = Callable[[list[Interval]], bool]


def sequential(seen: list[Interval]) -> bool:
    return log_evidence([i.errors for i in seen], 1.0) >= math.log(1 / ALPHA)


def sequential_latency(seen: list[Interval]) -> bool:
    if len(seen) not in LATENCY_LOOKS:
        return False
    found = compare_histograms(BOUNDS, [i.durations for i in seen], alpha=ALPHA)
    return found is not None and found.evidence >= 1 / ALPHA


def mann_whitney(seen: list[Interval]) -> bool:
    """Kayenta's defaults on shares of bad requests per interval."""
    used = [i.errors for i in seen if i.errors.canary and i.errors.primary]
    canary = [e.canary_bad / e.canary for e in used]
    return classify(canary, [e.primary_bad / e.primary for e in used]).label == "high"


def fixed(seen: list[Interval]) -> bool:
    """Flagger's way: so many intervals below a success rate of 97 %."""
    rates = [1 - i.errors.canary_bad / i.errors.canary for i in seen if i.errors.canary]
    return sum(rate < FIXED_SUCCESS for rate in rates) >= FIXED_CHECKS


JUDGES: dict[str, Judge] = {
    "sequential": sequential,
    "mann-whitney": mann_whitney,
    "fixed 97 %, 3 times": fixed,
}
TROUBLED = World(outliers=0.1, share=0.2)
GOOD = (World(rate=0.001), World(), World(rate=0.03), World(share=0.5), TROUBLED)
RUNS = 100
BAD = (
    World(ratio=5),
    World(ratio=5, rate=0.03),
    World(ratio=5, share=0.2),
    World(ratio=3, share=0.2),
)


class Score(Struct, frozen=True):
    """Of `runs` releases `caught` were rolled back, in the median after so many seconds."""

    runs: int
    caught: int
    median_s: float


@cache
def score(judge: Judge, world: World, runs: int) -> Score:
    times = [at for seed in range(runs) if (at := rolled_back_at(judge, world, seed)) is not None]
    return Score(runs, len(times), statistics.median(times) if times else math.nan)


def rolled_back_at(judge: Judge, world: World, seed: int) -> int | None:
    """Seconds from the first request to the rollback; None: it was promoted."""
    return caught_at(judge, release(world, seed))


def caught_at(judge: Judge, intervals: Iterable[Interval | None]) -> int | None:
    """The same, of any release."""
    seen: list[Interval] = []
    for index, interval in enumerate(intervals, 1):
        if interval is None:
            continue
        seen.append(interval)
        if judge(seen):
            return index * INTERVAL_S
    return None


def rows(runs: int) -> Iterator[str]:
    """The table as Markdown."""
    yield "| judge | releases | rolled back | median time |"
    yield "|---|---|---|---|"
    for name, judge in JUDGES.items():
        totals = []
        for kind, worlds in (("good", GOOD), ("bad", BAD)):
            scores = [score(judge, world, runs) for world in worlds]
            for world, one in zip(worlds, scores, strict=True):
                yield _row(name, _words(kind, world), one)
            totals.append((sum(s.caught for s in scores), sum(s.runs for s in scores)))
        (false, good), (found, bad) = totals
        precision = found / (found + false) if found + false else math.nan
        yield (
            f"| {name} | **all** | false {false / good:.2%}, precision {precision:.1%}, "
            f"recall {found / bad:.1%} | |"
        )
    for world in (World(), World(slowdown=1.5), World(slowdown=1.25)):
        words = f"good: {_slow(world)}" if world.slowdown == 1 else f"bad: {_slow(world)}"
        yield _row("sequential, latency", words, score(sequential_latency, world, runs // 5))
    for rate in (0.001, 0.01):
        world = World(rate=rate, ratio=2)
        yield _row(
            "sequential", _words("small regression", world), score(sequential, world, runs // 5)
        )
    yield from recorded_rows()


def recorded_rows() -> Iterator[str]:
    """What the judges make of the releases that the real proxy counted."""
    for name, judge in JUDGES.items():
        for kind in ("good", "bad"):
            yield _row(name, f"recorded: {kind}", recorded_score(judge, kind))
    yield _row("sequential, latency", "recorded: as fast", recorded_score(latency, "good", "bad"))
    yield _row("sequential, latency", "recorded: 150 ms slower", recorded_score(latency, "slow"))


def recorded_score(judge: Judge, *kinds: str) -> Score:
    found = [caught_at(judge, r.intervals()) for r in recordings() if r.kind in kinds]
    times = [at for at in found if at is not None]
    return Score(len(found), len(times), statistics.median(times) if times else math.nan)


def latency(seen: list[Interval]) -> bool:
    """At the bounds of the proxy's histograms."""
    bounds = recordings()[0].limits
    found = compare_histograms(bounds, [i.durations for i in seen], alpha=ALPHA)
    return found is not None and found.evidence >= 1 / ALPHA


def _row(judge: str, words: str, one: Score) -> str:
    seconds = "–" if math.isnan(one.median_s) else f"{one.median_s:.0f} s"
    return f"| {judge} | {words} | {one.caught} of {one.runs} | {seconds} |"


def _words(kind: str, world: World) -> str:
    times = "" if world.ratio == 1 else f", {world.ratio:g} times in the canary"
    pods = ", many pods in trouble" if world.outliers > 0.05 else ""
    return f"{kind}: {world.rate:.1%} errors{times}, {world.share:.0%} of traffic{pods}"


def _slow(world: World) -> str:
    return f"{world.slowdown:g} times as slow, {world.share:.0%} of traffic"


def promises() -> list[Row]:
    """Prints the table, and says whether the sequential judge keeps its word on the corpus."""
    for line in rows(RUNS):
        print(line, flush=True)
    good, bad = ([score(sequential, w, RUNS) for w in worlds] for worlds in (GOOD, BAD))
    false, found = (sum(one.caught for one in scores) for scores in (good, bad))
    every = sum(one.runs for one in bad)
    fivefold = score(sequential, World(ratio=5), RUNS)
    judge = "sequential judge: "
    return [
        at_most(f"{judge}good releases rolled back", 100 * false / (RUNS * len(GOOD)), 1, " %"),
        at_most(f"{judge}rollbacks that were wrong", 100 * false / (false + found), 5, " %"),
        at_most(f"{judge}bad releases missed", 100 * (every - found) / every, 1, " %"),
        at_most(f"{judge}5 times the errors at 5 % of 100/s, p50", fivefold.median_s, 60, " s"),
    ]


def write(marks: re.Pattern[str]) -> None:
    """Puts the table into its document."""
    table = "\n".join(rows(RUNS))
    text = marks.sub(lambda found: found[1] + table + found[2], DOCUMENT.read_text())
    DOCUMENT.write_text(text)
