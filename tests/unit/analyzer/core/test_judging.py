"""What is asked about metrics that are compared, and what cannot be."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.builders import a_canary_spec, a_metric, a_rollout, an_analysis
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.comparison import verdict
from serinus.analyzer.core.judging import (
    Incomparable,
    builtin_source,
    columns,
    compared,
    judged_query,
)
from serinus.analyzer.core.queries import BY_WORKLOAD, COMPARABLE, SUCCESS_RATE, names_of
from serinus.analyzer.core.rollout import Answer, MetricAsk, Policy, Table
from serinus.analyzer.core.template import TemplateError
from serinus.analyzer.core.validate import problems
from serinus.events import CanarySpec, MetricTemplateSpec, ObjectRef
from serinus.events.canary import Analysis, MetricJudge, MetricProvider

NAMES = names_of("shop", "web", CanarySpec(target_ref=ObjectRef(kind="Deployment", name="web")))
PROMETHEUS = MetricTemplateSpec(provider=MetricProvider(type="prometheus"), query="")
RANKED = MetricJudge(kind="mann-whitney")
BAD = 'sum(increase(lost{workload="{{ target }}"}[{{ interval }}]))'
ALL = 'sum(increase(sent{workload="{{ target }}"}[{{ interval }}]))'


def asked(query: str, *, baseline: bool = False, **metric: Any) -> Any:
    described = a_metric("orders", query=query, interval="30s", **metric)
    return judged_query(described, query, NAMES, PROMETHEUS, Analysis(baseline=baseline))


def test_counts_are_asked_of_both_sides() -> None:
    found = asked(BAD, judge=MetricJudge(), samples_query=ALL)

    assert found == {
        "canary:bad": 'sum(increase(lost{workload="web"}[30s]))',
        "primary:bad": 'sum(increase(lost{workload="web-primary"}[30s]))',
        "canary:all": 'sum(increase(sent{workload="web"}[30s]))',
        "primary:all": 'sum(increase(sent{workload="web-primary"}[30s]))',
    }


def test_values_are_asked_of_both_sides() -> None:
    assert asked("cpu_{{ side }}", judge=RANKED) == {
        "canary:value": "cpu_canary",
        "primary:value": "cpu_primary",
    }


def test_with_a_baseline_that_is_the_other_side() -> None:
    found = asked("cpu_{{ side }}_{{ target }}", judge=RANKED, baseline=True)

    assert found["primary:value"] == "cpu_baseline_web-baseline"


@pytest.mark.parametrize(
    ("query", "metric", "said"),
    [
        (BAD, {"judge": MetricJudge()}, "without samplesQuery"),
        ("vector(1)", {"judge": RANKED}, "the same of the canary and of the primary"),
        (BAD, {"judge": MetricJudge(), "samples_query": "vector(9)"}, "asks the same"),
    ],
)
def test_what_has_nothing_to_compare_says_what_to_do(
    query: str, metric: dict[str, Any], said: str
) -> None:
    with pytest.raises(Incomparable, match=said):
        asked(query, **metric)


def test_a_source_that_answers_with_one_value_is_not_judged() -> None:
    source = MetricTemplateSpec(provider=MetricProvider(type="datadog"), query="")
    with pytest.raises(Incomparable, match="datadog answers with one value"):
        judged_query(a_metric("x", judge=RANKED), "{{ side }}", NAMES, source, Analysis())


def test_a_query_that_does_not_render_is_a_fault_of_the_text() -> None:
    with pytest.raises(TemplateError):
        asked("{{ nobody }}", judge=RANKED)


@pytest.mark.parametrize("observer", sorted(COMPARABLE))
def test_a_baseline_is_known_to_what_tells_workloads_apart(observer: str) -> None:
    """Its pods are behind S-primary: who counts by Service cannot tell them from the primary's."""
    if observer not in BY_WORKLOAD:
        with pytest.raises(Incomparable, match="by Service"):
            columns(observer, NAMES, SUCCESS_RATE, "1m", "baseline")
        return
    found = columns(observer, NAMES, SUCCESS_RATE, "1m", "baseline")
    assert "web-baseline" in found["primary:all"]
    assert "web-primary" not in "".join(found.values())


def test_a_builtin_check_names_its_provider_when_it_cannot_be_compared() -> None:
    rollout = a_rollout(spec=a_canary_spec(provider="knative"))
    with pytest.raises(Incomparable, match="request-success-rate of knative cannot be compared"):
        compared(rollout, NAMES, a_metric(SUCCESS_RATE, judge=MetricJudge()))


