"""A value against its bound: what passes, what halts, and in which words."""

from typing import Any

import pytest

from serinus.analyzer.core import checks
from serinus.analyzer.core.checks import Judged, judge, metric_value
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.events import CanaryRef, Metric
from serinus.events.canary import TemplateRef, ThresholdRange

WEB = CanaryRef("prod", "shop", "uid-1")
SUCCESS = Metric(name="request-success-rate", threshold_range=ThresholdRange(min=99))
DURATION = Metric(name="request-duration", threshold_range=ThresholdRange(max=500))
QUERY = Metric(name="404s", query="x", threshold_range=ThresholdRange(max=5))
TEMPLATE = Metric(
    name="errors", template_ref=TemplateRef(name="t"), threshold_range=ThresholdRange(max=5)
)


def value(number: float) -> Value:
    return Value(key="k", value=number)


def judged(metric: Metric, reading: Reading, **more: Any) -> Judged:
    asked: dict[str, Any] = {
        "builtin": metric.name.startswith("request-"),
        "canary": WEB,
        "target": "web",
        "provider": "istio",
        "interval": "1m",
        "query": "q",
    }
    return judge(metric, reading=reading, **(asked | more))


@pytest.mark.parametrize(
    ("metric", "number", "text"),
    [
        (SUCCESS, 98.694, "Halt shop.prod advancement success rate 98.69% < 99%"),
        (SUCCESS, 0.0, "Halt shop.prod advancement success rate 0.00% < 99%"),
        (DURATION, 1515.0, "Halt shop.prod advancement request duration 1.515s > 500ms"),
        (DURATION, 501.0, "Halt shop.prod advancement request duration 501ms > 500ms"),
        (QUERY, 5.01, "Halt shop.prod advancement 404s 5.01 > 5"),
        (TEMPLATE, 12.34, "Halt shop.prod advancement errors 12.34 > 5"),
        (TEMPLATE, 5.004, "Halt shop.prod advancement errors 5.00 > 5"),
    ],
)
def test_a_bad_value_halts_in_flaggers_words(metric: Metric, number: float, text: str) -> None:
    verdict = judged(metric, value(number))

    assert not verdict.passed
    assert verdict.text == text
    assert verdict.measurement.outcome == "failed"


@pytest.mark.parametrize(
    ("metric", "number"),
    [(SUCCESS, 99.0), (DURATION, 500.0), (DURATION, 500.9), (QUERY, 5.0), (TEMPLATE, -1.0)],
)
def test_bounds_are_inclusive_and_milliseconds_whole(metric: Metric, number: float) -> None:
    verdict = judged(metric, value(number))

    assert verdict.passed
    assert verdict.text == ""
    assert verdict.measurement.outcome == "passed"


def test_bounds_of_a_duration_are_cut_to_whole_milliseconds() -> None:
    tight = Metric(name="request-duration", threshold_range=ThresholdRange(min=10.9, max=20.9))

    assert judged(tight, value(10.0)).passed
    assert judged(tight, value(21.0)).text.endswith("request duration 21ms > 20ms")
    assert judged(tight, value(9.9)).text.endswith("request duration 9ms < 10ms")


def test_the_http_observers_seconds_are_compared_as_milliseconds() -> None:
    verdict = judged(DURATION, value(1.515), provider="gatewayapi:v1")

    assert verdict.text == "Halt shop.prod advancement request duration 1.515s > 500ms"
    assert verdict.measurement.value == 1515.0


@pytest.mark.parametrize(
    ("metric", "good", "bad", "text"),
    [
        (
            Metric(name="request-success-rate", threshold=95),
            95.0,
            94.99,
            "success rate 94.99% < 95%",
        ),
        (Metric(name="request-duration", threshold=400), 400.0, 401.0, "duration 401ms > 400ms"),
        (Metric(name="404s", query="x", threshold=5), 5.0, 5.01, "404s 5.01 > 5"),
        (Metric(name="404s", query="x"), 0.0, 0.01, "404s 0.01 > 0"),
    ],
)
def test_the_old_threshold_is_a_floor_or_a_ceiling(
    metric: Metric, good: float, bad: float, text: str
) -> None:
    assert judged(metric, value(good)).passed
    assert judged(metric, value(bad)).text.endswith(text)


