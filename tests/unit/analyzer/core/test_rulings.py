"""What a check without evidence amounts to, and what metrics may decide."""

from typing import Any

import pytest
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.rollout import Answer, MetricAsk, NoData, Unreachable, Value

SUCCESS = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
ERRORS = {"name": "errors", "query": "q", "thresholdRange": {"max": 5}}


def begun(**analysis: Any) -> Story:
    """A release whose first step is made, so that checks are next."""
    return Story(**{"step_weight": 20, "max_weight": 60, **analysis}).initialised().push("v2")


def away(ask: MetricAsk) -> Answer:
    return Unreachable(key=ask.key, why="request failed: connection refused", away=True)


def refused(ask: MetricAsk) -> Answer:
    return Unreachable(key=ask.key, why="error response: Status 400 Bad Request: typo")


def nothing(ask: MetricAsk) -> Answer:
    return NoData(key=ask.key, cause="no requests to the canary in the last 60s")


def test_a_source_that_is_away_holds_the_release_and_does_not_roll_it_back() -> None:
    story = begun(threshold=2)
    story.metric = away
    for _ in range(20):
        story.tick()
    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 20)
    assert story.status.failed_checks == 0

    story.metric = lambda ask: Value(key=ask.key, value=100.0)
    story.run()
    assert story.status.phase == "Succeeded"


def test_waiting_is_told_once_and_people_are_called_when_it_lasts() -> None:
    story = begun(threshold=3)
    story.metric = away
    for _ in range(10):
        story.tick()
    text = "Prometheus query failed: running query failed: request failed: connection refused"
    assert story.texts.count(text) == 2
    assert story.alerts[-1] == ("warn", f"Analysis is waiting for evidence: {text}")


def test_a_question_that_is_refused_counts_as_in_flagger() -> None:
    story = begun(threshold=2)
    story.metric = refused
    story.run()
    assert story.status.phase == "Failed"


def test_no_data_counts_as_in_flagger_and_says_its_cause() -> None:
    story = begun(threshold=2)
    story.metric = nothing
    story.run()
    assert story.status.phase == "Failed"
    assert any(t.endswith(": no requests to the canary in the last 60s") for t in story.texts)


@pytest.mark.parametrize(
    ("policy", "ticks", "phase"),
    [
        ("hold", 50, "Progressing"),
        ("fail", 1, "Failed"),
        ("count", 2, "Failed"),
        ("extend", 5, "Progressing"),
        ("extend", 6, "Failed"),
    ],
)
def test_the_manifest_says_what_no_data_amounts_to(policy: str, ticks: int, phase: str) -> None:
    """extend with a threshold of 2: two intervals of patience before each failed check."""
    story = begun(threshold=2, on_no_data=policy)
    story.metric = nothing
    for _ in range(ticks):
        story.tick()
    assert story.status.phase == phase


def test_no_policy_makes_a_pass_of_no_evidence() -> None:
    for policy in ("hold", "fail", "count", "extend"):
        story = begun(on_no_data=policy, on_unreachable=policy)
        for answer in (nothing, away):
            story.metric = answer
            story.run()
        assert "Succeeded" not in story.phases
        assert max(story.weights) == 20


def test_a_source_that_is_away_hides_no_failure() -> None:
    story = begun(threshold=2, metrics=[SUCCESS, ERRORS])
    story.metric = lambda ask: away(ask) if ask.metric != "errors" else Value(key=ask.key, value=9)
    story.run()
    assert story.status.phase == "Failed"


@pytest.mark.parametrize(("mode", "note"), [("warn", "(warning only)"), ("dry-run", "(dry run)")])
def test_a_metric_on_trial_is_told_and_decides_nothing(mode: str, note: str) -> None:
    story = begun(metrics=[SUCCESS, {**ERRORS, "mode": mode}])
    story.metric = lambda ask: Value(key=ask.key, value=99.5)
    story.run()
    assert story.status.phase == "Succeeded"
    assert f"Halt web.test advancement errors 99.50 > 5 {note}" in story.texts


def test_a_grave_metric_counts_for_several_failed_checks() -> None:
    story = begun(threshold=5, metrics=[{**ERRORS, "weight": 3}])
    story.metric = lambda ask: Value(key=ask.key, value=9)
    story.tick()
    assert story.status.failed_checks == 3
    story.tick()
    assert story.status.phase == "Failed"


def test_a_metric_may_have_a_limit_of_its_own() -> None:
    """Its failures count, others' do not, and the threshold is far away."""
    story = begun(threshold=50, step_weight=1, metrics=[SUCCESS, {**ERRORS, "failureLimit": 3}])
    failing = iter(["request-success-rate", "errors", "", "errors", "request-success-rate"])
    for name in failing:
        story.metric = lambda ask, name=name: Value(
            key=ask.key, value=(9.0 if ask.metric == name else 100.0 if ask.query != "q" else 1.0)
        )
        story.tick()
    assert (story.status.phase, story.status.failed_checks) == ("Progressing", 4)
    story.metric = lambda ask: Value(key=ask.key, value=9.0 if ask.query == "q" else 100.0)
    story.tick()
    assert story.status.phase == "Failed"


@pytest.mark.parametrize(("counting", "phase"), [("cumulative", "Failed"), ("consecutive", "x")])
def test_failed_checks_add_up_unless_they_must_be_consecutive(counting: str, phase: str) -> None:
    story = begun(threshold=2, counting=counting, step_weight=1, metrics=[ERRORS])
    for value in (9.0, 1.0, 9.0, 1.0):
        story.metric = lambda ask, value=value: Value(key=ask.key, value=value)
        story.tick()
    assert (story.status.phase == "Failed") == (phase == "Failed")


def test_a_value_that_rests_on_too_little_is_no_data() -> None:
    story = begun(threshold=1, metrics=[{**SUCCESS, "minSamples": 100}])
    story.metric = lambda ask: Value(key=ask.key, value=100.0, samples=12.0)
    story.tick()
    assert story.status.phase == "Failed"
    assert any("12 samples, 100 are wanted" in text for text in story.texts)
    assert "sum(increase(" in next(a for a in story.asked if isinstance(a, MetricAsk)).samples_query


def test_samples_are_asked_for_only_where_they_matter() -> None:
    story = begun()
    story.tick()
    assert {a.samples_query for a in story.asked if isinstance(a, MetricAsk)} == {""}


def test_samples_that_nobody_can_count_say_what_to_do() -> None:
    story = begun(threshold=1, metrics=[{**ERRORS, "minSamples": 10}])
    story.metric = lambda ask: Value(key=ask.key, value=1.0)
    story.tick()
    assert any("set samplesQuery" in text for text in story.texts)


def test_the_status_says_what_is_waited_for_until_the_next_step() -> None:
    """For kubectl and kstatus; the pace of the analysis is left alone, and nothing is written
    again while the reason stays the same."""
    story = begun(threshold=2)
    story.metric = away
    stamp = story.status.last_transition_time
    story.tick()
    held = story.status
    ready, reconciling = (
        next(c for c in held.conditions if c.type == kind) for kind in ("Ready", "Reconciling")
    )
    for condition in (ready, reconciling):
        assert condition.reason == "NoEvidence"
        assert "connection refused" in condition.message
    assert held.last_transition_time == stamp

    story.look()
    story.tick()
    assert story.status == held

    story.metric = lambda ask: Value(key=ask.key, value=100.0)
    story.tick()
    assert not [c for c in story.status.conditions if c.reason == "NoEvidence"]
    assert story.status.canary_weight > held.canary_weight
