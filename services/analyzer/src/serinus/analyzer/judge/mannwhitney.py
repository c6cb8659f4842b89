"""The judge of Spinnaker: Mann-Whitney on two series, with a tolerated shift.

For those who come from Kayenta and know its settings. A metric is High or Low when the whole
confidence interval of the shift between canary and primary lies beyond `tolerance` times the
shift's estimate, else it passes; that is what NetflixACAJudge does with its defaults (tolerance
0.25, confidence 98 %). It needs a series on both sides and is not made for looking often.

- The test and the interval: Hollander, Wolfe, Chicken (2013), "Nonparametric statistical methods",
  chapter 4: the Hodges-Lehmann estimate is the median of all differences, the interval's ends are
  differences too, at ranks from the normal approximation with a correction for continuity.
- The classification: spinnaker/kayenta, "Judge" in its documents.

Shapes: two sequences of values, in any order, in the metric's own unit; at most 500 each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist, median
from typing import Literal

from msgspec import Struct

TOLERANCE = 0.25
CONFIDENCE = 0.98
CERTAIN = 1 - 1e-9
VALUES_MAX = 500
VALUES_MIN = 3

Label = Literal["pass", "high", "low", "no-data"]


class Shift(Struct, frozen=True, kw_only=True):
    """The canary's values against the primary's.

    estimate   median of all differences, canary minus primary, in the metric's unit
    low, high  its confidence interval
    p          two-sided probability of ranks like these if nothing differs
    """

    label: Label
    estimate: float = 0.0
    low: float = 0.0
    high: float = 0.0
    p: float = 1.0
    canary: int = 0
    primary: int = 0


def classify(
    canary: Sequence[float],
    primary: Sequence[float],
    *,
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
) -> Shift:
    """What Kayenta would say of a metric; values that are no numbers do not count."""
    ours, others = (_clean(values) for values in (canary, primary))
    n, m = len(ours), len(others)
    if min(n, m) < VALUES_MIN:
        return Shift(label="no-data", canary=n, primary=m)
    if sorted(ours) == sorted(others):
        return Shift(label="pass", canary=n, primary=m)
    differences = sorted(a - b for a in ours for b in others)
    estimate = median(differences)
    spread = _spread(ours, others)
    z = NormalDist().inv_cdf((1 + min(confidence, CERTAIN)) / 2)
    rank = max(0, math.floor(n * m / 2 - z * spread - 0.5))
    low, high = differences[rank], differences[-1 - rank]
    beyond = tolerance * abs(estimate)
    label: Label = "high" if low > beyond else "low" if high < -beyond else "pass"
    p = _p(differences, spread)
    return Shift(label=label, estimate=estimate, low=low, high=high, p=p, canary=n, primary=m)


def _clean(values: Sequence[float]) -> list[float]:
    return [v for v in values if math.isfinite(v)][-VALUES_MAX:]


def _spread(ours: Sequence[float], others: Sequence[float]) -> float:
    """Standard deviation of the rank-sum statistic, with ties."""
    n, m = len(ours), len(others)
    total = n + m
    ties = sum(t**3 - t for t in Counter((*ours, *others)).values())
    return math.sqrt(max(0.0, n * m / 12 * (total + 1 - ties / (total * (total - 1)))))


def _p(differences: Sequence[float], spread: float) -> float:
    if spread == 0:
        return 1.0
    above = sum(1.0 if d > 0 else 0.5 if d == 0 else 0.0 for d in differences)
    far = max(0.0, abs(above - len(differences) / 2) - 0.5)
    return 2 * (1 - NormalDist().cdf(far / spread))