def test_a_range_without_bounds_passes_everything() -> None:
    assert judged(Metric(name="x", query="q", threshold_range=ThresholdRange()), value(1e9)).passed


@pytest.mark.parametrize("cause", ["", checks.NO_SERIES, checks.NOT_A_NUMBER])
def test_no_data_is_said_in_flaggers_words(cause: str) -> None:
    assert judged(SUCCESS, NoData(key="k", cause=cause)).text == (
        "Halt advancement no values found for istio metric request-success-rate probably web.prod "
        "is not receiving traffic: running query failed: no values found"
    )
    assert judged(DURATION, NoData(key="k", cause=cause)).text == (
        "Halt advancement no values found for istio metric request-duration probably web.prod "
        "is not receiving traffic"
    )
    assert judged(QUERY, NoData(key="k", cause=cause)).text == (
        "Halt advancement no values found for metric: 404s"
    )
    assert judged(TEMPLATE, NoData(key="k", cause=cause)).text == (
        "Halt advancement no values found for custom metric: errors: no values found"
    )


def test_a_cause_that_flagger_has_no_words_for_is_appended() -> None:
    verdict = judged(DURATION, NoData(key="k", cause="first scrape, a rate needs two"))

    assert verdict.text.endswith("is not receiving traffic: first scrape, a rate needs two")
    assert verdict.measurement.cause == "first scrape, a rate needs two"


def test_no_data_is_neither_passed_nor_failed() -> None:
    verdict = judged(SUCCESS, NoData(key="k"))

    assert not verdict.passed
    assert (verdict.measurement.outcome, verdict.measurement.value) == ("no-data", None)
    assert verdict.measurement.cause == "no values found"


def test_an_unreachable_source_is_said_in_flaggers_words() -> None:
    gone = Unreachable(key="k", why="error response: Status 500 Internal Server Error: oops")

    assert judged(SUCCESS, gone).text == (
        "Prometheus query failed: running query failed: "
        "error response: Status 500 Internal Server Error: oops"
    )
    assert judged(QUERY, gone).text.startswith("Prometheus query failed for 404s: error response")
    assert judged(TEMPLATE, gone).text.startswith("Metric query failed for errors: error response")
    assert judged(TEMPLATE, gone).measurement.outcome == "unreachable"


def test_a_metric_with_query_and_template_is_worded_by_what_was_asked() -> None:
    both = Metric(name="m", query="x", template_ref=TemplateRef(name="t"), threshold=1)

    assert "custom metric" not in judged(both, NoData(key="k"), template=False).text
    assert "custom metric" in judged(both, NoData(key="k"), template=True).text


def test_the_measurement_names_metric_bound_window_and_source() -> None:
    ranged = Metric(name="m", query="x", threshold_range=ThresholdRange(min=1, max=2.5))

    found = judged(ranged, value(2.0)).measurement

    assert (found.metric, found.bound, found.interval) == ("m", ">= 1 and <= 2.5", "1m")
    assert (found.source, found.query, found.value, found.unit) == ("istio", "q", 2.0, "")
    assert judged(SUCCESS, value(100.0)).measurement.unit == "%"


def test_exported_durations_are_seconds() -> None:
    assert metric_value(value(1515.0), DURATION, True, "istio") == 1.515
    assert metric_value(value(0.1), DURATION, True, "kubernetes") == 0.1
    assert metric_value(value(98.5), SUCCESS, True, "istio") == 98.5
    assert metric_value(NoData(key="k"), SUCCESS, True, "istio") is None


def test_a_value_without_end_halts() -> None:
    assert judged(DURATION, value(float("inf"))).text.endswith("request duration +Inf > 500ms")


def test_metrics_that_cannot_be_asked_have_flaggers_words() -> None:
    assert checks.template_missing("nope", "prod") == (
        'Metric template nope.prod error: metrictemplate.flagger.app "nope" not found'
    )
    assert checks.probe_template_missing("nope", "prod") == (
        "Error checking metric providers: metric template nope.prod error: "
        'metrictemplate.flagger.app "nope" not found'
    )
    assert checks.render_failed("t", "prod", "why") == (
        "Metric template t.prod query render error: why"
    )
    assert checks.not_asked("m", "why").outcome == "unreachable"
    assert "datadog in metric template t.prod not available: why" in checks.probe_unreachable(
        "datadog", "why", name="t", namespace="prod"
    )
