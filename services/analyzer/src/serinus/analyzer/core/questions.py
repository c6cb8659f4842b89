"""The metrics of an analysis as questions, in the reference's order (5.1).

First the built-in checks and inline queries in the manifest's order, then the templates. A metric
that is both is asked twice, as Flagger does. What cannot be asked is answered here instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from serinus.analyzer.core import share
from serinus.analyzer.core.checks import Judged, judge
from serinus.analyzer.core.judging import (
    PROMETHEUS,
    Incomparable,
    against,
    builtin_source,
    compared,
    judged_query,
)
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.queries import (
    COMPARABLE,
    DEFAULT_INTERVAL,
    DURATION,
    SHARE,
    SUCCESS_RATE,
    Check,
    Names,
    builtin_query,
    collapse,
    metrics_provider,
    names_of,
    observer_of,
    samples_query,
    share_queries,
)
from serinus.analyzer.core.rollout import HookAnswer, MetricAsk, Table
from serinus.analyzer.core.template import TemplateError, render
from serinus.analyzer.core.times import unix_s
from serinus.events import Measurement, Metric
from serinus.events.canary import TemplateRef, duration_s

UNUSABLE = "Metric query failed for no usable metrics template and query were configured"


class Question(Struct, frozen=True, kw_only=True):
    """One metric to ask about. Without `ask` it cannot be asked and `error` says why.

    share  the percentage of requests that is looked for; None: it is another metric
    """

    metric: Metric
    builtin: bool
    provider: str
    interval: str
    ask: MetricAsk | None = None
    error: str = ""
    share: int | None = None


def questions(m: Moment) -> Iterator[Question]:
    """Every question of one round, in order."""
    names = names_of(m.namespace, m.seen.canary.name, m.spec, m.seen.target)
    for index, metric in enumerate(m.analysis.metrics):
        if metric.name in (SUCCESS_RATE, DURATION):
            yield _builtin(m, names, index, metric)
        if metric.query:
            yield _inline(m, names, index, metric)
    for index, metric in enumerate(m.analysis.metrics):
        if metric.template_ref is not None:
            yield _templated(m, names, index, metric, metric.template_ref)
        elif metric.name not in (SUCCESS_RATE, DURATION) and not metric.query:
            yield _unaskable(metric, UNUSABLE)
    yield from _shares(m, names)


def judged(m: Moment, question: Question) -> Judged:
    """The verdict on a question whose answer is there."""
    ask = question.ask
    if ask is None:
        measurement = Measurement(
            metric=question.metric.name,
            outcome="unreachable",
            cause=question.error,
            interval=question.interval,
        )
        return Judged(passed=False, measurement=measurement, text=question.error)
    reading = m.answer(ask.key)
    assert reading is not None
    assert not isinstance(reading, HookAnswer)
    if question.share is not None and m.analysis.verify_traffic is not None:
        assert not isinstance(reading, Table)
        settings = m.analysis.verify_traffic
        return share.judged(m, settings, question.share, reading, question.interval)
    return judge(
        question.metric,
        question.builtin,
        reading,
        canary=m.seen.canary,
        target=m.target,
        provider=question.provider,
        interval=question.interval,
        query=ask.query,
        template=bool(ask.template),
        place=".".join(reversed(ask.template.split("/"))) if ask.template else "",
        against=against(m.analysis),
    )


def template_name(m: Moment, ref: TemplateRef) -> str:
    return f"{ref.namespace or m.namespace}/{ref.name}"


def _builtin(m: Moment, names: Names, index: int, metric: Metric) -> Question:
    provider = metrics_provider(m.spec.provider, m.rollout.policy.mesh, m.spec.target_ref)
    check: Check = "request-success-rate" if metric.name == SUCCESS_RATE else "request-duration"
    if metric.judge is not None:
        try:
            asked = compared(m.rollout, names, metric)
        except Incomparable as error:
            return _unaskable(metric, str(error))
        return _table(m, metric, f"judge/{index}", asked, provider=provider, builtin=True)
    query = builtin_query(observer_of(provider), check, names, metric.interval)
    return _asked(
        m,
        metric,
        f"builtin/{index}",
        query,
        builtin=True,
        provider=provider,
        samples=samples_query(observer_of(provider), names, metric.interval),
    )


def _table(
    m: Moment,
    metric: Metric,
    place: str,
    asked: Mapping[str, str],
    *,
    provider: str,
    builtin: bool = False,
    template: str = "",
) -> Question:
    """The table for a judge: both sides, from the beginning of the run."""
    window = metric.interval or DEFAULT_INTERVAL
    ask = MetricAsk(
        key=f"{m.epoch}/{m.round}/{place}",
        metric=metric.name,
        source=m.seen.templates[template] if template else builtin_source(m.spec, m.rollout.policy),
        template=template,
        query=" ".join(asked.values()),
        columns=asked,
        since=begun_at(m),
        window_s=duration_s(window) or 60.0,
    )
    return Question(metric=metric, builtin=builtin, provider=provider, interval=window, ask=ask)


def begun_at(m: Moment) -> float:
    """When this run began, in Unix seconds; where nobody wrote it down, the last step."""
    history = m.status.history
    begun = unix_s(history[0].started_at) if history and not history[0].outcome else 0.0
    return begun or m.changed_at


def _shares(m: Moment, names: Names) -> Iterator[Question]:
    """The question whether the share that was ordered is there."""
    weight = share.ordered(m)
    provider = metrics_provider(m.spec.provider, m.rollout.policy.mesh, m.spec.target_ref)
    observer = observer_of(provider)
    if weight is None or observer not in COMPARABLE:
        return
    interval = f"{m.interval_s:.0f}s"
    has_baseline = m.analysis.baseline
    query, samples = share_queries(observer, names, interval, has_baseline=has_baseline)
    ask = MetricAsk(
        key=f"{m.epoch}/{m.round}/share/0",
        metric=SHARE,
        source=builtin_source(m.spec, m.rollout.policy),
        query=query,
        samples_query=samples,
        window_s=m.interval_s,
    )
    metric = Metric(name=SHARE, interval=interval)
    yield Question(
        metric=metric, builtin=True, provider=provider, interval=interval, ask=ask, share=weight
    )


def _inline(m: Moment, names: Names, index: int, metric: Metric) -> Question:
    interval, place = metric.interval or DEFAULT_INTERVAL, f"query/{index}"
    try:
        if metric.judge is not None:
            source = builtin_source(m.spec, m.rollout.policy)
            asked = judged_query(metric, metric.query, names, source, m.analysis)
            plain = {name: collapse(query) for name, query in asked.items()}
            return _table(m, metric, place, plain, provider=PROMETHEUS)
        query = render(metric.query, names.words(interval), metric.template_variables)
        samples = render(metric.samples_query, names.words(interval), metric.template_variables)
    except TemplateError as error:
        return _unaskable(metric, f"Prometheus query failed for {metric.name}: {error}")
    except Incomparable as error:
        return _unaskable(metric, f"Metric {error}")
    return _asked(m, metric, place, collapse(query), provider=PROMETHEUS, samples=samples)


def _templated(m: Moment, names: Names, index: int, metric: Metric, ref: TemplateRef) -> Question:
    key = template_name(m, ref)
    namespace, _, name = key.partition("/")
    template = m.seen.templates.get(key)
    if template is None:
        why = f'metrictemplate.flagger.app "{name}" not found'
        return _unaskable(metric, f"Metric template {name}.{namespace} error: {why}")
    interval, place = metric.interval or DEFAULT_INTERVAL, f"template/{index}"
    kind, described = template.provider.type, template.provider.http
    try:
        if metric.judge is not None:
            asked = judged_query(metric, template.query, names, template, m.analysis)
            return _table(m, metric, place, asked, provider=kind, template=key)
        query = render(template.query, names.words(interval), metric.template_variables)
        body = render(
            described.body if described else "", names.words(interval), metric.template_variables
        )
        samples = render(metric.samples_query, names.words(interval), metric.template_variables)
    except TemplateError as error:
        why = f"Metric template {name}.{namespace} query render error: {error}"
        return _unaskable(metric, why)
    except Incomparable as error:
        return _unaskable(metric, f"Metric template {name}.{namespace}: {error}")
    return _asked(m, metric, place, query, provider=kind, template=key, body=body, samples=samples)


def _asked(
    m: Moment,
    metric: Metric,
    place: str,
    query: str,
    *,
    provider: str,
    builtin: bool = False,
    template: str = "",
    body: str = "",
    samples: str = "",
) -> Question:
    interval = metric.interval or DEFAULT_INTERVAL
    ask = MetricAsk(
        key=f"{m.epoch}/{m.round}/{place}",
        metric=metric.name,
        source=m.seen.templates[template] if template else builtin_source(m.spec, m.rollout.policy),
        template=template,
        query=query,
        body=body,
        samples_query=collapse(samples) if metric.min_samples else "",
        window_s=duration_s(interval) or 60.0,
    )
    return Question(metric=metric, builtin=builtin, provider=provider, interval=interval, ask=ask)


def _unaskable(metric: Metric, why: str) -> Question:
    interval = metric.interval or DEFAULT_INTERVAL
    return Question(metric=metric, builtin=False, provider="", interval=interval, error=why)
