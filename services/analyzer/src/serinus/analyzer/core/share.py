"""Whether the canary really gets the share that was ordered (`analysis.verifyTraffic`).

Many data planes report nothing about a route in its status. What they count tells: the requests
to both versions over the last interval. A share that is not there holds the step, and counts
against nobody: it says nothing about the canary. So few requests that chance decides are no
evidence for either, and do not hold it.
"""

from __future__ import annotations

import math
from typing import Literal

from msgspec.structs import replace

from serinus.analyzer.core.checks import Judged, Limits
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.queries import SHARE
from serinus.analyzer.core.rollout import NoData, Single, Unreachable
from serinus.events import Measurement
from serinus.events.canary import VerifyTraffic

# Of binomial counts 99.7 % lie so many standard deviations around what is expected.
DEVIATIONS = 3.0


def ordered(m: Moment) -> int | None:
    """The share that requests must show now, in percent; None: there is none to look for.

    Users who are kept by a cookie add up beyond the weight, and A/B and blue/green have none.
    """
    is_told = m.analysis.verify_traffic is not None and not m.dry_run
    if not is_told or m.strategy != "canary" or m.analysis.session_affinity is not None:
        return None
    return m.status.canary_weight or None


def bounds(settings: VerifyTraffic, weight: int, requests: float) -> Limits:
    """Between which percents the share may lie that so many requests show."""
    part = weight / 100
    chance = DEVIATIONS * math.sqrt(part * (1 - part) / requests) * 100
    by = settings.tolerance + chance
    return Limits(low=round(max(0.0, weight - by), 1), high=round(min(100.0, weight + by), 1))


def judged(
    m: Moment, settings: VerifyTraffic, weight: int, reading: Single, interval: str
) -> Judged:
    """What the counts say of the share that was ordered."""
    known = Measurement(metric=SHARE, outcome="passed", unit="%", interval=interval)
    if isinstance(reading, Unreachable):
        return _unknown(m, known, reading.why, ruling="hold", away=reading.away)
    requests = 0.0 if isinstance(reading, NoData) else reading.samples or 0.0
    if isinstance(reading, NoData) or requests < settings.min_requests:
        cause = f"{requests:.0f} requests, {settings.min_requests} are wanted"
        if isinstance(reading, NoData) and reading.cause:
            cause = reading.cause
        return _unknown(m, known, cause, ruling="note")
    limits = bounds(settings, weight, requests)
    measured = replace(known, value=reading.value, bound=str(limits))
    if limits.crossed(reading.value) is None:
        return Judged(passed=True, measurement=measured)
    text = (
        f"Halt {m.n} advancement the canary got {reading.value:.1f}% of {requests:.0f} requests "
        f"in {interval}, {weight}% are ordered"
    )
    failed = replace(measured, outcome="failed")
    return Judged(passed=False, measurement=failed, text=text, ruling="hold")


def _unknown(
    m: Moment,
    known: Measurement,
    cause: str,
    *,
    ruling: Literal["hold", "note"],
    away: bool = False,
) -> Judged:
    outcome: Literal["no-data", "unreachable"] = "no-data" if ruling == "note" else "unreachable"
    return Judged(
        passed=False,
        measurement=replace(known, outcome=outcome, cause=cause),
        text=f"The share of {m.n} is not verified: {cause}",
        away=away,
        ruling=ruling,
    )
