"""Abort, promote, reset, and requests that come too late: each once, with its author."""

from __future__ import annotations

import pytest
from tests.unit.analyzer.core.story import Story, revision

from serinus.analyzer.core.retold import plainly
from serinus.analyzer.core.rollout import HookAnswer, Value
from serinus.events import PromotionFailed, Readiness, RequestTaken, RollbackDecided
from serinus.events.canary import Undo

STUCK = Readiness(state="stuck", text="exceeded its progress deadline")
LATE = Readiness(state="waiting", text="0 of 2 updated replicas are available")
START = [{"name": "start", "type": "confirm-rollout", "url": "http://h/start"}]


def running() -> Story:
    return Story(step_weight=20, max_weight=60).initialised().push("v2").tick()


def refuse(story: Story) -> None:
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)


def test_an_abort_ends_the_run_at_once_and_says_who() -> None:
    story = running().annotate(abort="alice: 500s in the shop")
    story.look()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 0)
    assert story.status.history[0].outcome == "rolled-back"
    assert story.status.history[0].by == "alice: 500s in the shop"
    taken = next(f for f in story.facts if isinstance(f, RequestTaken))
    assert (taken.verb, taken.by) == ("abort", "alice: 500s in the shop")
    assert ("warn", "Rolling back on request") in story.alerts


def test_an_abort_works_while_the_canarys_pods_are_not_ready() -> None:
    story = Story(step_weight=20).initialised()
    story.see_target(readiness=LATE).push("v2").annotate(abort="true").look()
    assert story.status.phase == "Failed"


def test_an_abort_works_while_the_rollout_waits_and_the_revision_stays_refused() -> None:
    story = Story(step_weight=20, webhooks=START).initialised()
    refuse(story)
    story.push("v2").annotate(abort="true").look()
    assert story.status.phase == "Failed"
    assert story.status.last_applied_spec == revision("v2")
    story.tick().tick()
    assert story.status.phase == "Failed"


def test_an_abort_works_before_the_copy_and_not_after_it() -> None:
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick()
    assert story.status.phase == "Promoting"
    copied = Story(step_weight=50, max_weight=50).initialised().push("v2")
    copied.obedient = False
    copied.tick().see_primary(promoted=revision("v2"))
    for one in (story, copied):
        one.annotate(abort="true").look()
    assert (story.status.phase, copied.status.phase) == ("Failed", "Promoting")
    assert "Nothing to abort for web.test" in copied.texts


def test_a_request_is_acted_upon_once_for_each_value() -> None:
    story = running().annotate(abort="once")
    story.look()
    story.push("v3").tick()
    assert story.status.phase == "Progressing"
    story.annotate(abort="twice").look()
    assert story.status.phase == "Failed"


def test_taking_an_annotation_away_makes_room_for_the_same_value() -> None:
    story = running().annotate(abort="true")
    story.look()
    story.annotate(abort="").look()
    assert story.status.requests is None
    story.push("v3").annotate(abort="true").look()
    assert story.status.phase == "Failed"


def test_promote_now_copies_without_further_steps_and_says_who() -> None:
    story = running().annotate(promote="bob")
    story.look()
    assert story.status.phase == "Succeeded"
    assert story.status.last_promoted_spec == revision("v2")
    assert (story.status.history[0].outcome, story.status.history[0].by) == ("promoted", "bob")
    assert "Promote of web.test requested by bob" in story.texts


def test_promote_now_waits_for_the_canarys_pods() -> None:
    story = Story(step_weight=20).initialised()
    story.see_target(readiness=LATE).push("v2").annotate(promote="true").look()
    assert story.status.phase == "Progressing"
    story.see_target(readiness=Readiness("ready")).look()
    assert story.status.phase == "Succeeded"


def test_promote_now_is_about_the_revision_that_was_seen() -> None:
    """A newer one that comes in the same moment is judged."""
    story = running().annotate(promote="true")
    story.push("v3")
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v3"))
    assert story.status.requests == {"promote": "true"}


def test_promote_now_opens_the_gate_of_a_rollout_that_waits() -> None:
    story = Story(step_weight=20, webhooks=START).initialised()
    refuse(story)
    story.push("v2").annotate(promote="true").look()
    assert story.status.phase == "Succeeded"


def test_a_reset_begins_the_running_rollout_anew() -> None:
    story = running().annotate(reset="true")
    assert story.status.canary_weight == 40
    story.obedient = False
    story.look()
    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 0)
    assert [r.outcome for r in story.status.history[:2]] == ["", "superseded"]


