"""What a check amounts to that did not pass: nothing, waiting, a failed check, or the end.

Invariant: no evidence is never a pass. What it is else, the manifest says (`onNoData`,
`onUnreachable`); the defaults are Flagger's counting for a source that answered, and waiting for
one that is away, lest one server that is down rolls a fleet back.
"""

from __future__ import annotations

from typing import Literal

from serinus.analyzer.core.checks import Judged
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.queries import DEFAULT_INTERVAL
from serinus.analyzer.core.questions import begun_at
from serinus.events import Alert, Fact, Metric, RolloutNoted, RolloutWarned
from serinus.events.canary import Lacking, duration_s, threshold

# The first window must end, and the metrics server must have seen it.
EARLY_WINDOWS = 2.0

Ruling = Literal["note", "hold", "count", "fail"]


def ruling(m: Moment, metric: Metric, found: Judged) -> Ruling:
    """What becomes of a metric that did not pass."""
    if found.ruling:
        return found.ruling
    if metric.mode:
        return "note"
    if found.measurement.outcome == "no-data" and is_early(m, metric):
        return "hold"
    policy: Lacking = "count"
    if found.measurement.outcome == "no-data":
        policy = m.analysis.on_no_data
    elif found.away:
        policy = m.analysis.on_unreachable
    if policy == "extend":
        # The round counts intervals since something was last remembered, and waiting is not.
        return "hold" if m.round <= threshold(m.spec) else "count"
    return policy


def is_early(m: Moment, metric: Metric) -> bool:
    """Whether a judge cannot have windows to compare yet; that is nobody's failure."""
    window_s = duration_s(metric.interval or DEFAULT_INTERVAL) or 60.0
    return metric.judge is not None and m.at - begun_at(m) < EARLY_WINDOWS * window_s


def charge(m: Moment, metric: Metric, kind: Ruling, found: Judged) -> int:
    """As how many failed checks it counts; whatever ends the rollout counts for all that is left.

    `failureLimit` looks back as far as the status remembers checks.
    """
    known = m.status.canary_analysis.checks if m.status.canary_analysis else ()
    failed = sum(c.metric == metric.name and c.verdict == "failed" for c in known) + 1
    limited = 0 < metric.failure_limit <= failed and found.measurement.outcome == "failed"
    left = threshold(m.spec) - m.status.failed_checks
    return left if kind == "fail" or limited or found.final else metric.weight


def noted(m: Moment, metric: Metric, found: Judged) -> Fact:
    """A metric that does not decide has something to say."""
    if metric.mode == "warn":
        return m.tell(RolloutWarned, f"{found.text} (warning only)", warning=True)
    if found.ruling:
        return m.tell(RolloutNoted, found.text)
    return m.tell(RolloutNoted, f"{found.text} (dry run)")


def held(m: Moment, found: Judged) -> Fact:
    """The analysis waits for evidence; people are called once it has waited as long as failed
    checks would have taken to end it."""
    alert = None
    if m.round > threshold(m.spec):
        alert = Alert("warn", f"Analysis is waiting for evidence: {found.text}")
    once = "long" if alert else ""
    return m.tell(RolloutWarned, found.text, warning=True, once=once, alert=alert)


def forgives(m: Moment) -> bool:
    """Whether a passed round makes up for the failed ones before it."""
    return m.analysis.counting == "consecutive" and m.status.failed_checks > 0
