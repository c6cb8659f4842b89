"""What people ask for beside the spec: annotations of the Canary, fit for kubectl and for GitOps.

    flagger.app/skip-analysis: "true"   as spec.skipAnalysis, while it is there
    flagger.app/pause: <who>            no step and no new rollout, while it is there
    flagger.app/approve: <who>          opens the gate that waits now
    flagger.app/promote: <who>          promotes the revision under analysis now
    flagger.app/abort: <who>            rolls the revision under analysis back now
    flagger.app/retry: <who>            tries the failed revision again
    flagger.app/reset: <who>            begins the rollout anew, also of the live revision
    flagger.app/undo: <who>             gives the primary back what was live before

The last six are acted upon once for each value: the status remembers the value, nobody has to take
the annotation away, and a Git repository that holds it asks only once. Another value, or taking it
away and setting it again, asks again. A value other than `true` says who asks, and why.
"""

from __future__ import annotations

from collections.abc import Mapping

from serinus.analyzer.core.rollout import Rollout
from serinus.events import CanaryObserved, CanaryStatus

PREFIX = "flagger.app/"
SKIP_ANALYSIS = f"{PREFIX}skip-analysis"
PAUSE = f"{PREFIX}pause"
VERBS = ("approve", "promote", "abort", "retry", "reset", "undo")
_PLAIN = frozenset({"", "true", "1", "yes", "now"})
_NO = frozenset({"", "false", "0", "no"})
BY_MAX = 200


def skips_analysis(rollout: Rollout) -> bool:
    """spec.skipAnalysis or its annotation."""
    return rollout.spec.skip_analysis or rollout.seen.annotations.get(SKIP_ANALYSIS) == "true"


def is_paused(rollout: Rollout) -> bool:
    """spec.paused or its annotation."""
    return rollout.spec.paused or rollout.seen.annotations.get(PAUSE, "") not in _NO


def is_dry_run(rollout: Rollout) -> bool:
    return rollout.spec.dry_run or rollout.policy.dry_run


def pending(seen: CanaryObserved, status: CanaryStatus) -> Mapping[str, str]:
    """Verbs that were asked for and not acted upon yet, with their values.

    A CustomResourceDefinition that drops our fields from the status cannot remember that something
    was done; with it, nothing is asked.
    """
    if not seen.annotations or not status.observed_generation:
        return {}
    known = status.requests or {}
    return {verb: value for verb, value in standing(seen).items() if known.get(verb) != value}


def standing(seen: CanaryObserved) -> dict[str, str]:
    """Every verb that is on the object, with its value."""
    found = ((verb, seen.annotations.get(PREFIX + verb, "")) for verb in VERBS)
    return {verb: value for verb, value in found if value not in _NO}


def done(
    seen: CanaryObserved, status: CanaryStatus, taken: Mapping[str, str]
) -> dict[str, str] | None:
    """What the status remembers of requests: those that still stand, and the ones just taken."""
    known = status.requests
    if not taken and not known:
        return known
    there = standing(seen)
    kept = {verb: value for verb, value in (known or {}).items() if verb in there}
    return {**kept, **taken} or None


def requester(seen: CanaryObserved, verb: str) -> str:
    """Who asks, and when, as far as it can be known."""
    value = seen.annotations.get(PREFIX + verb, "")
    said = "" if value.lower() in _PLAIN else value
    written = seen.annotated_by.get(PREFIX + verb, "")
    who = f"{said} ({written})" if said and written else said or written
    return who[:BY_MAX]
