"""How runs end, and who is told of it."""

from __future__ import annotations

from typing import Literal

import pytest
from tests.unit.analyzer.core.story import READY, Story, a_spec, revision

from serinus.analyzer.core.rollout import HookAnswer, HookAsk, Value
from serinus.events import Readiness, RolloutAborted


def hook(name: str, kind: str) -> dict[str, str]:
    return {"name": name, "type": kind, "url": f"http://h/{name}"}


AFTER = [hook("undo", "on-rollback"), hook("notify", "post-rollout"), hook("again", "on-rollback")]


def bad(story: Story) -> Story:
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    return story


def asked(story: Story) -> list[tuple[str, str]]:
    return [(a.hook.name, a.phase) for a in story.asked if isinstance(a, HookAsk)]


def test_on_rollback_hooks_are_called_when_a_rollback_happens_before_the_post_rollout_ones() -> (
    None
):
    story = bad(Story(step_weight=20, threshold=1, webhooks=AFTER).initialised().push("v2")).run()
    assert asked(story) == [("undo", "Failed"), ("again", "Failed"), ("notify", "Failed")]


def test_a_promotion_calls_no_on_rollback_hook() -> None:
    story = Story(step_weight=50, max_weight=50, webhooks=AFTER).initialised().push("v2").run()
    assert asked(story) == [("notify", "Succeeded")]


def test_an_on_rollback_hook_that_fails_keeps_the_others_of_its_type_only() -> None:
    story = Story(step_weight=20, threshold=1, webhooks=AFTER).initialised().push("v2")
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.name != "undo")
    bad(story).run()
    assert [name for name, _ in asked(story)] == ["undo", "notify"]


def test_setting_the_target_back_is_a_rollback_for_the_hooks_too() -> None:
    story = Story(step_weight=20, webhooks=AFTER).initialised().push("v2").push("v1")
    assert [name for name, _ in asked(story)] == ["undo", "again", "notify"]
    assert any(isinstance(fact, RolloutAborted) for fact in story.facts)
    assert story.status.history[0].outcome == "aborted"


@pytest.mark.parametrize(
    ("kind", "labels"),
    [("success", "completed"), ("failure", "completed")],
)
def test_the_end_is_counted_once_with_flaggers_labels(kind: str, labels: str) -> None:
    story = Story(step_weight=50, max_weight=50, threshold=1).initialised().push("v2")
    if kind == "failure":
        bad(story)
    story.run()
    ended = [s for d in story.decisions for s in d.samples if s.kind == kind]
    assert [s.labels for s in ended] == [
        {
            "name": "web",
            "namespace": "test",
            "deployment_strategy": "canary",
            "analysis_status": labels,
        }
    ]


def test_a_skipped_analysis_is_counted_and_recorded_as_skipped() -> None:
    story = Story(a_spec(skip_analysis=True, step_weight=20)).initialised().push("v2")
    ended = [s for d in story.decisions for s in d.samples if s.kind == "success"]
    assert [s.labels["analysis_status"] for s in ended] == ["skipped"]
    assert story.status.history[0].outcome == "skipped"


def test_the_skip_annotation_is_an_alias_in_mid_run_too() -> None:
    story = Story(step_weight=20).initialised().push("v2").annotate(skip_analysis="true")
    story.settle().look()
    assert story.status.phase == "Succeeded"
    assert "Promotion completed! Canary analysis was skipped for web.test" in story.texts


@pytest.mark.parametrize("state", ["stuck", "waiting"])
def test_a_primary_that_is_broken_gets_no_traffic_from_a_rollback(
    state: Literal["stuck", "waiting"],
) -> None:
    story = Story(step_weight=50, max_weight=50, threshold=1).initialised().push("v2")
    story.obedient = False
    story.tick()
    stuck = Readiness(state="stuck", text="exceeded its progress deadline")
    story.see_primary(promoted=revision("v2"), readiness=stuck).look()
    story.obedient = True
    story.settle().push("v3").see_primary(readiness=Readiness(state=state, text="5 out of 6"))
    bad(story).tick().tick()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 100)
    assert story.intent.workload.canary == "running"


def test_a_failed_promotion_is_recorded_with_its_cause() -> None:
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick()
    stuck = Readiness(state="stuck", text="exceeded its progress deadline")
    story.see_primary(promoted=revision("v2"), readiness=stuck).look()
    release = story.status.history[0]
    assert release.outcome == "promotion-failed"
    assert "exceeded its progress deadline" in release.reason


@pytest.mark.parametrize("good", [True, False])
def test_how_long_the_rollout_took_is_measured(good: bool) -> None:
    story = Story(step_weight=50, max_weight=50, threshold=1).initialised().push("v2")
    if not good:
        bad(story)
    story.run()
    (took,) = (s for d in story.decisions for s in d.samples if s.kind == "duration")
    assert took.value == pytest.approx(10.0, abs=0.01)
    result = "success" if good else "failure"
    assert took.labels == {"name": "web", "namespace": "test", "result": result}


def a_set_promoting() -> Story:
    """A StatefulSet in the middle of its promotion: all of it is the primary."""
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    spec = a_spec(step_weight=50, max_weight=50, target_ref=target)
    story = Story(spec)
    story.see_primary(found=True, replicas=2, promoted=revision("v1"), readiness=READY)
    story.initialised().push("v2")
    story.obedient = False
    story.tick()
    assert story.status.phase == "Promoting"
    story.report(waiting="statefulset web.test not ready")
    return story.see_primary(promoted=revision("v1"), readiness=READY)


def test_a_stateful_set_that_gets_stuck_in_the_middle_goes_back() -> None:
    """Nothing was copied: pods of the old revision can be made again."""
    story = a_set_promoting()
    story.see_primary(readiness=Readiness(state="stuck", text="1 out of 2")).look()

    assert (story.status.phase, story.status.canary_weight) == ("Failed", 0)
    assert story.status.last_promoted_spec == revision("v1")
    assert "Promotion of web.test failed, primary not ready: statefulset web.test not ready: 1" in (
        " ".join(story.texts)
    )


def test_a_stateful_set_that_is_still_replacing_pods_is_waited_for() -> None:
    story = a_set_promoting()
    slow = Readiness(state="waiting", text="1 out of 2", stuck_at=story.now + 60)
    story.see_primary(readiness=slow).tick()

    assert story.status.phase == "Promoting"
    story.tick(60)
    assert story.status.phase == "Failed"


def test_a_stateful_set_that_runs_nothing_else_has_no_pods_of_its_own_for_the_canary() -> None:
    """Somebody let the template through by hand: it is judged where it runs, and not for ever."""
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    story = Story(a_spec(step_weight=50, max_weight=50, target_ref=target))
    story.see_primary(found=True, replicas=2, promoted=revision("v1"), readiness=READY)
    story.initialised()
    story.obedient = False
    story.see_primary(promoted=revision("v2")).see_target(replicas=0).push("v2")
    story.settle().see_target(replicas=0).tick()

    assert story.status.canary_weight == 50


def test_a_newer_template_of_a_stateful_set_begins_with_nobody_whatever_its_primary_does() -> None:
    """Its canary's pods are replaced at once: there is no judged version to keep people on."""
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    story = Story(a_spec(step_weight=50, max_weight=100, target_ref=target))
    story.see_primary(found=True, replicas=2, promoted=revision("v1"), readiness=READY)
    story.initialised().push("v2")
    story.obedient = False
    story.see_primary(readiness=Readiness(state="stuck", text="1 of 2")).push("v3")

    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 0)
