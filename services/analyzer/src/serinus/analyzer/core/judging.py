"""What is asked about a metric that is judged by comparison: queries over time of both sides.

- Built-in checks: requests and good ones, or histograms.
- Queries, `sequential`: `query` counts bad events in a window, `samplesQuery` all of them.
- Queries, `mann-whitney`: one value per window.

The other side is the primary, or the baseline where there is one; its columns are called the
primary's either way. A metric that cannot be compared is Incomparable, which the manifest's author
is told before anything begins.
"""

from __future__ import annotations

from collections.abc import Mapping

from serinus.analyzer.core.observers import OBSERVERS, Matcher
from serinus.analyzer.core.queries import (
    BY_WORKLOAD,
    COMPARABLE,
    DEFAULT_INTERVAL,
    DURATION,
    SIDES,
    SUCCESS_RATE,
    Names,
    Side,
    metrics_provider,
    observer_of,
    selection,
)
from serinus.analyzer.core.rollout import Policy, Rollout
from serinus.analyzer.core.template import render
from serinus.events import Metric, MetricTemplateSpec
from serinus.events.canary import (
    STATEFUL_SET,
    Analysis,
    CanarySpec,
    MetricProvider,
    analysis_of,
)

SCRAPE = "scrape"
PROMETHEUS = "prometheus"


class Incomparable(ValueError):
    """There is nothing to compare, or nothing to compare it with; the text says what to do."""


def builtin_source(spec: CanarySpec, policy: Policy) -> MetricTemplateSpec:
    """Where built-in and inline metrics are asked: the canary's server, else the operator's."""
    address = spec.metrics_server or policy.metrics_server
    kind, _, rest = address.partition(":")
    if kind == SCRAPE:
        return MetricTemplateSpec(provider=MetricProvider(type="scrape", address=rest), query="")
    return MetricTemplateSpec(provider=MetricProvider(type="prometheus", address=address), query="")


def against(analysis: Analysis) -> Side:
    """What a judge compares the canary with."""
    return "baseline" if analysis.baseline else "primary"


def is_scored(analysis: Analysis, metric: Metric) -> bool:
    """Whether a metric decides together with others, by the score."""
    ranked = metric.judge is not None and metric.judge.kind == "mann-whitney"
    return analysis.score is not None and ranked and not metric.mode


def groups_of(metric: Metric) -> tuple[str, ...]:
    """The groups of a metric in the score."""
    return (metric.judge.groups if metric.judge else ()) or (metric.name,)


def compared(rollout: Rollout, names: Names, metric: Metric) -> Mapping[str, str]:
    """The columns of a built-in check with a judge. Raises Incomparable."""
    spec, policy = rollout.spec, rollout.policy
    provider = metrics_provider(spec.provider, policy.mesh, spec.target_ref)
    window = metric.interval or DEFAULT_INTERVAL
    side = against(analysis_of(spec))
    try:
        if builtin_source(spec, policy).provider.type != PROMETHEUS:
            raise Incomparable("cannot be compared with the primary here: leave out judge")
        return columns(observer_of(provider), names, metric.name, window, side)
    except Incomparable as error:
        raise Incomparable(f"{metric.name} of {provider} {error}") from None


def judged_query(
    metric: Metric, query: str, names: Names, source: MetricTemplateSpec, analysis: Analysis
) -> Mapping[str, str]:
    """The columns of a query or template with a judge. Raises Incomparable, TemplateError."""
    if source.provider.type != PROMETHEUS:
        raise Incomparable(
            f"{metric.name} cannot be judged: {source.provider.type} answers with one value, and a "
            "judge needs one per window; use a Prometheus API, or thresholdRange"
        )
    counts = metric.judge is None or metric.judge.kind == "sequential"
    if counts and not metric.samples_query:
        raise Incomparable(
            f"{metric.name} cannot be judged without samplesQuery: a sequential judge takes "
            "counts. query is the number of bad events in {{ interval }}, samplesQuery that of "
            "all; for other values use kind: mann-whitney"
        )
    interval = metric.interval or DEFAULT_INTERVAL
    sides: tuple[Side, Side] = ("canary", against(analysis))
    texts = {"bad": query, "all": metric.samples_query} if counts else {"value": query}
    found: dict[str, str] = {}
    for what, text in texts.items():
        ours, others = (
            render(text, names.of(side).words(interval), metric.template_variables)
            for side in sides
        )
        if ours == others:
            raise Incomparable(
                f"{metric.name} cannot be judged: it asks the same of the canary and of the primary"
                ". Use {{ target }}, the name of the workload, or {{ side }}: canary, primary or "
                "baseline"
            )
        found |= {f"canary:{what}": ours, f"primary:{what}": others}
    return found


def columns(
    observer: str, names: Names, check: str, window: str, other: Side = "primary"
) -> Mapping[str, str]:
    """The queries of a built-in check on both sides: growth per window. Raises Incomparable."""
    if observer not in COMPARABLE or (check == DURATION and OBSERVERS[observer].average):
        raise Incomparable("cannot be compared with the primary here: leave out judge")
    if names.kind == STATEFUL_SET and observer in BY_WORKLOAD:
        raise Incomparable(
            "cannot be compared with the primary of a StatefulSet: it is the same workload, and "
            "these metrics do not count by Service; leave out judge"
        )
    if other == "baseline" and observer not in BY_WORKLOAD:
        raise Incomparable(
            "cannot be compared with the baseline: these metrics count by Service, and the "
            "baseline's pods are behind the primary's; use a query by pod, or leave out baseline"
        )
    found = {}
    sides: tuple[Side, Side] = ("canary", other)
    for name, side in zip(SIDES, sides, strict=True):
        chosen = selection(observer, names, side)
        if check == SUCCESS_RATE:
            every = chosen.requests + _labels(chosen.every)
            good = chosen.requests + _labels((*chosen.every, chosen.ok))
            found[f"{name}:all"] = f"sum(increase({every}[{window}]))"
            found[f"{name}:good"] = f"sum(increase({good}[{window}]))"
        else:
            timed = chosen.latency + _labels(chosen.timed)
            found[f"{name}:*"] = f"sum(increase({timed}[{window}])) by (le)"
    return found


def _labels(matchers: tuple[Matcher, ...]) -> str:
    return "{" + ", ".join(str(matcher) for matcher in matchers) + "}"
