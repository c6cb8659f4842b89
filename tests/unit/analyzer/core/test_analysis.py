"""One round: what is asked, in which order, what counts, and what is remembered of it."""

from __future__ import annotations

import pytest
from tests.unit.analyzer.core.story import READY, Story

from serinus.analyzer.core.rollout import HookAnswer, HookAsk, MetricAsk, NoData, Value
from serinus.events import Readiness

PRE = {"name": "pre", "type": "pre-rollout", "url": "http://h/pre"}
LOAD = {"name": "load", "url": "http://h/load"}
RATE = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]


def names(story: Story) -> list[str]:
    return [a.hook.name if isinstance(a, HookAsk) else a.key.split("/")[-2] for a in story.asked]


def test_rollout_hooks_come_before_metrics_and_a_failed_one_ends_the_round() -> None:
    story = Story(step_weight=20, webhooks=[LOAD, {**LOAD, "name": "more"}]).initialised()
    story.push("v2")
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.name != "load", text="bad")
    story.tick()
    assert names(story) == ["load"]
    assert story.status.failed_checks == 1
    assert "Halt web.test advancement external check load failed bad" in story.texts


def test_the_first_failure_ends_the_round() -> None:
    story = Story(step_weight=20).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.tick()
    assert [a.metric for a in story.asked if isinstance(a, MetricAsk)] == ["request-success-rate"]


def test_pre_rollout_hooks_are_asked_before_anybody_is_served() -> None:
    story = Story(step_weight=20, webhooks=[PRE, LOAD]).initialised().push("v2")
    assert names(story) == ["pre"]
    assert story.status.canary_weight == 20


def test_a_failed_check_does_not_repeat_the_step_before() -> None:
    story = Story(step_weight=20, threshold=5).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.tick().tick()
    assert (story.status.canary_weight, story.status.failed_checks) == (20, 2)


def test_the_evidence_is_in_the_status_with_the_step_that_follows_from_it() -> None:
    story = Story(step_weight=20, metrics=RATE).initialised().push("v2").tick()
    evidence = story.status.canary_analysis
    assert evidence is not None
    (check,) = evidence.checks
    assert (check.metric, check.value, check.bound, check.verdict, check.weight) == (
        "request-success-rate",
        100.0,
        ">= 99",
        "passed",
        20,
    )
    assert check.time == story.status.last_transition_time
    assert (evidence.passed, evidence.failed) == (1, 0)


def test_the_check_that_ends_the_run_is_in_its_evidence() -> None:
    story = Story(step_weight=20, threshold=1, metrics=RATE).initialised().push("v2")
    story.metric = lambda ask: NoData(key=ask.key, cause="no requests")
    story.tick()
    assert story.status.phase == "Failed"
    evidence = story.status.canary_analysis
    assert evidence is not None
    assert [(c.verdict, c.cause) for c in evidence.checks] == [("no-data", "no requests")]
    assert story.status.history[0].outcome == "rolled-back"


def test_one_step_is_one_change_of_the_status() -> None:
    story = Story(step_weight=20, webhooks=[LOAD]).initialised().push("v2")
    before = len(story.statuses)
    story.tick()
    assert len(story.statuses) == before + 1


class TestDelay:
    """analysis.delay: a ready canary warms up before anything is asked of it."""

    def test_the_first_step_waits_for_it(self) -> None:
        story = Story(step_weight=20, delay="30s").initialised().push("v2")
        assert story.status.canary_weight == 0
        assert "Warming up web.test for 30s" in story.texts
        story.tick(29.9)
        assert story.status.canary_weight == 0
        story.tick(0.2)
        assert story.status.canary_weight == 20

    def test_it_counts_from_the_moment_the_pods_are_ready(self) -> None:
        story = Story(step_weight=20, delay="30s").initialised()
        late = Readiness(state="waiting", text="0 of 2")
        story.see_target(readiness=late).push("v2").tick(60)
        story.see_target(readiness=READY).look()
        story.tick(29)
        assert story.status.canary_weight == 0
        story.tick(2)
        assert story.status.canary_weight == 20

    def test_it_holds_up_the_first_step_only(self) -> None:
        story = Story(step_weight=20, delay="30s").initialised().push("v2").tick(31).tick()
        assert story.status.canary_weight == 40

    def test_a_new_revision_warms_up_anew(self) -> None:
        story = Story(step_weight=20, delay="30s").initialised().push("v2").tick(31).push("v3")
        assert story.status.canary_weight == 0
        story.tick(31)
        assert story.status.canary_weight == 20

    def test_it_ends_although_the_resource_definition_drops_our_fields(self) -> None:
        story = Story(step_weight=20, delay="30s")
        story.kept_fields = "flagger"
        story.initialised().push("v2").tick(31)
        assert story.status.canary_weight == 20

    @pytest.mark.parametrize("delay", ["0s", "0m"])
    def test_without_it_the_first_step_is_immediate(self, delay: str) -> None:
        story = Story(step_weight=20, delay=delay).initialised().push("v2")
        assert story.status.canary_weight == 20


def test_a_primary_that_is_not_ready_holds_up_the_analysis() -> None:
    story = Story(step_weight=20).initialised().push("v2")
    story.see_primary(readiness=Readiness(state="waiting", text="1 of 2")).tick()
    assert story.status.canary_weight == 20
    assert "web-primary.test not ready: 1 of 2" in story.texts


def test_rollout_hooks_hear_of_progress_whatever_is_waited_for() -> None:
    """Reference 6.3: receivers tell rollout hooks from others by the phase."""
    gate = {"name": "gate", "type": "confirm-promotion", "url": "http://h/gate"}
    story = Story(step_weight=50, max_weight=50, webhooks=[LOAD, gate]).initialised().push("v2")
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.name != "gate")
    story.tick().tick()
    assert story.status.phase == "WaitingPromotion"
    story.tick()

    assert {a.phase for a in story.asked if isinstance(a, HookAsk)} == {"Progressing"}
    assert names(story).count("load") > 1
