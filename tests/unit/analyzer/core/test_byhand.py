"""Abort, promote, reset, and requests that come too late: each once, with its author."""

from __future__ import annotations

import pytest
from tests.unit.analyzer.core.story import Story, revision

from serinus.analyzer.core.rollout import HookAnswer
from serinus.events import Readiness, RequestTaken, RollbackDecided

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
    assert [r.outcome for r in story.status.history] == ["", "superseded"]


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