@pytest.mark.parametrize("verb", ["approve", "promote", "abort", "retry"])
def test_a_request_that_has_nothing_to_do_does_not_lie_in_wait(verb: str) -> None:
    story = Story(step_weight=20).initialised().annotate(**{verb: "true"})
    story.look()
    assert story.status.requests == {verb: "true"}
    assert story.texts == [f"Nothing to {verb} for web.test"]
    stamp = story.status.last_transition_time
    story.push("v2")
    assert (story.status.phase, story.status.canary_weight) == ("Progressing", 20)
    assert stamp < story.status.last_transition_time


def test_what_lay_there_before_the_first_status_is_not_acted_upon() -> None:
    story = Story(step_weight=20).annotate(reset="true", abort="true")
    story.look()
    story.tick()
    assert story.status.phase == "Initialized"
    assert story.status.requests == {"reset": "true", "abort": "true"}


def test_the_rollback_of_an_abort_says_why() -> None:
    story = running().annotate(abort="true")
    story.look()
    decided = next(f for f in story.facts if isinstance(f, RollbackDecided))
    assert decided.text == "Rolling back web.test on request"


# --- undo ----------------------------------------------------------------------------------------


def released(**analysis: object) -> Story:
    """v2 is live for everybody, v1 was before."""
    story = Story(**{"step_weight": 50, "max_weight": 50, **analysis}).initialised().push("v2")
    story.run()
    assert story.status.phase == "Succeeded"
    story.facts.clear()
    return story


def test_an_undo_gives_the_primary_what_was_live_before_and_says_who() -> None:
    story = released().annotate(undo="alice: bad at checkout")
    story.look()

    assert (story.status.phase, story.status.last_promoted_spec) == ("Failed", revision("v1"))
    assert story.seen.primary.promoted == revision("v1")
    assert [(r.revision, r.outcome, r.by) for r in story.status.history] == [
        (revision("v2"), "undone", "alice: bad at checkout"),
        (revision("v1"), "promoted", ""),
    ]
    taken = next(f for f in story.facts if isinstance(f, RequestTaken))
    assert (taken.verb, taken.by) == ("undo", "alice: bad at checkout")
    assert ("warn", "Going back to the previously promoted revision on request") in story.alerts
    assert "Primary of web.test is back at revision s1-v1" in story.texts


def test_an_undo_waits_for_the_primary_and_moves_no_traffic() -> None:
    story = released()
    story.obedient = False
    story.annotate(undo="alice").look()

    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v2"))
    assert story.intent.workload.undo == Undo(revision=revision("v1"), configs={})
    assert (story.intent.routes.primary, story.intent.workload.promote) == (100, False)
    story.tick().tick()
    assert story.status.phase == "Succeeded"


def test_what_was_undone_is_not_tried_again_by_itself_and_a_fix_is() -> None:
    """A Git repository still says v2: the target is the user's, and is left alone."""
    story = released().annotate(undo="alice")
    story.look()
    story.tick().tick()
    assert story.status.phase == "Failed"
    story.push("v3").run()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v3"))


def test_what_was_undone_may_be_retried_and_is_judged_again() -> None:
    story = released().annotate(undo="alice")
    story.look()
    story.annotate(retry="bob").look()
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v2"))


def test_undoing_twice_goes_back_twice_and_never_to_what_failed() -> None:
    story = released().push("v3")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.run()
    story.metric = lambda ask: Value(key=ask.key, value=100.0)
    story.push("v4").run()
    assert story.status.last_promoted_spec == revision("v4")
    for who, back in (("alice", "v2"), ("bob", "v1")):
        story.annotate(undo=who).look()
        assert story.status.last_promoted_spec == revision(back)
    story.annotate(undo="carol").look()
    assert story.status.last_promoted_spec == revision("v1")
    assert "no earlier revision that was live is on record" in story.texts[-1]


def test_an_undo_with_nothing_before_it_is_told_and_does_not_lie_in_wait() -> None:
    story = Story(step_weight=50, max_weight=50).initialised().annotate(undo="alice")
    story.look()
    assert story.texts == [
        "Nothing to undo for web.test: no earlier revision that was live is on record"
    ]
    story.push("v2").run()
    assert story.status.last_promoted_spec == revision("v2")


def test_an_undo_in_mid_run_is_told_to_have_nothing_to_do() -> None:
    """What runs is withdrawn by abort; nothing of it is live."""
    story = running().annotate(undo="alice")
    story.look()
    assert story.status.phase == "Progressing"
    assert "Nothing to undo for web.test" in story.texts


