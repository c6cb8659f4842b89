"""Rollback hooks: asked in every phase where there is something to roll back, in nobody's way."""

from __future__ import annotations

import pytest
from tests.unit.analyzer.core.story import Story, revision

from serinus.analyzer.core.decide import decide
from serinus.analyzer.core.rollout import HookAnswer, HookAsk, Look
from serinus.events import Readiness

ROLLBACK = {"name": "rb", "type": "rollback", "url": "http://h/rb"}
LATE = Readiness(state="waiting", text="0 of 2 updated replicas are available")


def story_with(*more: dict[str, str], **analysis: object) -> Story:
    steps = {"step_weight": 50, "max_weight": 50, **analysis}
    story = Story(webhooks=[ROLLBACK, *more], **steps).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False, text="no")
    return story


def agree(story: Story) -> None:
    """From now on the rollback hook says yes, everything else still no."""
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.type == "rollback")


def rolled_back(story: Story) -> bool:
    return story.status.phase == "Failed" and (
        "Rolling back web.test manual webhook invoked" in story.texts
    )


def test_it_works_while_the_rollout_waits_for_approval() -> None:
    story = story_with({"name": "g", "type": "confirm-rollout", "url": "http://h/g"}).push("v2")
    assert story.status.phase == "Waiting"
    agree(story)
    story.tick()
    assert rolled_back(story)
    assert story.status.last_applied_spec == revision("v2")
    story.tick().tick()
    assert story.status.phase == "Failed"


def test_it_works_while_the_canarys_pods_are_not_ready() -> None:
    story = story_with()
    story.see_target(readiness=LATE).push("v2")
    agree(story)
    story.tick()
    assert rolled_back(story)


def test_it_works_while_promotion_waits_for_approval() -> None:
    story = story_with({"name": "g", "type": "confirm-promotion", "url": "http://h/g"})
    story.push("v2").tick()
    assert story.status.phase == "WaitingPromotion"
    agree(story)
    story.tick()
    assert rolled_back(story)


def test_it_works_while_promoting_until_the_copy() -> None:
    story = story_with().push("v2")
    story.obedient = False
    story.tick()
    assert story.status.phase == "Promoting"
    agree(story)
    story.tick()
    assert rolled_back(story)
    assert not story.intent.workload.promote


def test_it_is_not_asked_after_the_copy() -> None:
    story = story_with().push("v2")
    story.obedient = False
    story.tick().see_primary(promoted=revision("v2"))
    agree(story)
    story.tick().tick()
    assert story.status.phase == "Promoting"


def test_it_works_while_the_routes_do_not_settle() -> None:
    story = story_with().push("v2")
    story.obedient = False
    story.report(settled=False, waiting="web is not accepted yet")
    agree(story)
    story.tick()
    assert rolled_back(story)


def test_several_are_asked_side_by_side_and_the_first_in_order_is_named() -> None:
    others = [{**ROLLBACK, "name": name} for name in ("b", "c")]
    story = story_with(*others).push("v2")
    story.now += 10
    decision = decide(story.rollout, Look(at=story.now))
    assert [a.hook.name for a in decision.asks if isinstance(a, HookAsk)] == ["rb", "b", "c"]
    answers = {
        a.key: HookAnswer(key=a.key, passed=a.hook.name != "rb")
        for a in decision.asks
        if isinstance(a, HookAsk)
    }
    ended = decide(story.rollout, Look(at=story.now, answers=answers))
    assert "Rollback check b passed" in [fact.text for fact in ended.facts]


def test_one_yes_is_enough_while_the_others_are_still_silent() -> None:
    story = story_with({**ROLLBACK, "name": "slow"}).push("v2")
    story.now += 10
    first = decide(story.rollout, Look(at=story.now)).asks[0]
    yes = {first.key: HookAnswer(key=first.key, passed=True)}
    assert decide(story.rollout, Look(at=story.now, answers=yes)).status.phase == "Failed"


def test_a_silent_rollback_hook_does_not_keep_crashing_pods_in_traffic() -> None:
    story = story_with().push("v2")
    crashed = Readiness(state="waiting", text="1 of 2", crash="web is in CrashLoopBackOff")
    story.see_target(readiness=crashed)
    story.now += 10
    assert decide(story.rollout, Look(at=story.now)).status.phase == "Failed"


def test_a_check_waits_for_the_answer_so_that_no_step_comes_before_the_wish_to_go_back() -> None:
    story = story_with(step_weight=20, max_weight=60).push("v2")
    story.now += 10
    decision = decide(story.rollout, Look(at=story.now))
    assert decision.status == story.status
    assert [a.hook.name for a in decision.asks if isinstance(a, HookAsk)] == ["rb"]


def test_each_interval_asks_once_and_says_that_nothing_was_signalled() -> None:
    story = story_with()
    story.see_target(readiness=LATE).push("v2")
    asked = len(story.asked)
    story.tick().tick(5).tick(5)
    assert len(story.asked) - asked == 2
    said = [t for t in story.texts if t == "Rollback hook rb not signaling a rollback"]
    assert len(said) == 3
    assert story.due_at == pytest.approx(story.now + 10, abs=0.1)


def test_nothing_is_polled_where_there_is_nothing_to_roll_back() -> None:
    story = story_with()
    story.tick().tick()
    assert [] == story.asked
