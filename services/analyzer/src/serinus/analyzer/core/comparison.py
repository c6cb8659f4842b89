"""A metric that is judged by comparing the canary with the primary, or its baseline: the verdict.

In a table the other side's columns are called the primary's, whichever it is (`judging.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from serinus.analyzer.core.observers import OBSERVERS
from serinus.analyzer.core.queries import SIDES, SUCCESS_RATE, Side
from serinus.analyzer.core.rollout import Table
from serinus.analyzer.judge.histograms import Histogram, compare_histograms, quantile
from serinus.analyzer.judge.mannwhitney import Direction, Label, Sizes, classify
from serinus.analyzer.judge.proportions import Batch, Finding, compare
from serinus.events.canary import EffectSize, MetricJudge

SLOW = 0.99


class Verdict(Struct, frozen=True, kw_only=True):
    """What a comparison came to.

    worse    the canary is; None: there is nothing to compare yet, and `lack` says what is missing
    value    the effect: a ratio (sequential), or a shift in the metric's unit (mann-whitney)
    samples  events of the canary, or its values
    finding  effect, interval, samples and error probability in words
    label    what Kayenta would say (mann-whitney); `extreme`: bad enough for a critical metric
    """

    worse: bool | None
    value: float = 0.0
    samples: float = 0.0
    finding: str = ""
    lack: str = ""
    label: Label = "no-data"
    extreme: bool = False


def verdict(
    judge: MetricJudge, check: str, observer: str, table: Table, against: Side = "primary"
) -> Verdict:
    """What the table says of the canary. `check` is a built-in's name, "" for a query."""
    if check == "":
        if judge.kind == "sequential":
            return _events(judge, table, against)
        ours, others = (table.columns.get(f"{side}:value", ()) for side in SIDES)
        return _ranked(judge, ours, others, "", "either", against)
    if check == SUCCESS_RATE:
        batches = _batches(table)
        if judge.kind == "sequential":
            return _counted(judge, batches, "bad requests", against)
        bad = [_percent(b.canary_bad, b.canary) for b in batches]
        fails = [_percent(b.primary_bad, b.primary) for b in batches]
        return _ranked(judge, bad, fails, "% bad requests", "increase", against)
    to_ms = OBSERVERS[observer].scale * OBSERVERS[observer].factor
    bounds, intervals = _intervals(table)
    if judge.kind == "sequential":
        return _timed(judge, bounds, intervals, to_ms, against)
    slow, fast = (
        [quantile(SLOW, bounds, counts) * to_ms for counts in side]
        for side in ([h.canary for h in intervals], [h.primary for h in intervals])
    )
    return _ranked(judge, slow, fast, "ms", "increase", against)


def _percent(part: float, whole: float) -> float | None:
    return part / whole * 100 if whole > 0 else None


def _events(judge: MetricJudge, table: Table, against: Side) -> Verdict:
    """Bad events of all, counted by queries of the user's."""
    if not any(v is not None for side in SIDES for v in table.columns.get(f"{side}:bad", ())):
        why = "the query finds nothing on either side; if that means none, add `or vector(0)`"
        return Verdict(worse=None, lack=why)
    names = ("canary:all", "canary:bad", "primary:all", "primary:bad")
    rows = zip(*(table.columns.get(name, ()) for name in names), strict=False)
    batches = [Batch(*(_count(value) for value in row)) for row in rows]
    return _counted(judge, batches, "bad events", against)


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


def _counted(judge: MetricJudge, batches: list[Batch], what: str, against: Side) -> Verdict:
    found = compare(batches, alpha=judge.error_probability, tolerated=judge.tolerated)
    return _sequential(judge, found, found.evidence, what, against)


def _timed(
    judge: MetricJudge,
    bounds: list[float],
    intervals: list[Histogram],
    to_ms: int,
    against: Side,
) -> Verdict:
    slower = compare_histograms(
        bounds, intervals, alpha=judge.error_probability, tolerated=judge.tolerated
    )
    if slower is None:
        return Verdict(worse=None)
    what = f"requests over {slower.bound * to_ms:.0f}ms"
    return _sequential(judge, slower.finding, slower.evidence, what, against)


def _sequential(
    judge: MetricJudge, found: Finding, evidence: float, what: str, against: Side
) -> Verdict:
    if not found.canary or not found.primary:
        return Verdict(worse=None)
    ratio = found.ratio if math.isfinite(found.ratio) else found.at_least
    times = "at least " if not math.isfinite(found.ratio) else ""
    text = (
        f"{times}{ratio:.2f} times the {against}'s share of {what} "
        f"(at least {found.at_least:.2f}), "
        f"{found.canary_bad:.0f} of {found.canary:.0f} against {found.primary_bad:.0f} of "
        f"{found.primary:.0f}, error probability {min(1.0, 1 / evidence):.2g}"
    )
    worse = evidence >= 1 / judge.error_probability
    return Verdict(worse=worse, value=ratio, samples=found.canary, finding=text)


def _ranked(
    judge: MetricJudge,
    ours: Sequence[float | None],
    others: Sequence[float | None],
    unit: str,
    direction: Direction,
    against: Side,
) -> Verdict:
    """direction  which shift is worse where the manifest does not say"""
    outliers = judge.outliers
    shift = classify(
        ours,
        others,
        tolerance=judge.tolerance,
        confidence=judge.confidence,
        direction=judge.direction or direction,
        replace_missing=judge.nan_strategy == "replace",
        outlier_factor=outliers.outlier_factor
        if outliers is not None and outliers.strategy == "remove"
        else None,
        sizes=_sizes(judge.effect_size or EffectSize()),
    )
    if shift.label == "no-data":
        return Verdict(worse=None)
    effect = f", effect {shift.effect:.2f}" if judge.effect_size is not None else ""
    text = (
        f"shifted by {shift.estimate:.4g} {unit or 'in its unit'} against the {against} "
        f"({shift.low:.4g} to {shift.high:.4g} at {judge.confidence:.0%}), "
        f"{shift.canary} against {shift.primary} values, p {shift.p:.2g}{effect}"
    )
    return Verdict(
        worse=shift.label != "pass",
        value=shift.estimate,
        samples=shift.canary,
        finding=text,
        label=shift.label,
        extreme=shift.extreme,
    )


def _sizes(given: EffectSize) -> Sizes:
    return Sizes(
        measure=given.measure,
        allowed_increase=given.allowed_increase,
        allowed_decrease=given.allowed_decrease,
        critical_increase=given.critical_increase,
        critical_decrease=given.critical_decrease,
    )
