"""The score of a round: what metrics with a `mann-whitney` judge amount to together.

At `pass` or more the round passes. Below `marginal` the release ends at once, as it does in
Spinnaker. In between it counts as a failed check: Spinnaker lets a marginal canary live until the
last look, and so do we until the threshold, but nobody gets more of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from serinus.analyzer.core import messages as say
from serinus.analyzer.core.checks import Judged
from serinus.analyzer.core.judging import groups_of
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rulings import is_early
from serinus.analyzer.judge.score import Part, Result, total
from serinus.events import Measurement, Metric
from serinus.events.canary import MetricJudge, Score

SCORE = Metric(name="score")
NO_DATA = "half of the metrics or more have no data"
Found = tuple[Metric, Judged]


def stands_alone(m: Moment, metric: Metric, found: Judged) -> bool:
    """Whether there is nothing to score yet, or nobody to ask: as for any other metric."""
    outcome = found.measurement.outcome
    return outcome == "unreachable" or (outcome == "no-data" and is_early(m, metric))


def scored(m: Moment, found: Sequence[Found]) -> Judged:
    """The verdict on all of them."""
    score = m.analysis.score or Score()
    result = total([_part(m, metric, one) for metric, one in found], score.group_weights)
    base = Measurement(
        metric=SCORE.name,
        outcome="passed",
        value=result.score,
        bound=f">= {score.passing:g}",
        finding=_finding(found, result),
    )
    if result.score is None:
        lacking = replace(base, outcome="no-data", cause=NO_DATA, value=None)
        return Judged(passed=False, measurement=lacking, text=say.no_score(m.n, NO_DATA))
    if result.score >= score.passing:
        return Judged(passed=True, measurement=base)
    return Judged(
        passed=False,
        measurement=replace(base, outcome="failed"),
        text=say.low_score(m.n, result.score, score.passing, base.finding),
        final=result.score < score.marginal,
    )


def _part(m: Moment, metric: Metric, found: Judged) -> Part:
    judge = metric.judge or MetricJudge()
    part = Part(name=metric.name, label=found.label, groups=groups_of(metric))
    if stands_alone(m, metric, found):
        return part
    lacks = found.label == "no-data"
    critical = judge.critical and (found.extreme or (lacks and judge.nan_strategy == "remove"))
    return replace(part, critical=critical, required=judge.must_have_data and not critical)


def _finding(found: Sequence[Found], result: Result) -> str:
    """`errors 50, latency 100; request-success-rate high: shifted by ...`"""
    groups = ", ".join(
        f"{name} {'no data' if score is None else f'{score:g}'}"
        for name, score in result.groups.items()
    )
    worse = [
        f"{metric.name} {one.label}: {one.measurement.finding or one.measurement.cause}"
        for metric, one in found
        if not one.passed
    ]
    return "; ".join([*([result.why] if result.why else []), groups, *worse])
