"""The same promises with a canary on other nodes, and the wrongs that this search must notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from tests.builders import an_analysis
from tests.sim.placed import PlacedMachine
from tests.sim.test_ring import CATCH, FIXED, HUNT, HUNTED

from serinus.events import Readiness
from serinus.router.core import scene, standins
from serinus.watcher.core import compose

Patch = pytest.MonkeyPatch
# The strategies are searched without a stand-in.
SOME = HUNT if HUNTED else settings(FIXED, max_examples=100)


@pytest.mark.timeout(3600)  # as long as SERINUS_SIM_EXAMPLES asks for
def test_the_ring_stays_safe_with_a_canary_on_other_nodes() -> None:
    run_state_machine_as_test(PlacedMachine, settings=SOME)


def share_for_a_stand_in_that_is_not_ready(patch: Patch) -> None:
    """It is ready where it is there."""
    patch.setattr(scene.Scene, "canary_readiness", Readiness("ready"))
    patch.setattr(scene.Scene, "canary_serves", property(lambda self: True))
    patch.setattr(compose, "_stood_in_for", lambda target, found, seen: target)


def stand_in_forgotten(patch: Patch) -> None:
    """It stays when the run is over."""
    patch.setattr(standins, "down", lambda found: None)


def target_first(patch: Patch) -> None:
    """The target rests before S-canary leads elsewhere."""
    patch.setattr(scene.Scene, "standin_is_selected", property(lambda self: True))


def replaced_under_its_requests(patch: Patch) -> None:
    """Whatever is pushed takes the place of what is tried at once."""
    patch.setattr(standins, "is_off", lambda routes: False)


def placed_as_the_manifest_says(patch: Patch) -> None:
    """The override is lost on the way."""
    right = standins.standin.created

    def created(target: Any, **fields: Any) -> Any:
        return right(target, **{**fields, "placement": None})

    patch.setattr(standins.standin, "created", created)


def target_never_rests(patch: Patch) -> None:
    """It is scaled down by nobody, in the run and after it."""
    patch.setattr(standins, "rest", lambda found: None)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "mutant",
    [
        share_for_a_stand_in_that_is_not_ready,
        stand_in_forgotten,
        target_first,
        replaced_under_its_requests,
        placed_as_the_manifest_says,
        target_never_rests,
    ],
    ids=lambda mutant: str(mutant.__name__),
)
def test_a_mutant_of_stand_ins_is_caught(mutant: Callable[[Patch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        with pytest.raises(AssertionError):
            run_state_machine_as_test(PlacedMachine, settings=CATCH)


def test_a_fix_gets_its_pods_although_somebody_was_in_the_routes() -> None:
    """After a failed promotion everybody is on the canary; a share that somebody had taken from it
    waited for pods of the fix, and these for the share to be gone."""
    ring = PlacedMachine()
    analysis = an_analysis(threshold=1, step_weight=50, max_weight=50)
    ring.begin(manifest=("traefik", analysis), settled=True, is_scaled=False)
    ring.release(kind="half", back=False)
    ring.push(kind="good")
    ring.somebody_edits_the_route(weight=100, gone=False)
    ring.teardown()
