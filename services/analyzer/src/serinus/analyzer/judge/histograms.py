"""Is the canary slower than the primary? Asked of whole histograms, at every look.

For each bound of the histogram, requests above it are counted as bad ones, and compared as in
`proportions`. The mean over the bounds is an e-process for "nowhere slower": a sequential test of
the Kolmogorov-Smirnov kind, one-sided, for buckets. Where canary and primary differ, the bets at
the bounds in between win.

- Means of e-processes are e-processes: Vovk and Wang (2021), "E-values: calibration, combination
  and applications".
- Alternatives that bound quantiles instead: Howard and Ramdas (2022), "Sequential estimation of
  quantiles with applications to A/B testing".

Shapes: per interval, one cumulative count per bound, the last bound being infinity (as `le` in
Prometheus); the same bounds on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from serinus.analyzer.judge.proportions import (
    LOG_MAX,
    Batch,
    Finding,
    Scatter,
    compare,
    log_evidence,
    sane,
)

# Requests wait for one another: one pause of a process makes all slow that come in it. Scatter from
# window to window is the rule, and the first windows alone prove nothing.
QUEUED = Scatter(4.0, 3.0)


class Histogram(Struct, frozen=True, array_like=True):
    """One interval of both sides: requests up to each bound."""

    canary: tuple[float, ...]
    primary: tuple[float, ...]


class Slower(Struct, frozen=True, kw_only=True):
    """What the evidence amounts to.

    evidence  E over all bounds
    bound     the bound with the most evidence, in the histogram's own unit
    finding   what was found at it: bad means slower than the bound
    """

    evidence: float
    bound: float
    finding: Finding


def compare_histograms(
    bounds: Sequence[float],
    intervals: Sequence[Histogram],
    *,
    alpha: float,
    tolerated: float = 1.0,
) -> Slower | None:
    """The evidence that the canary is slower somewhere; None without a finite bound."""
    finite = [index for index, bound in enumerate(bounds) if math.isfinite(bound)]
    if not finite:
        return None
    logs = [log_evidence(sane(_above(intervals, index)), tolerated, QUEUED) for index in finite]
    mean = sum(math.exp(min(log, LOG_MAX)) for log in logs) / len(logs)
    most = finite[max(range(len(logs)), key=logs.__getitem__)]
    finding = compare(_above(intervals, most), alpha=alpha, tolerated=tolerated, scatter=QUEUED)
    return Slower(evidence=mean, bound=bounds[most], finding=finding)


def quantile(q: float, bounds: Sequence[float], counts: Sequence[float]) -> float:
    """The value below which a share `q` lies, linear within its bucket; nan where there is none.

    As Prometheus' histogram_quantile.
    """
    total = counts[-1] if counts else 0.0
    if total <= 0:
        return math.nan
    wanted, below, begin = q * total, 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count >= wanted:
            if math.isinf(bound):
                return begin
            part = (wanted - below) / (count - below) if count > below else 1.0
            return begin + (bound - begin) * part
        below, begin = count, bound
    return math.nan


def _above(intervals: Sequence[Histogram], index: int) -> list[Batch]:
    return [
        Batch(
            h.canary[-1],
            h.canary[-1] - h.canary[index],
            h.primary[-1],
            h.primary[-1] - h.primary[index],
        )
        for h in intervals
        if len(h.canary) == len(h.primary) > index
    ]
