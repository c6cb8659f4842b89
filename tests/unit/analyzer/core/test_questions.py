"""The metrics of an analysis as questions."""

from typing import Any

import msgspec
from tests.builders import a_canary_spec, a_metric, a_rollout, a_status, an_analysis

from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.questions import Question, questions
from serinus.analyzer.core.rollout import Look
from serinus.events import MetricTemplateSpec
from serinus.events.canary import HttpSource, Metric, MetricJudge, MetricProvider, TemplateRef

AT = 1_800_000_000.0
TEMPLATE = a_metric("rate", interval="", template_ref=TemplateRef(name="orders"))


def asked(*metrics: Metric, **templates: MetricTemplateSpec) -> list[Question]:
    spec = a_canary_spec(analysis=an_analysis(metrics=metrics))
    seen = {"templates": {f"shop/{name}": template for name, template in templates.items()}}
    rollout = a_rollout(spec=spec, status=a_status("Progressing"), seen=seen)
    return list(questions(Moment(rollout, Look(at=AT))))


def template(kind: str = "datadog", **provider: Any) -> MetricTemplateSpec:
    described = MetricProvider(type=kind, **provider)
    return MetricTemplateSpec(provider=described, query="q({{ interval }})")


def test_a_metric_without_an_interval_has_the_documented_one() -> None:
    """BUG of Flagger (5.1): templates render an empty one, and five sources refuse it."""
    (question,) = asked(TEMPLATE, orders=template())

    assert question.ask is not None
    assert question.ask.query == "q(1m)"
    assert question.ask.window_s == 60.0


def test_the_body_of_a_request_is_rendered_like_the_query() -> None:
    described = HttpSource(method="POST", body='{"service": "{{ target }}"}')
    (question,) = asked(TEMPLATE, orders=template("http", http=described))

    assert question.ask is not None
    assert question.ask.body == '{"service": "web"}'


def test_a_judge_of_a_query_asks_over_time_and_says_what_it_lacks() -> None:
    judge = MetricJudge()
    without, counted = (
        a_metric("errors", query="{{ target }}", judge=judge, samples_query=samples)
        for samples in ("", "all_{{ target }}")
    )
    (question,) = asked(without)
    assert question.ask is None
    assert "cannot be judged without samplesQuery" in question.error
    (question,) = asked(counted)
    assert question.ask is not None
    assert question.ask.columns["primary:bad"] == "web-primary"


def test_a_judge_of_a_template_asks_its_own_source() -> None:
    metric = msgspec.structs.replace(
        TEMPLATE, judge=MetricJudge(kind="mann-whitney"), interval="10s"
    )
    source = MetricTemplateSpec(
        provider=MetricProvider(type="prometheus", address="http://mimir"), query="q_{{ target }}"
    )
    (question,) = asked(metric, orders=source)

    assert question.ask is not None
    assert question.ask.source is source
    assert question.ask.template == "shop/orders"
    assert question.ask.columns == {"canary:value": "q_web", "primary:value": "q_web-primary"}
    (question,) = asked(metric, orders=template())
    assert question.error.startswith("Metric template orders.shop: rate cannot be judged: datadog")


def test_a_body_that_does_not_render_names_its_template() -> None:
    described = HttpSource(method="POST", body="{{ nobody }}")
    (question,) = asked(TEMPLATE, orders=template("http", http=described))

    assert question.ask is None
    assert "orders.shop" in question.error
