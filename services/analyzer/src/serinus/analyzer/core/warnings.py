"""What a manifest says and its author may not mean: told once for each version of the spec.

Where the guide and Flagger's contract contradict each other Flagger's meaning holds; these say so.
"""

from __future__ import annotations

from collections.abc import Iterator

from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.queries import (
    COMPARABLE,
    SUCCESS_RATE,
    metrics_provider,
    observer_of,
)
from serinus.analyzer.core.validate import BUILTIN_METRICS, measurable
from serinus.events import RolloutWarned
from serinus.events.canary import Analysis, CanarySpec, Metric, ThresholdRange, duration_s

TASK_WORDS = frozenset({"cmd", "type", "method", "body"})
"""Metadata of a hook that does something; a rollback hook only asks."""
ROLLBACK_ASKS = (
    "a rollback hook is asked at every interval, and any success rolls back at once; "
    "to do something after a rollback use type on-rollback"
)


def warned(m: Moment) -> tuple[RolloutWarned, ...]:
    """The warnings as facts."""
    once = str(m.seen.generation)
    return tuple(
        m.tell(RolloutWarned, f"{path}: {text}", warning=True, once=f"{once}/{path}/{text}")
        for path, text in (*warnings(m.spec, m.analysis), *_deaf(m), *_blind(m))
    )


def _deaf(m: Moment) -> Iterator[tuple[str, str]]:
    """Alerts that will reach nobody."""
    for index, alert in enumerate(m.analysis.alerts):
        ref = alert.provider_ref
        namespace = ref.namespace or m.namespace
        if f"{namespace}/{ref.name}" in m.seen.missing_providers:
            path = f"spec.analysis.alerts[{index}].providerRef"
            yield path, f"alert provider {ref.name}.{namespace} not found: nobody is told"


def _blind(m: Moment) -> Iterator[tuple[str, str]]:
    """A share that cannot be verified."""
    if m.analysis.verify_traffic is None:
        return
    path = "spec.analysis.verifyTraffic"
    provider = metrics_provider(m.spec.provider, m.rollout.policy.mesh, m.spec.target_ref)
    if m.strategy != "canary" or m.analysis.session_affinity is not None:
        yield path, "it is for steps of weight, without iterations and sessionAffinity"
    elif observer_of(provider) not in COMPARABLE:
        yield path, f"it has no effect: {provider} does not count the requests of the primary"


def warnings(spec: CanarySpec, analysis: Analysis) -> Iterator[tuple[str, str]]:
    """(where, what) of everything worth a second look, in the manifest's order."""
    yield from _pace(spec, analysis)
    for index, metric in enumerate(analysis.metrics):
        where = f"spec.analysis.metrics[{index}]"
        if metric.name in BUILTIN_METRICS and (metric.query or metric.template_ref):
            also = "query" if metric.query else "templateRef"
            yield where, f"{metric.name} is built in and is asked beside the {also}"
        if text := _without_bounds(metric):
            yield f"{where}.thresholdRange", text
    ascending = sorted(set(analysis.step_weights))
    if list(analysis.step_weights) != ascending:
        yield "spec.analysis.stepWeights", "they do not ascend, and are taken as they stand"
    for index, hook in enumerate(analysis.webhooks):
        where = f"spec.analysis.webhooks[{index}]"
        data = hook.metadata or {}
        if hook.timeout and not duration_s(hook.timeout):
            yield f"{where}.timeout", f"{hook.timeout!r} is no duration, so the hook always fails"
        if hook.type == "rollback" and not TASK_WORDS.isdisjoint(data):
            yield where, ROLLBACK_ASKS
        elif {"method", "body"} & set(data):
            yield where, "method and body in metadata are only sent along; the hook has its own"


def _without_bounds(metric: Metric) -> str:
    bounds = metric.threshold_range
    if metric.judge is not None or not measurable(metric):
        return ""
    if bounds is not None:
        return "" if bounds != ThresholdRange() else "it is empty, so every value passes"
    if metric.threshold is not None:
        return ""
    if metric.name == SUCCESS_RATE:
        return "it is missing, so every value passes; set min"
    return "it is missing, so every value above 0 fails; set max or min"


def _pace(spec: CanarySpec, analysis: Analysis) -> Iterator[tuple[str, str]]:
    path = "spec.analysis"
    if analysis.interval and duration_s(analysis.interval) is None:
        yield f"{path}.interval", f"{analysis.interval!r} is no duration; 60s is used"
    weights = bool(analysis.step_weight or analysis.step_weights)
    if analysis.iterations and weights:
        kind = "A/B" if analysis.match else "blue/green"
        yield f"{path}.iterations", f"iterations decide: this is {kind}, and no weight is stepped"
    if analysis.match and not analysis.iterations and spec.provider != "kubernetes":
        yield f"{path}.match", "without iterations this is no A/B analysis, and match is not used"
    if analysis.step_weights and analysis.max_weight:
        yield f"{path}.maxWeight", "stepWeights are given, so their last weight is the maximum"
    if analysis.step_weight and analysis.step_weights:
        yield f"{path}.stepWeight", "it is used instead of stepWeights, but for the maximum"
    if analysis.mirror_weight and not analysis.mirror:
        yield f"{path}.mirrorWeight", "nothing is mirrored unless mirror is true"
