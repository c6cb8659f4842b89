"""The record in the status beyond Flagger's fields: evidence, releases, what people asked for.

All of it is bounded and rides on status writes that happen anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from serinus.analyzer.core.times import rfc3339
from serinus.events import CanaryObserved, CanaryStatus, Measurement
from serinus.events.canary import (
    REVISION_PREFIX,
    Check,
    Checks,
    Release,
    ReleaseOutcome,
    Undo,
)

CHECKS_MAX = 20
RELEASES_MAX = 10
LIVE: frozenset[ReleaseOutcome] = frozenset({"promoted", "skipped"})
TEXT_MAX = 300

Changes = dict[str, Any]


def opened(status: CanaryStatus, at: float, seen: CanaryObserved) -> Changes:
    """A run begins; one that is still open is replaced by it."""
    history = status.history
    if history and not history[0].outcome:
        history = _closed(history, at, "superseded", "", "")
    begun = Release(
        revision=seen.target.revision,
        configs=seen.configs,
        images=seen.target.images,
        started_at=rfc3339(at),
    )
    history = (begun, *_with_live(status, history, seen))
    return {"history": _bounded(history), "canary_analysis": Checks()}


def _with_live(
    status: CanaryStatus, history: Sequence[Release], seen: CanaryObserved
) -> Sequence[Release]:
    """With what is live now, where no run of ours made it so: it was there when we came."""
    revision = status.last_promoted_spec
    quiet = status.phase in ("Initialized", "Succeeded", "Waiting")
    if history or not quiet or not revision.startswith(REVISION_PREFIX):
        return history
    live = Release(
        revision=revision,
        configs=status.tracked_configs,
        images=seen.primary.images,
        outcome="promoted",
    )
    return (live,)


def _bounded(history: Sequence[Release]) -> tuple[Release, ...]:
    """The newest ones; what is live, and what was before it, stay as long as they are that."""
    live = [release for release in history if release.outcome in LIVE][:2]
    kept = list(history)
    for old in reversed(history):
        if len(kept) > RELEASES_MAX and old not in live:
            kept.remove(old)
    return tuple(kept)


def went_live(status: CanaryStatus, revision: str) -> Changes:
    """The last run of this revision ended with it being live, whatever was decided."""
    history = list(status.history)
    run = next((i for i, r in enumerate(history) if r.revision == revision), None)
    if run is not None:
        history[run] = replace(history[run], outcome="promoted")
    return {"history": tuple(history)}


def before(status: CanaryStatus, given: str) -> Release | None:
    """What was live before what the primary was last given; None where that is not on record."""
    history = status.history
    tried = LIVE | {"promotion-failed"}
    now = next(
        (i for i, r in enumerate(history) if r.revision == given and r.outcome in tried), None
    )
    if now is None:
        return None
    what = (history[now].revision, history[now].configs)
    earlier = (r for r in history[now + 1 :] if r.outcome in LIVE)
    return next((r for r in earlier if (r.revision, r.configs) != what), None)


def undone(status: CanaryStatus, at: float, undo: Undo, why: str) -> Changes:
    """What was live is no more: everything down to what is again."""
    history = list(status.history)
    for index, release in enumerate(history):
        if (release.revision, release.configs) == (undo.revision, undo.configs):
            if release.outcome in LIVE:
                break
        elif release.outcome in LIVE:
            history[index] = _over(release, at, "undone", why, undo.by)
    return {"history": tuple(history), "undo": None}


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
    return (_over(history[0], at, outcome, reason, by), *history[1:])


def _over(run: Release, at: float, outcome: ReleaseOutcome, reason: str, by: str) -> Release:
    return replace(
        run,
        ended_at=rfc3339(at),
        outcome=outcome,
        reason=reason[:TEXT_MAX] or run.reason,
        by=by or run.by,
    )


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
            cause=(m.cause or m.finding)[:TEXT_MAX],
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
