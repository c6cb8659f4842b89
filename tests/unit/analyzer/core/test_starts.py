"""How runs begin: by a change, by a request, after a failure; and what keeps them from it."""

from __future__ import annotations

import pytest
from tests.unit.analyzer.core.story import READY, Story, revision

from serinus.analyzer.core.rollout import HookAnswer, Value
from serinus.events import Fact, Readiness, RolloutRestarted, RolloutStarted

START = [{"name": "start", "type": "confirm-rollout", "url": "http://h/start"}]


def failed(**analysis: object) -> Story:
    story = Story(**{"step_weight": 20, "threshold": 1, **analysis}).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.run()
    assert story.status.phase == "Failed"
    story.metric = lambda ask: Value(key=ask.key, value=100.0)
    return story


def broken_promotion() -> Story:
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick()
    stuck = Readiness(state="stuck", text="exceeded its progress deadline")
    story.see_primary(promoted=revision("v2"), readiness=stuck).look()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 100)
    story.obedient = True
    return story.settle()


def waited_for_once_more(story: Story) -> Story:
    """Somebody scales the broken primary: its controller forgets the deadline for a while."""
    waiting = Readiness(state="waiting", text="5 out of 6 new replicas have been updated")
    return story.see_primary(readiness=waiting)


def test_retry_tries_the_failed_revision_again() -> None:
    story = failed().annotate(retry="true")
    story.look()
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v2"))
    story.run()
    assert story.status.phase == "Succeeded"
    assert [r.outcome for r in story.status.history[:2]] == ["promoted", "rolled-back"]


def test_a_retry_asks_for_leave_to_begin_like_any_start() -> None:
    story = failed(webhooks=START)
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)
    story.annotate(retry="true").look()
    assert story.status.phase == "Waiting"
    story.tick()
    assert story.status.phase == "Waiting"
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=True)
    story.tick()
    assert story.status.phase == "Progressing"
    assert story.status.requests == {"retry": "true"}


def test_a_reset_rolls_the_live_revision_out_once_more() -> None:
    story = Story(step_weight=50, max_weight=50).initialised().annotate(reset="true")
    story.look()
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v1"))
    story.run()
    assert story.status.phase == "Succeeded"
    story.tick().tick()
    assert story.status.phase == "Succeeded"


def test_going_back_to_the_promoted_revision_repairs_a_failed_promotion() -> None:
    story = broken_promotion().push("v1")
    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 100)
    assert story.intent.routes.canary == 100
    story.run()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v1"))


def test_a_newer_fix_begins_where_everybody_is_although_the_primary_is_waited_for_again() -> None:
    story = waited_for_once_more(broken_promotion().push("v3")).push("v4")
    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 100)
    story.run()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v4"))


def test_a_newer_revision_begins_from_no_traffic_where_the_primary_is_what_was_promoted() -> None:
    """Whatever is wrong with its pods for the moment: they ran it before."""
    story = Story(step_weight=100).initialised().push("v2")
    assert story.status.canary_weight == 100
    waited_for_once_more(story.see_primary(promoted=revision("v1"))).push("v3")
    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 0)


def test_a_primary_that_came_up_late_is_what_was_promoted() -> None:
    """The next revision begins on it, and going back from there is a release, not an abort."""
    story = broken_promotion().see_primary(readiness=READY)
    story.look()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 100)
    assert story.status.last_promoted_spec == revision("v2")
    assert story.status.history[0].outcome == "promoted"
    story.push("v3")
    assert story.weights[-2:] == [0, 50]
    story.push("v1")
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v1"))


def test_a_primary_that_came_up_while_its_fix_was_judged_is_what_was_promoted() -> None:
    story = broken_promotion().push("v3").see_primary(readiness=READY)
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.run()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 0)
    assert story.status.last_promoted_spec == revision("v2")


def test_going_back_in_the_middle_of_a_fix_is_a_fix_too() -> None:
    """Not an abort: the primary that would get everybody runs what failed its promotion."""
    story = broken_promotion().push("v3").push("v1")
    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 100)
    story.run()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v1"))


def test_going_back_after_a_copy_that_was_faster_than_the_rollback_is_a_release() -> None:
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick().annotate(abort="true").look()
    story.see_primary(promoted=revision("v2")).push("v1")
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v1"))
    assert story.status.last_promoted_spec == revision("v2")


