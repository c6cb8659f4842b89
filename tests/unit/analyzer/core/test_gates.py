"""Gates: in order, approved by hand, and not shut for ever."""

from __future__ import annotations

import pytest
from tests.unit.analyzer.core.story import Story, revision

from serinus.analyzer.core.rollout import HookAnswer, HookAsk, Value

URL = "http://h/gate"


def shut(kind: str, **more: str) -> Story:
    """A rollout that has come to a gate which does not open."""
    hook = {"name": "gate", "type": kind, "url": URL, **more}
    story = Story(step_weight=50, max_weight=50, webhooks=[hook]).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)
    return story.push("v2").tick()


@pytest.mark.parametrize(
    ("kind", "phase", "after"),
    [
        ("confirm-rollout", "Waiting", ("Progressing", 50)),
        ("confirm-traffic-increase", "Progressing", ("Progressing", 50)),
        ("confirm-promotion", "WaitingPromotion", ("Succeeded", 0)),
    ],
)
def test_an_approval_by_hand_opens_the_gate_that_waits_once(
    kind: str, phase: str, after: tuple[str, int]
) -> None:
    story = shut(kind)
    assert story.status.phase == phase
    story.annotate(approve="carol").tick()
    assert (story.status.phase, story.status.canary_weight) == after
    assert f"{kind.capitalize()} approved by carol" in story.texts
    assert "Approve of web.test requested by carol" in story.texts
    assert story.status.requests == {"approve": "carol"}


def test_an_approval_is_good_for_one_step_only() -> None:
    story = shut("confirm-traffic-increase").annotate(approve="carol").tick().tick().tick()
    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 50)


def test_the_approval_of_a_start_does_not_wait_for_the_next_poll() -> None:
    story = shut("confirm-rollout").annotate(approve="true")
    story.look()
    assert story.status.phase == "Progressing"


@pytest.mark.parametrize(
    "kind", ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion"]
)
def test_an_approval_that_does_not_come_in_time_ends_the_run(kind: str) -> None:
    story = shut(kind, expiry="1m")
    for _ in range(4):
        story.tick()
    assert story.status.phase != "Failed"
    for _ in range(3):
        story.tick()
    assert story.status.phase == "Failed"
    assert "Rolling back web.test approval gate did not come within 1m" in story.texts
    assert ("warn", "Approval did not come in time: gate") in story.alerts
    assert story.status.last_applied_spec == revision("v2")
    story.tick().tick()
    assert story.status.phase == "Failed"


def test_the_end_of_an_expiry_is_a_time_to_look_again() -> None:
    story = shut("confirm-rollout", expiry="25s")
    story.tick()
    assert story.due_at == pytest.approx(story.now + 5.0, abs=0.1)


def test_a_gate_that_is_shut_only_now_has_its_whole_time() -> None:
    """However long the canary was at rest before; it is looked at when the gate is asked."""
    hook = {"name": "gate", "type": "confirm-rollout", "url": URL, "expiry": "15s"}
    story = Story(step_weight=50, max_weight=50, webhooks=[hook]).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)
    story.now += 3600
    story.push("v2")
    assert story.status.phase == "Waiting"
    story.tick()
    assert story.status.phase == "Waiting"
    story.tick(5.1)
    assert story.status.phase == "Failed"


def test_an_expiry_shorter_than_the_interval_counts_from_the_first_refusal() -> None:
    story = shut("confirm-promotion", expiry="5s")
    assert story.status.phase == "WaitingPromotion"
    story = shut("confirm-traffic-increase", expiry="5s")
    assert story.status.phase == "Failed", "the first step was due at once, ten seconds ago"


def test_an_expiry_survives_a_restart_because_the_status_knows_its_beginning() -> None:
    story = shut("confirm-promotion", expiry="1m")
    again = Story(story.spec)
    again.status, again.seen, again.routes = story.status, story.seen, story.routes
    again.now = story.now + 61
    again.hook = story.hook
    again.look()
    assert again.status.phase == "Failed"


def test_checks_go_on_behind_a_shut_promotion_gate_and_do_not_prolong_it() -> None:
    story = shut("confirm-promotion", expiry="25s")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.tick()
    assert story.status.failed_checks == 1
    story.metric = lambda ask: Value(key=ask.key, value=100.0)
    story.tick().tick()
    assert story.status.phase == "Failed"
    assert "approval gate did not come within 25s" in story.status.history[0].reason


def test_the_hooks_of_a_gate_are_asked_in_order_up_to_the_first_refusal() -> None:
    hooks = [{"name": n, "type": "confirm-rollout", "url": URL} for n in ("a", "b", "c")]
    story = Story(step_weight=50, webhooks=hooks).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.name == "a")
    story.push("v2")
    assert [a.hook.name for a in story.asked if isinstance(a, HookAsk)] == ["a", "b"]


def test_a_muted_gate_alerts_nobody() -> None:
    hook = {"name": "gate", "type": "confirm-rollout", "url": URL, "muteAlert": True}
    story = Story(step_weight=50, webhooks=[hook]).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)
    story.push("v2")
    assert ("Waiting", []) == (story.status.phase, story.alerts)
