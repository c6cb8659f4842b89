"""Small wrongs that the search must notice: a simulation nobody has seen fail is decoration.

Each mutant is a change of one decision, undone when the block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.sim import ring, world

from serinus.analyzer.core import analysis, decide, moment, rules
from serinus.router.core import plan, promotion, scene

Patch = pytest.MonkeyPatch


def teardown_before_traffic(patch: Patch) -> None:
    """The canary is scaled down before its share is taken away."""

    def canary_down(found: scene.Scene) -> object:
        if found.intent.workload.canary != "parked" or found.target is None or found.is_parked:
            return None
        parked = found.kind.parked(found.target)
        return plan._patched(found.target, parked, "canary down")

    patch.setattr(plan, "RULES", (canary_down, *plan.RULES))


def apex_before_primary(patch: Patch) -> None:
    """The apex and the routes do not wait for the primary."""
    patch.setattr(plan, "_unready_primary", lambda found: None)


def copy_without_revision_check(patch: Patch) -> None:
    """Whatever the target runs now is promoted."""
    patch.setattr(promotion, "_same_revision", lambda found: None)


def no_compare_and_swap(patch: Patch) -> None:
    """Status is written over whatever is there."""
    original = world.World.patch_status

    def patch_status(self: world.World, version: str, status: dict[str, object]) -> object:
        newest = self.canary["metadata"]["resourceVersion"]
        return original(self, newest, status)

    patch.setattr(world.World, "patch_status", patch_status)


def steps_before_routes_settle(patch: Patch) -> None:
    """A step counts as soon as it was ordered."""
    patch.setattr(moment.Moment, "settled", property(lambda self: True))


def threshold_ignored(patch: Patch) -> None:
    """Failed checks are counted and nothing is done about them."""
    patch.setattr(analysis, "threshold", lambda spec: 1000)


def revision_change_unseen(patch: Patch) -> None:
    """A newer revision is judged as if it were the older one."""
    kept = tuple(r for r in rules.RULES if r not in (rules.revision_changed, rules.diverged))
    patch.setattr(decide, "RULES", kept)


def intents_in_any_order(patch: Patch) -> None:
    """An outdated wish may replace a newer one."""

    def intend(self: ring.Analyzer, intent: ring.Intent) -> None:
        self.bus.intents.append(intent)

    def take(self: ring.Router, intent: ring.Intent) -> None:
        self.intent = intent

    patch.setattr(ring.Analyzer, "_intend", intend)
    patch.setattr(ring.Router, "take", take)


MUTANTS: tuple[Callable[[Patch], None], ...] = (
    teardown_before_traffic,
    apex_before_primary,
    copy_without_revision_check,
    no_compare_and_swap,
    steps_before_routes_settle,
    threshold_ignored,
    revision_change_unseen,
    intents_in_any_order,
)


@contextmanager
def mutated(mutant: Callable[[Patch], None]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        yield