def test_after_a_failed_promotion_an_undo_brings_the_primary_back_and_then_its_traffic() -> None:
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick().see_primary(promoted=revision("v2"), readiness=STUCK).look()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 100)

    story.annotate(undo="alice").look()
    assert (story.intent.routes.canary, story.intent.workload.canary) == (100, "running")
    story.settle().look()

    assert (story.status.phase, story.status.canary_weight) == ("Failed", 0)
    assert (story.intent.routes.primary, story.intent.workload.canary) == (100, "parked")
    assert story.status.last_promoted_spec == revision("v1")


def test_an_undo_whose_primary_does_not_come_up_alerts_and_leaves_traffic_alone() -> None:
    story = released()
    story.obedient = False
    story.annotate(undo="alice").look()
    story.see_primary(promoted=revision("v1"), readiness=STUCK).look()

    assert (story.status.phase, story.intent.routes.primary) == ("Failed", 100)
    assert story.status.undo is None
    assert story.alerts[-1][0] == "error"
    assert story.alerts[-1][1].startswith("Going back failed, primary not ready")


def failed_undo() -> Story:
    """v2 was to go, but the primary does not come up with v1; its old pods serve on."""
    story = released()
    story.obedient = False
    story.annotate(undo="alice").look()
    story.see_primary(promoted=revision("v1"), revision=revision("v1"), readiness=STUCK).tick()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 0)
    story.obedient = True
    story.statuses.clear()
    return story.settle()


@pytest.mark.parametrize("readiness", [STUCK, LATE], ids=lambda r: r.state)
def test_a_fix_after_a_failed_undo_is_judged_step_by_step_and_repairs_the_primary(
    readiness: Readiness,
) -> None:
    """Whether its controller has given the primary up or waits for it once more."""
    story = failed_undo().see_primary(readiness=readiness).push("v3")
    story.run()
    assert story.weights == [0, 50, 0]
    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v3"))


def test_a_fix_after_a_failed_undo_that_fails_itself_goes_back_to_who_served() -> None:
    story = failed_undo()
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.push("v3").run()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 0)
    story.metric = lambda ask: Value(key=ask.key, value=100.0)
    story.push("v4").run()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v4"))


def test_a_failed_undo_that_nobody_was_told_of_is_told_as_one() -> None:
    story = failed_undo()
    told = plainly(story.rollout, story.now)
    assert isinstance(told, PromotionFailed)
    assert [told.id] == [f.id for f in story.facts if isinstance(f, PromotionFailed)]


def test_after_a_failed_undo_going_back_is_a_release_like_any_other() -> None:
    """Of what the primary was given nothing is live: neither v1 nor v2 may be taken for that."""
    story = failed_undo().push("v1")
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v1"))
    story = failed_undo().push("v3").push("v2")
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v2"))


def test_a_primary_that_comes_up_late_with_what_was_live_before_has_it_on_record() -> None:
    story = failed_undo()
    assert story.status.last_promoted_spec == revision("v2")
    story.see_primary(readiness=Readiness(state="ready")).look()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Failed", revision("v1"))
    assert story.status.history[0].outcome == "undone"


def test_an_undo_that_the_router_refuses_is_told_and_given_up() -> None:
    story = released()
    story.obedient = False
    story.annotate(undo="alice").look()
    story.report(refused="Lost", error="web-primary.test keeps no template of s1-v1 any more")
    story.look()

    assert (story.status.phase, story.status.undo) == ("Succeeded", None)
    assert story.texts[-1] == (
        "Cannot go back web.test: web-primary.test keeps no template of s1-v1 any more"
    )
    assert story.status.last_promoted_spec == revision("v2")


def test_a_revision_that_comes_while_undoing_begins_when_the_primary_has_what_was_live() -> None:
    story = released()
    story.obedient = False
    story.annotate(undo="alice").look()
    story.push("v3")
    assert story.status.phase == "Succeeded", "the record must say what the primary runs"
    story.see_primary(promoted=revision("v1"), readiness=LATE).look()
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v3"))
    assert story.status.last_promoted_spec == revision("v1")


def test_an_undo_in_a_dry_run_says_what_it_would_do() -> None:
    story = released().edit(dry_run=True)
    story.annotate(undo="alice").look()
    assert story.status.undo is None
    assert any(t.startswith("Dry run: Going back web.test to revision s1-v1") for t in story.texts)


def test_a_paused_or_suspended_canary_may_and_may_not_be_undone() -> None:
    """Pausing takes no further step; suspending changes nothing at all."""
    paused, suspended = released().annotate(pause="bob"), released().edit(suspend=True)
    for story in (paused, suspended):
        story.annotate(undo="alice").look()
    assert (paused.status.phase, suspended.status.phase) == ("Failed", "Succeeded")
