"""The judge of Spinnaker: Mann-Whitney on two series, with a tolerated shift.

For those who come from Kayenta and know its settings. A metric is High or Low when the whole
confidence interval of the shift between canary and primary lies beyond `tolerance` times the
shift's estimate, and the effect is as large as asked; else it passes. That is what NetflixACAJudge
does, with its defaults (tolerance 0.25, confidence 98 %). It needs a series on both sides and is
not made for looking often. Unlike there, fewer than three values on a side are no data, and where
both sides are constant no noise is added: without a spread the interval is the difference itself.

- The test and the interval: Hollander, Wolfe, Chicken (2013), "Nonparametric statistical methods",
  chapter 4: the Hodges-Lehmann estimate is the median of all differences, the interval's ends are
  differences too, at ranks from the normal approximation with a correction for continuity.
- The common language effect size: Vargha and Delaney (2000), "A critique and improvement of the CL
  common language effect size statistics of McGraw and Wong".
- The classification, its settings and their defaults: spinnaker/kayenta, docs/canary-config.md, and
  spinnaker.io, "How canary judgment works".

Shapes: two sequences of values, in any order, in the metric's own unit; at most 500 each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist, fmean, median, quantiles
from typing import Literal

from msgspec import Struct

TOLERANCE = 0.25
CONFIDENCE = 0.98
CERTAIN = 1 - 1e-9
VALUES_MAX = 500
VALUES_MIN = 3

Label = Literal["pass", "high", "low", "no-data"]
Direction = Literal["increase", "decrease", "either"]
Measure = Literal["meanRatio", "cles"]
NO_EFFECT: dict[Measure, float] = {"meanRatio": 1.0, "cles": 0.5}


class Sizes(Struct, frozen=True, kw_only=True):
    """From which effect on a shift counts, and from which a critical metric fails everything.

    None: from any effect in that direction on. One that cannot be computed is never too small.
    """

    measure: Measure = "meanRatio"
    allowed_increase: float | None = None
    allowed_decrease: float | None = None
    critical_increase: float | None = None
    critical_decrease: float | None = None


ANY = Sizes()


class Shift(Struct, frozen=True, kw_only=True):
    """The canary's values against the primary's.

    estimate   median of all differences, canary minus primary, in the metric's unit
    low, high  its confidence interval
    p          two-sided probability of ranks like these if nothing differs
    effect     by the measure asked for; nan where there is none
    extreme    the effect reaches what makes a critical metric fail everything
    """

    label: Label
    estimate: float = 0.0
    low: float = 0.0
    high: float = 0.0
    p: float = 1.0
    canary: int = 0
    primary: int = 0
    effect: float = math.nan
    extreme: bool = False


def classify(
    canary: Sequence[float | None],
    primary: Sequence[float | None],
    *,
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
    direction: Direction = "either",
    replace_missing: bool = False,
    outlier_factor: float | None = None,
    sizes: Sizes = ANY,
) -> Shift:
    """What Kayenta would say of a metric.

    replace_missing  values that are missing or no numbers count as 0; else they do not count
    outlier_factor   interquartile ranges beyond the quartiles; None: outliers count
    """
    ours, others = (
        _within(_numbers(values, replace_missing), outlier_factor) for values in (canary, primary)
    )
    n, m = len(ours), len(others)
    if min(n, m) < VALUES_MIN:
        return Shift(label="no-data", canary=n, primary=m)
    if sorted(ours) == sorted(others):
        return Shift(label="pass", canary=n, primary=m, effect=NO_EFFECT[sizes.measure])
    differences = sorted(a - b for a in ours for b in others)
    estimate = median(differences)
    spread = _spread(ours, others)
    z = NormalDist().inv_cdf((1 + min(confidence, CERTAIN)) / 2)
    rank = max(0, math.floor(n * m / 2 - z * spread - 0.5))
    low, high = differences[rank], differences[-1 - rank]
    beyond = tolerance * abs(estimate)
    effect = _effect(ours, others, differences, sizes.measure)
    none = NO_EFFECT[sizes.measure]
    label: Label = "pass"
    extreme = False
    if direction != "decrease" and low > beyond and not effect < _or(sizes.allowed_increase, none):
        label = "high"
        extreme = not effect < _or(sizes.critical_increase, none)
    elif (
        direction != "increase"
        and high < -beyond
        and not effect > _or(sizes.allowed_decrease, none)
    ):
        label = "low"
        extreme = not effect > _or(sizes.critical_decrease, none)
    return Shift(
        label=label,
        estimate=estimate,
        low=low,
        high=high,
        p=_p(differences, spread),
        canary=n,
        primary=m,
        effect=effect,
        extreme=extreme,
    )


def _or(given: float | None, default: float) -> float:
    return default if given is None else given


def _numbers(values: Sequence[float | None], replace_missing: bool) -> list[float]:
    numbers = (v if v is not None and math.isfinite(v) else None for v in values[-VALUES_MAX:])
    return [v or 0.0 for v in numbers if v is not None or replace_missing]


def _within(values: list[float], factor: float | None) -> list[float]:
    """The values within the fences: Tukey's, and never inside of the 1st and 99th percentile."""
    if factor is None or len(values) < VALUES_MIN:
        return values
    percentiles = quantiles(values, n=100, method="inclusive")
    p1, q1, q3, p99 = (percentiles[at - 1] for at in (1, 25, 75, 99))
    low, high = min(p1, q1 - factor * (q3 - q1)), max(p99, q3 + factor * (q3 - q1))
    return [v for v in values if low <= v <= high]


def _effect(
    ours: Sequence[float], others: Sequence[float], differences: Sequence[float], measure: Measure
) -> float:
    if measure == "cles":
        return _above(differences) / len(differences)
    mean, other = fmean(ours), fmean(others)
    return mean / other if mean and other else math.nan


def _spread(ours: Sequence[float], others: Sequence[float]) -> float:
    """Standard deviation of the rank-sum statistic, with ties."""
    n, m = len(ours), len(others)
    total = n + m
    ties = sum(t**3 - t for t in Counter((*ours, *others)).values())
    return math.sqrt(max(0.0, n * m / 12 * (total + 1 - ties / (total * (total - 1)))))


def _above(differences: Sequence[float]) -> float:
    """Pairs in which the canary's value is the higher one; equal ones count half."""
    return sum(1.0 if d > 0 else 0.5 if d == 0 else 0.0 for d in differences)


def _p(differences: Sequence[float], spread: float) -> float:
    if spread == 0:
        return 1.0
    far = max(0.0, abs(_above(differences) - len(differences) / 2) - 0.5)
    return 2 * (1 - NormalDist().cdf(far / spread))