def test_the_builtin_source_is_the_canarys_own_else_the_operators() -> None:
    spec = a_canary_spec(metrics_server="")
    policy = Policy(metrics_server="scrape:http://proxy/metrics")
    assert builtin_source(spec, policy).provider.type == "scrape"
    own = a_canary_spec(metrics_server="http://mine:9090")
    assert builtin_source(own, policy).provider.address == "http://mine:9090"


# --- from the manifest to the verdict -------------------------------------------------------------

COUNTED = {"name": "orders", "query": BAD, "samplesQuery": ALL, "interval": "10s", "judge": {}}


def begun(metric: dict[str, Any], **analysis: Any) -> Story:
    story = Story(step_weight=10, max_weight=50, threshold=5, metrics=[metric], **analysis)
    return story.initialised().push("v2")


def answering(**columns: tuple[float | None, ...]) -> Any:
    named = {name.replace("_", ":"): values for name, values in columns.items()}

    def answer(ask: MetricAsk) -> Answer:
        assert set(ask.columns) == set(named)
        return Table(key=ask.key, columns=named)

    return answer


def counts(bad: float, others: float, windows: int = 30) -> Any:
    return answering(
        canary_all=(50.0,) * windows,
        canary_bad=(bad,) * windows,
        primary_all=(950.0,) * windows,
        primary_bad=(others,) * windows,
    )


def test_a_release_that_loses_more_orders_is_rolled_back_by_a_query() -> None:
    story = begun(COUNTED)
    story.metric = counts(5.0, 19.0)
    story.tick()

    assert story.status.phase == "Failed"
    (text,) = [t for t in story.texts if "is worse" in t]
    assert "orders of the canary is worse: 5.00 times the primary's share of bad events" in text


def test_a_release_that_loses_no_more_is_promoted() -> None:
    story = begun(COUNTED)
    story.metric = counts(1.0, 19.0)
    story.run()

    assert story.status.phase == "Succeeded"


def test_a_query_that_finds_nothing_anywhere_is_no_proof_of_health() -> None:
    story = begun(COUNTED)
    story.metric = answering(
        canary_all=(50.0,) * 9,
        canary_bad=(None,) * 9,
        primary_all=(950.0,) * 9,
        primary_bad=(None,) * 9,
    )
    story.tick().tick().tick()

    assert story.status.failed_checks == 2
    assert any("or vector(0)" in text for text in story.texts)


def test_a_query_that_finds_bad_events_on_one_side_only_counts_none_on_the_other() -> None:
    table = Table(
        key="",
        columns={
            "canary:all": (50.0,) * 9,
            "canary:bad": (9.0,) * 9,
            "primary:all": (950.0,) * 9,
            "primary:bad": (None,) * 9,
        },
    )
    found = verdict(MetricJudge(), "", "", table)

    assert found.worse is True
    assert "81 of 450 against 0 of 8550" in found.finding


def test_the_status_tells_what_was_found() -> None:
    story = begun(COUNTED, baseline=True, provider="istio")
    story.metric = counts(5.0, 19.0)
    story.tick()

    assert story.status.canary_analysis is not None
    (check,) = story.status.canary_analysis.checks[:1]
    assert check.verdict == "failed"
    assert "times the baseline's share of bad events" in check.cause


@pytest.mark.parametrize(
    ("analysis", "path"),
    [
        ({"metrics": (a_metric("x", query="up", judge=RANKED),)}, "metrics[0].judge"),
        ({"metrics": (a_metric("x", query=BAD, judge=MetricJudge()),)}, "metrics[0].judge"),
    ],
)
def test_nothing_begins_with_a_metric_that_cannot_be_judged(
    analysis: dict[str, Any], path: str
) -> None:
    spec = a_canary_spec(analysis=an_analysis(**analysis))
    assert [p.path for p in problems(a_rollout(spec=spec))] == [f"spec.analysis.{path}"]


def test_only_deployments_have_a_baseline() -> None:
    spec = a_canary_spec(
        target_ref=ObjectRef(api_version="apps/v1", kind="DaemonSet", name="web"),
        analysis=an_analysis(baseline=True),
    )
    assert [p.path for p in problems(a_rollout(spec=spec))] == ["spec.analysis.baseline"]


@pytest.mark.parametrize("observer", sorted(COMPARABLE))
def test_a_stateful_set_is_compared_where_services_tell_its_versions_apart(observer: str) -> None:
    names = names_of("shop", "db", CanarySpec(target_ref=ObjectRef(kind="StatefulSet", name="db")))

    def queries() -> Mapping[str, str]:
        return columns(observer, names, SUCCESS_RATE, "1m")

    if observer in BY_WORKLOAD:
        with pytest.raises(Incomparable, match="the same workload"):
            queries()
    else:
        assert queries()
