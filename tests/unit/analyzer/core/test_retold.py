"""What a crash left untold, told plainly; and everything else left alone."""

import pytest
from tests.builders import NEW, T0, a_rollout, a_status

from serinus.analyzer.core.retold import is_told, plainly, witnesses
from serinus.events import Promoted, PromotionFailed, RolledBack, WeightAdvanced

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


def test_a_phase_without_an_outcome_has_nothing_to_tell() -> None:
    assert plainly(a_rollout("Initialized"), SOON) is None
