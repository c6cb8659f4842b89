"""A built-in check that is judged by comparing the canary with the primary: queries and verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct

from serinus.analyzer.core.observers import OBSERVERS, Matcher
from serinus.analyzer.core.queries import (
    COMPARABLE,
    DURATION,
    SUCCESS_RATE,
    Names,
    Side,
    selection,
)
from serinus.analyzer.core.rollout import Table
from serinus.analyzer.judge.histograms import Histogram, compare_histograms, quantile
from serinus.analyzer.judge.mannwhitney import classify
from serinus.analyzer.judge.proportions import Batch, Finding, compare
from serinus.events.canary import MetricJudge

SLOW = 0.99
SIDES: tuple[Side, Side] = ("canary", "primary")


class Verdict(Struct, frozen=True, kw_only=True):
    """What a comparison came to.

    worse    the canary is; None: there is nothing to compare yet
    value    the effect: a ratio (sequential), or a shift in the metric's unit (mann-whitney)
    samples  requests of the canary, or its values
    finding  effect, interval, samples and error probability in words
    """

    worse: bool | None
    value: float = 0.0
    samples: float = 0.0
    finding: str = ""


def columns(observer: str, names: Names, check: str, window: str) -> Mapping[str, str]:
    """The queries of both sides: growth per window. {} where the primary's series are not known."""
    if observer not in COMPARABLE or (check == DURATION and OBSERVERS[observer].average):
        return {}
    found = {}
    for side in SIDES:
        chosen = selection(observer, names, side)
        if check == SUCCESS_RATE:
            every = chosen.requests + _labels(chosen.every)
            good = chosen.requests + _labels((*chosen.every, chosen.ok))
            found[f"{side}:all"] = f"sum(increase({every}[{window}]))"
            found[f"{side}:good"] = f"sum(increase({good}[{window}]))"
        else:
            timed = chosen.latency + _labels(chosen.timed)
            found[f"{side}:*"] = f"sum(increase({timed}[{window}])) by (le)"
    return found


def _labels(matchers: tuple[Matcher, ...]) -> str:
    return "{" + ", ".join(str(matcher) for matcher in matchers) + "}"


def verdict(judge: MetricJudge, check: str, observer: str, table: Table) -> Verdict:
    """What the table says of the canary."""
    if check == SUCCESS_RATE:
        batches = _batches(table)
        if judge.kind == "sequential":
            return _counted(judge, batches)
        used = [b for b in batches if b.canary > 0 and b.primary > 0]
        bad = [b.canary_bad / b.canary * 100 for b in used]
        others = [b.primary_bad / b.primary * 100 for b in used]
        return _ranked(judge, bad, others, "% bad requests")
    to_ms = OBSERVERS[observer].scale * OBSERVERS[observer].factor
    bounds, intervals = _intervals(table)
    if judge.kind == "sequential":
        return _timed(judge, bounds, intervals, to_ms)
    ours, theirs = (
        [quantile(SLOW, bounds, counts) * to_ms for counts in side]
        for side in ([h.canary for h in intervals], [h.primary for h in intervals])
    )
    return _ranked(judge, ours, theirs, "ms")


def _batches(table: Table) -> list[Batch]:
    """Counts per window; no good request at all is a series that does not exist yet."""
    names = ("canary:all", "canary:good", "primary:all", "primary:good")
    rows = zip(*(table.columns.get(name, ()) for name in names), strict=False)
    found = []
    for canary, good, primary, other in rows:
        n, m, k, j = (_count(value) for value in (canary, primary, good, other))
        found.append(Batch(n, max(0.0, n - k), m, max(0.0, m - j)))
    return found


def _count(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else 0.0


def _intervals(table: Table) -> tuple[list[float], list[Histogram]]:
    """The bounds that both sides have, and the counts up to each of them per window."""
    by_side: list[dict[float, tuple[float | None, ...]]] = [{}, {}]
    for name, values in table.columns.items():
        side, _, bound = name.partition(":")
        try:
            by_side[side == "primary"][float(bound)] = values
        except ValueError:
            continue
    bounds = sorted(by_side[0].keys() & by_side[1].keys())
    sides = [
        list(zip(*([_count(value) for value in one[b]] for b in bounds), strict=False))
        for one in by_side
    ]
    return bounds, [Histogram(c, p) for c, p in zip(*sides, strict=False)]


def _counted(judge: MetricJudge, batches: list[Batch]) -> Verdict:
    found = compare(batches, alpha=judge.error_probability, tolerated=judge.tolerated)
    return _sequential(judge, found, found.evidence, "bad requests")


def _timed(
    judge: MetricJudge, bounds: list[float], intervals: list[Histogram], to_ms: int
) -> Verdict:
    slower = compare_histograms(
        bounds, intervals, alpha=judge.error_probability, tolerated=judge.tolerated
    )
    if slower is None:
        return Verdict(worse=None)
    what = f"requests over {slower.bound * to_ms:.0f}ms"
    return _sequential(judge, slower.finding, slower.evidence, what)


def _sequential(judge: MetricJudge, found: Finding, evidence: float, what: str) -> Verdict:
    if not found.canary or not found.primary:
        return Verdict(worse=None)
    ratio = found.ratio if math.isfinite(found.ratio) else found.at_least
    times = "at least " if not math.isfinite(found.ratio) else ""
    text = (
        f"{times}{ratio:.2f} times the primary's share of {what} (at least {found.at_least:.2f}), "
        f"{found.canary_bad:.0f} of {found.canary:.0f} against {found.primary_bad:.0f} of "
        f"{found.primary:.0f}, error probability {min(1.0, 1 / evidence):.2g}"
    )
    worse = evidence >= 1 / judge.error_probability
    return Verdict(worse=worse, value=ratio, samples=found.canary, finding=text)


def _ranked(judge: MetricJudge, ours: list[float], others: list[float], unit: str) -> Verdict:
    shift = classify(ours, others, tolerance=judge.tolerance, confidence=judge.confidence)
    if shift.label == "no-data":
        return Verdict(worse=None)
    text = (
        f"shifted by {shift.estimate:.2f} {unit} against the primary "
        f"({shift.low:.2f} to {shift.high:.2f} at {judge.confidence:.0%}), "
        f"{shift.canary} against {shift.primary} values, p {shift.p:.2g}"
    )
    return Verdict(
        worse=shift.label == "high", value=shift.estimate, samples=shift.canary, finding=text
    )