def test_a_paused_canary_begins_no_rollout() -> None:
    story = Story(step_weight=20).initialised().annotate(pause="dave").push("v2").tick()
    assert story.status.phase == "Initialized"
    assert story.texts == ["paused: no step is taken until it is resumed"]
    story.annotate(pause="").look()
    assert story.status.phase == "Progressing"


def test_a_copy_that_was_faster_than_the_rollback_is_what_was_promoted() -> None:
    """The router had copied before it heard of the rollback: nothing else is true any more."""
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick().annotate(abort="true").look()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Failed", revision("v1"))
    story.see_primary(promoted=revision("v2")).look()
    assert story.status.last_promoted_spec == revision("v2")
    story.obedient = True
    story.settle().push("v1")
    assert story.status.phase == "Progressing"


def test_a_start_forgets_the_evidence_of_the_run_before() -> None:
    story = failed()
    assert story.status.canary_analysis is not None
    assert story.status.canary_analysis.failed == 1
    story.obedient = False
    story.push("v3")
    assert story.status.canary_analysis is not None
    assert (story.status.canary_analysis.failed, story.status.canary_analysis.checks) == (0, ())


def test_a_waiting_rollout_whose_target_is_set_back_starts_nothing() -> None:
    story = Story(step_weight=20, webhooks=START).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)
    story.push("v2").push("v1")
    assert story.status.phase == "Initialized"
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=True)
    story.tick().tick()
    assert story.status.phase == "Initialized"


def test_a_revision_that_was_applied_but_never_begun_is_not_lost() -> None:
    """Flagger writes a failed canary's newest hash down before it begins, and loses it there."""
    story = failed()
    story.see_primary(readiness=Readiness(state="waiting", text="not yet"))
    story.push("v3")
    story.see_primary(readiness=Readiness(state="ready")).run()
    assert story.status.last_promoted_spec == revision("v3")


def test_a_fix_that_comes_at_once_waits_until_everybody_is_on_the_canary_that_was_judged() -> None:
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick()
    stuck = Readiness(state="stuck", text="exceeded its progress deadline")
    story.see_primary(promoted=revision("v2"), readiness=stuck).look()
    story.push("v3")
    assert story.status.phase == "Failed"
    assert story.due_at is not None
    story.obedient = True
    story.settle().look()
    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 100)


def test_a_primary_that_never_came_up_was_not_promoted() -> None:
    """It was made from the target, and that is all; nothing is told of a copy."""
    story = Story(step_weight=20)
    story.obedient = False
    stuck = Readiness(state="stuck", text="exceeded its progress deadline")
    story.see_primary(found=True, promoted=revision("v1"), readiness=stuck).look()
    story.look()

    assert (story.status.phase, story.status.last_promoted_spec) == ("Failed", "")
    assert not any("was copied" in text for text in story.texts)


@pytest.mark.parametrize("match", [[], [{"headers": {"x-canary": {"exact": "insider"}}}]])
def test_a_fix_of_blue_green_and_ab_keeps_everybody_off_the_broken_primary(
    match: list[object],
) -> None:
    story = Story(iterations=1, match=match).initialised().push("v2")
    story.obedient = False
    while story.status.phase == "Progressing":
        story.settle().tick()
    stuck = Readiness(state="stuck", text="exceeded its progress deadline")
    story.see_primary(promoted=revision("v2"), readiness=stuck).look()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 100)
    story.obedient = True
    story.settle().push("v3")
    shares = set()
    while story.status.phase == "Progressing":
        shares.add((story.intent.routes.primary, story.intent.routes.match))
        story.tick()
    assert shares == {(0, ())}
    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v3"))


@pytest.mark.parametrize("kind", [RolloutStarted, RolloutRestarted])
def test_the_word_of_a_start_names_the_revision_that_starts(kind: type[Fact]) -> None:
    """Not the one before it: what people are told of one release is told under one name."""
    story = Story(step_weight=20).initialised().push("v2")
    story.look()
    if kind is RolloutRestarted:
        story.push("v3").look()

    [told] = [fact for fact in story.facts if isinstance(fact, kind)]
    assert revision("v3" if kind is RolloutRestarted else "v2") == told.revision
