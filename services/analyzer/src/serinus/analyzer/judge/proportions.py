"""Is the canary's share of bad requests higher than the primary's? Safe to ask at every look.

The test is an e-process. Per interval, of the m requests that went wrong on either side, x were
the canary's. If both fail alike, each of the m is the canary's with probability n_c / (n_c + n_p),
whatever the common rate is and however the load changes. Against that, alternatives bet that the
canary fails r times as often:

    theta_r = r n_c / (r n_c + n_p)
    E_r *= (theta_r / theta_1)^x ((1 - theta_r) / (1 - theta_1))^(m - x)

Their mean E has an expectation of at most 1 at every time if the canary is no worse, so
P(E ever reaches 1 / alpha) <= alpha (Ville 1939): looking often costs nothing.

- The bets: Robbins (1970), "Statistical methods related to the law of the iterated logarithm"
  (mixtures); Johari, Koomen, Pekelis, Walsh (2022), "Always valid inference"; Ramdas, Gruenwald,
  Vovk, Shafer (2023), "Game-theoretic statistics and safe anytime-valid inference".
- Given m, the count x is hypergeometric, not binomial. The bets are convex in x, so their
  expectation is no larger than under the binomial law: Hoeffding (1963), theorem 4.
- Requests that fail together (a pod, a node, a burst) are fewer pieces of evidence than requests.
  The primary's own intervals say how much: bets are taken to the power 1 / phi, with phi the
  dispersion of its counts: Wedderburn (1974), "Quasi-likelihood functions".

Shapes: a sequence of Batch, oldest first; counts, no rates. No unit but that of the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0)
DISPERSION_MAX = 10.0
BOUND_MAX = 100.0
LOG_MAX = 700.0
# Rates over scraped counters leave crumbs where there was no request.
FEWEST = 0.01
MOST = 1e12


class Batch(Struct, frozen=True, array_like=True):
    """What happened in one interval: requests and bad ones of both sides. Counts may be fractions,
    for rates over scraped counters are."""

    canary: float
    canary_bad: float
    primary: float
    primary_bad: float


class Finding(Struct, frozen=True, kw_only=True):
    """What the evidence amounts to.

    ratio     the canary's share of bad requests by the primary's; inf where the primary has none
    at_least  the ratio is at least this, with confidence 1 - alpha at all looks together
    evidence  E: how many times more likely the data is if the canary is worse
    canary, primary  requests; canary_bad, primary_bad  bad ones
    """

    ratio: float
    at_least: float
    evidence: float
    canary: float
    canary_bad: float
    primary: float
    primary_bad: float

    @property
    def error_probability(self) -> float:
        """Largest chance, over all looks, of evidence like this from a canary that is no worse."""
        return min(1.0, 1.0 / self.evidence) if self.evidence > 0 else 1.0


class Scatter(Struct, frozen=True):
    """What is expected of the dispersion before anything was seen, and how many intervals it takes
    to believe otherwise."""

    dispersion: float
    intervals: float


INDEPENDENT = Scatter(1.0, 1.0)


def compare(
    batches: Sequence[Batch],
    *,
    alpha: float,
    tolerated: float = 1.0,
    scatter: Scatter = INDEPENDENT,
) -> Finding:
    """The evidence that the canary's ratio is above `tolerated` (1: no worse at all).

    0 < alpha < 1, tolerated > 0.
    """
    usable = sane(batches)
    sums = [sum(b[i] for b in map(_fields, usable)) for i in range(4)]
    canary, canary_bad, primary, primary_bad = sums
    rate, other = _share(canary_bad, canary), _share(primary_bad, primary)
    return Finding(
        ratio=rate / other if other else (math.inf if rate else 1.0),
        at_least=_at_least(usable, alpha, scatter),
        evidence=math.exp(min(log_evidence(usable, tolerated, scatter), LOG_MAX)),
        canary=canary,
        canary_bad=canary_bad,
        primary=primary,
        primary_bad=primary_bad,
    )


def log_evidence(
    batches: Sequence[Batch], tolerated: float, scatter: Scatter = INDEPENDENT
) -> float:
    """log E against "the ratio is at most `tolerated`"; 0 where there is nothing to say."""
    logs = [0.0] * len(RATIOS)
    seen = Dispersion(scatter)
    for batch in batches:
        phi = seen.value
        fair = tolerated * batch.canary
        bad = batch.canary_bad + batch.primary_bad
        for index, ratio in enumerate(RATIOS):
            # (1 - theta_r) / (1 - theta_1), and theta_r / theta_1 is r times as much.
            other = math.log((fair + batch.primary) / (ratio * fair + batch.primary))
            logs[index] += (batch.canary_bad * math.log(ratio) + bad * other) / phi
        # Only what is past may set the stakes.
        seen.add(batch)
    return _log_mean(logs)


class Dispersion:
    """How much more the primary's counts scatter than independent requests would: at least 1.

    Pearson's statistic by its degrees of freedom, beginning with what is expected, so that the
    first intervals do not speak too loudly.
    """

    def __init__(self, expected: Scatter = INDEPENDENT) -> None:
        self._expected = expected
        self._count = 0
        self._requests = 0.0
        self._bad = 0.0
        self._squares = 0.0

    def add(self, batch: Batch) -> None:
        self._count += 1
        self._requests += batch.primary
        self._bad += batch.primary_bad
        self._squares += batch.primary_bad**2 / batch.primary

    @property
    def value(self) -> float:
        expected = self._expected
        if self._count < 3:
            return expected.dispersion
        rate = self._bad / self._requests
        variance = rate * (1 - rate)
        if variance <= 0:
            return expected.dispersion
        # The sum of (k - n rate)^2 / (n variance), multiplied out.
        scatter = self._squares - 2 * rate * self._bad + rate * rate * self._requests
        pearson = max(0.0, scatter) / variance
        known = expected.dispersion * expected.intervals + pearson
        return min(max(1.0, known / (expected.intervals + self._count - 1)), DISPERSION_MAX)


def sane(batches: Sequence[Batch]) -> list[Batch]:
    """The intervals in which both sides had requests, with counts that can be."""
    return [b for b in map(_sane, batches) if min(b.canary, b.primary) >= FEWEST]


def _sane(batch: Batch) -> Batch:
    """No negative counts, no more bad requests than requests, nothing that is no number."""
    fields = [min(max(0.0, v), MOST) if math.isfinite(v) else 0.0 for v in _fields(batch)]
    canary, canary_bad, primary, primary_bad = fields
    return Batch(canary, min(canary_bad, canary), primary, min(primary_bad, primary))


def _fields(batch: Batch) -> tuple[float, float, float, float]:
    return batch.canary, batch.canary_bad, batch.primary, batch.primary_bad


def _share(bad: float, requests: float) -> float:
    return bad / requests if requests else 0.0


def _log_mean(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs) / len(logs))


def _at_least(batches: Sequence[Batch], alpha: float, scatter: Scatter) -> float:
    """The lower end of a confidence sequence: what is tolerated and yet refuted, by bisection."""
    wanted = math.log(1 / alpha)
    low, high = 0.0, BOUND_MAX
    if log_evidence(batches, 1e-3, scatter) < wanted:
        return 0.0
    for _ in range(20):
        middle = (low + high) / 2 or 1e-3
        if log_evidence(batches, middle, scatter) >= wanted:
            low = middle
        else:
            high = middle
    return low
