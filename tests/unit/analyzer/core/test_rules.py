"""The list of rules: its order, and the rules that are in the file itself."""

from __future__ import annotations

import inspect

import pytest
from tests.unit.analyzer.core.story import READY, Story, revision

from serinus.analyzer.core import rules
from serinus.events import Readiness

BEFORE = [
    ("deleted", "suspended", "what is being deleted is put back even while it is suspended"),
    ("suspended", "initialising", "a suspended canary begins nothing"),
    ("refused", "initialising", "a manifest that cannot work begins nothing"),
    ("foreign_hash", "revision_changed", "another controller's hash is no new revision"),
    ("set_back", "revision_changed", "the promoted revision is not restarted but withdrawn"),
    ("abort_requested", "new_revision", "an abort ends a rollout that waits"),
    ("rollback_requested", "canary_not_ready", "a rollback hook works before the pods are ready"),
    ("revision_changed", "under_analysis", "an outdated revision is not judged"),
    ("canary_not_ready", "promotion_requested", "pods that are not ready are not promoted"),
    ("canary_not_ready", "skipping_analysis", "nor is their analysis skipped"),
    ("unused", "new_revision", "an old request does not start what comes after it"),
]


@pytest.mark.parametrize(("first", "second", "because"), BEFORE)
def test_the_order_is_part_of_the_meaning(first: str, second: str, because: str) -> None:
    names = [rule.__name__ for rule in rules.RULES]
    assert names.index(first) < names.index(second), because


def test_every_rule_says_what_it_is_for_and_comes_once() -> None:
    assert len(set(rules.RULES)) == len(rules.RULES)
    assert all(inspect.getdoc(rule) for rule in rules.RULES)


def test_the_last_rule_always_answers() -> None:
    assert rules.RULES[-1] is rules.quiet


def test_the_routers_silence_is_told_after_two_intervals() -> None:
    story = Story(step_weight=20).initialised().push("v2")
    story.obedient = False
    story.routes = None
    story.tick()
    assert rules.ROUTER_SILENT not in story.texts
    story.tick().tick()
    assert story.texts.count(rules.ROUTER_SILENT) == 1


def test_an_error_of_the_router_is_told_at_once_and_once() -> None:
    story = Story(step_weight=20).initialised().push("v2")
    story.obedient = False
    story.report(error="traefikservices is forbidden").look()
    story.tick().tick()
    assert story.texts.count("traefikservices is forbidden") == 1


def test_a_crash_before_any_traffic_waits_for_the_deadline() -> None:
    story = Story(iterations=3).initialised()
    crashing = Readiness(state="waiting", text="0 of 2", crash="CrashLoopBackOff")
    story.see_target(readiness=crashing).push("v2")
    assert story.status.phase == "Progressing"
    story.see_target(readiness=READY).look()
    story.see_target(readiness=crashing).look()
    assert story.status.phase == "Failed", "from the first iteration on somebody may be served"


def test_a_revision_pushed_while_the_primary_comes_up_is_released_afterwards() -> None:
    """The primary was made from the one before; taking both for the same would lose it."""
    story = Story(step_weight=50, max_weight=50)
    story.obedient = False
    story.look()
    story.see_target(revision=revision("v2"))
    story.see_primary(found=True, promoted=revision("v1"), readiness=READY)
    story.settle().look()
    assert revision("v1") in {s.last_promoted_spec for s in story.statuses}
    story.obedient = True
    story.settle().run()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v2"))
