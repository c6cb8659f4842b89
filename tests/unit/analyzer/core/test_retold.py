"""What a crash left untold, told plainly; and everything else left alone."""

from typing import Any

import pytest
from tests.builders import (
    NEW,
    OLD,
    T0,
    a_canary_spec,
    a_hook,
    a_rollout,
    a_status,
    an_analysis,
)
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.retold import is_told, left, plainly, witnesses
from serinus.analyzer.core.rollout import Rollout
from serinus.analyzer.core.times import rfc3339
from serinus.events import HookAnswered, Promoted, PromotionFailed, RolledBack, WeightAdvanced
from serinus.events.canary import Release

SOON = T0 + 60


def test_ends_and_weights_have_witnesses() -> None:
    assert witnesses(a_rollout("Succeeded"), SOON) == (Promoted,)
    assert RolledBack in witnesses(a_rollout("Failed"), SOON)
    advanced = a_rollout(status=a_status("Progressing", canary_weight=20))
    assert WeightAdvanced in witnesses(advanced, SOON)


@pytest.mark.parametrize("phase", ["", "Initialized", "Waiting", "Promoting", "Progressing"])
def test_what_decides_again_by_itself_needs_none(phase: str) -> None:
    assert witnesses(a_rollout(phase), SOON) == ()


def test_an_old_step_is_left_alone() -> None:
    assert witnesses(a_rollout("Succeeded"), T0 + 601) == ()


def test_another_controllers_step_is_left_alone() -> None:
    foreign = a_status("Succeeded", last_applied_spec="7b9c6f5d48")

    assert witnesses(a_rollout(status=foreign), SOON) == ()


def test_a_fact_of_the_same_moment_or_later_tells_the_step() -> None:
    """Statuses are stamped to the millisecond, facts are not."""
    rollout = a_rollout("Succeeded")
    ref = rollout.seen.canary

    assert is_told(rollout, Promoted(canary=ref, at=T0 + 0.0004))
    assert is_told(rollout, Promoted(canary=ref, at=T0 - 0.001))
    assert not is_told(rollout, Promoted(canary=ref, at=T0 - 5))
    assert not is_told(rollout, None)


def test_the_plain_words_are_the_usual_ones() -> None:
    promoted = plainly(a_rollout("Succeeded"), SOON)
    assert isinstance(promoted, Promoted)
    assert promoted.text == "Promotion completed! Scaling down web.shop"
    assert promoted.alert is not None

    rolled_back = plainly(a_rollout("Failed"), SOON)
    assert isinstance(rolled_back, RolledBack)
    assert rolled_back.text == "Canary failed! Scaling down web.shop"
    assert rolled_back.alert is not None
    assert rolled_back.alert.severity == "error"

    advanced = plainly(a_rollout(status=a_status("Progressing", canary_weight=40)), SOON)
    assert isinstance(advanced, WeightAdvanced)
    assert (advanced.text, advanced.canary_weight) == ("Advance web.shop canary weight 40", 40)


def test_a_failed_promotion_is_told_as_one() -> None:
    status = a_status("Failed", canary_weight=100)

    told = plainly(a_rollout(status=status), SOON)

    assert isinstance(told, PromotionFailed)
    assert told.severity == "Warning"
    assert told.revision == NEW


def test_telling_it_plainly_twice_is_telling_it_once() -> None:
    first, second = plainly(a_rollout("Failed"), SOON), plainly(a_rollout("Failed"), SOON + 9)

    assert first is not None
    assert second is not None
    assert first.id == second.id


def test_a_step_has_the_id_under_which_it_is_told_again() -> None:
    """Whoever hears both, as the bus lost its memory in between, hears one."""
    story = Story(step_weight=20, max_weight=40).initialised().push("v2")
    retold: list[str] = []
    while story.status.phase != "Succeeded":
        before = story.status
        story.tick(60.0)
        if story.status.last_transition_time != before.last_transition_time:
            plain = plainly(story.rollout, story.now)
            retold += [plain.id] if plain else []
    told = {f.id for f in story.facts if isinstance(f, WeightAdvanced | Promoted)}

    assert len(retold) == 2
    assert set(retold) <= told


def test_a_phase_without_an_outcome_has_nothing_to_tell() -> None:
    assert plainly(a_rollout("Initialized"), SOON) is None


# --- hooks after the end -------------------------------------------------------------------------


def ended(phase: str, *types: str, **status: Any) -> Rollout:
    hooks = tuple(a_hook(f"the-{kind}", type=kind) for kind in types)
    spec = a_canary_spec(analysis=an_analysis(webhooks=hooks))
    return a_rollout(status=a_status(phase, **status), spec=spec)


def answered(rollout: Rollout, kind: str, at: float = T0 + 1) -> HookAnswered:
    return HookAnswered(canary=rollout.seen.canary, at=at, hook=f"the-{kind}", hook_type=kind)


def test_hooks_after_the_end_whose_answer_nobody_knows_are_asked_again() -> None:
    failed = ended("Failed", "on-rollback", "post-rollout", "rollout")
    word = RolledBack(canary=failed.seen.canary, at=T0)

    found = left(failed, SOON, [word, answered(failed, "post-rollout", T0 - 60)])

    assert found is not None
    assert [ask.hook.type for ask in found.after] == ["on-rollback", "post-rollout"]
    assert {ask.phase for ask in found.after} == {"Failed"}
    assert (found.facts, found.after_facts) == ((), ())
    assert left(failed, SOON, [word, answered(failed, "post-rollout")]) is None


def test_a_failed_promotion_has_no_hooks_of_a_rollback() -> None:
    failed = ended("Failed", "on-rollback", "post-rollout", canary_weight=100)

    found = left(failed, SOON, [])

    assert found is not None
    assert [ask.hook.type for ask in found.after] == ["post-rollout"]
    assert isinstance(found.facts[0], PromotionFailed)


def test_the_word_of_a_promotion_comes_after_its_hooks() -> None:
    promoted = ended("Succeeded", "post-rollout")

    found = left(promoted, SOON, [])
    assert found is not None
    assert found.facts == ()
    assert [type(fact) for fact in found.after_facts] == [Promoted]

    found = left(promoted, SOON, [answered(promoted, "post-rollout")])
    assert found is not None
    assert ([type(fact) for fact in found.facts], found.after) == ([Promoted], ())


def test_other_hooks_say_nothing_about_those_after_the_end() -> None:
    promoted = ended("Succeeded", "post-rollout")

    found = left(promoted, SOON, [answered(promoted, "confirm-promotion")])

    assert found is not None
    assert len(found.after) == 1


def test_what_was_undone_is_told_as_such() -> None:
    undone = Release(revision=NEW, outcome="undone", ended_at=rfc3339(T0))
    told = plainly(a_rollout(status=a_status("Failed", history=(undone,))), SOON)

    assert isinstance(told, RolledBack)
    assert told.text == f"Primary of web.shop is back at revision {OLD}"
