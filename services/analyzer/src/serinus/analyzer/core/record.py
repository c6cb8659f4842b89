"""The record in the status beyond Flagger's fields: evidence, releases, what people asked for.

All of it is bounded and rides on status writes that happen anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from serinus.analyzer.core.times import rfc3339
from serinus.events import CanaryStatus, Measurement
from serinus.events.canary import Check, Checks, Release, ReleaseOutcome

CHECKS_MAX = 20
RELEASES_MAX = 10
TEXT_MAX = 300

Changes = dict[str, Any]


def opened(status: CanaryStatus, at: float, revision: str, images: dict[str, str]) -> Changes:
    """A run begins; one that is still open is replaced by it."""
    history = status.history
    if history and not history[0].outcome:
        history = _closed(history, at, "superseded", "", "")
    begun = Release(revision=revision, images=images, started_at=rfc3339(at))
    return {"history": (begun, *history)[:RELEASES_MAX], "canary_analysis": Checks()}


def closed(
    status: CanaryStatus, at: float, outcome: ReleaseOutcome, reason: str = "", by: str = ""
) -> Changes:
    """A run is over. One that began under another controller has no beginning here."""
    history = status.history
    if not history or history[0].outcome:
        history = (Release(revision=status.last_applied_spec), *history)[:RELEASES_MAX]
    return {"history": _closed(history, at, outcome, reason, by)}


def _closed(
    history: tuple[Release, ...], at: float, outcome: ReleaseOutcome, reason: str, by: str
) -> tuple[Release, ...]:
    run = history[0]
    over = replace(
        run,
        ended_at=rfc3339(at),
        outcome=outcome,
        reason=reason[:TEXT_MAX] or run.reason,
        by=by or run.by,
    )
    return (over, *history[1:])


def checked(
    status: CanaryStatus,
    at: float,
    measured: Sequence[Measurement],
    *,
    passed: bool,
    hook: str = "",
) -> Changes:
    """One more round of checks; a hook that failed stands for the round."""
    known = status.canary_analysis or Checks()
    time, weight = rfc3339(at), status.canary_weight
    new = tuple(
        Check(
            metric=m.metric,
            value=m.value,
            unit=m.unit,
            bound=m.bound,
            verdict=m.outcome,
            cause=m.cause[:TEXT_MAX],
            weight=weight,
            time=time,
        )
        for m in measured
    )
    if hook:
        new = (Check(hook=hook, verdict="failed", weight=weight, time=time), *new)
    return {
        "canary_analysis": replace(
            known,
            passed=known.passed + passed,
            failed=known.failed + (not passed),
            checks=(*new, *known.checks)[:CHECKS_MAX],
        )
    }


def warming(status: CanaryStatus, until: float) -> Changes:
    """The canary is ready and gets its time to warm up."""
    known = status.canary_analysis or Checks()
    return {"canary_analysis": replace(known, begins_at=rfc3339(until))}
