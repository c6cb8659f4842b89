"""Small wrongs that the search must notice: a simulation nobody has seen fail is decoration.

Each mutant is a change of one decision, undone when the block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from tests.sim import ring, world

from serinus.analyzer.core import (
    analysis,
    byhand,
    decide,
    desired,
    ends,
    gates,
    moment,
    polls,
    requests,
    rules,
    starts,
    steps,
)
from serinus.analyzer.core import status as status_module
from serinus.analyzer.shell.remember import Memory
from serinus.events import CanaryObserved, CanaryStatus, Intent, Routes, Workload, canary
from serinus.kube.partition import PARKED, selects_revision
from serinus.router.core import capacity, inplace, plan, promotion, scene
from serinus.router.workloads import earlier

Patch = pytest.MonkeyPatch


def teardown_before_traffic(patch: Patch) -> None:
    """The canary is scaled down before its share is taken away."""

    def canary_down(found: scene.Scene) -> object:
        if found.intent.workload.canary != "parked" or found.target is None or found.is_parked:
            return None
        parked = found.kind.parked(found.target)
        return plan.patched(found.target, parked, "canary down")

    patch.setattr(plan, "RULES", (canary_down, *plan.RULES))


def baseline_forgotten(patch: Patch) -> None:
    """The baseline stays when nothing is compared with it any more."""
    patch.setattr(plan, "RULES", tuple(r for r in plan.RULES if r is not plan.baseline_down))


def baseline_of_the_target(patch: Patch) -> None:
    """The baseline runs what the canary runs."""
    right = plan.baseline_up

    def baseline_up(found: scene.Scene) -> object:
        wrong = scene.Scene(found.intent, found.world)
        if found.primary is not None and found.target is not None:
            wrong.primary = {**found.primary, "spec": found.target["spec"]}
        return right(wrong)

    rules = tuple(baseline_up if rule is right else rule for rule in plan.RULES)
    patch.setattr(plan, "RULES", rules)


def apex_before_primary(patch: Patch) -> None:
    """The apex and the routes do not wait for the primary."""
    _ready_at_once(patch)


def share_before_addresses(patch: Patch) -> None:
    """Pods that are ready get requests, whether proxies can know them or not."""
    patch.setattr(capacity, "unknown_canary", lambda found: None)


def copy_without_revision_check(patch: Patch) -> None:
    """Whatever the target runs now is promoted."""
    patch.setattr(promotion, "same_revision", lambda found: None)


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
    _without(patch, rules.revision_changed, rules.diverged)


def intents_in_any_order(patch: Patch) -> None:
    """An outdated wish may replace a newer one."""

    def intend(self: ring.Analyzer, intent: ring.Intent) -> None:
        self.bus.intents.append(intent)

    def take(self: ring.Router, intent: ring.Intent) -> None:
        self.intent = intent

    patch.setattr(ring.Analyzer, "_intend", intend)
    patch.setattr(ring.Router, "take", take)


# --- strategies ----------------------------------------------------------------------------------


def weights_overshoot(patch: Patch) -> None:
    """A step goes a little further than the manifest says."""
    patch.setattr(steps, "next_weight", lambda spec, current: min(100, current + 37))


def switch_before_the_iterations_are_over(patch: Patch) -> None:
    """Blue/green sends everybody to the canary at the first iteration."""
    _routes(patch, lambda found, status: _all_to_canary(found) if status.iterations == 1 else found)


def experiment_on_everybody(patch: Patch) -> None:
    """A/B conditions are forgotten once the experiment runs."""

    def widened(found: Routes, status: CanaryStatus) -> Routes:
        return replace(found, match=()) if found.canary else found

    def exposed(rollout: Any) -> Any:
        found = right(rollout)
        return replace(found, match=()) if rollout.status.iterations else found

    right = desired._exposure
    _routes(patch, widened)
    patch.setattr(desired, "_exposure", exposed)


def mirror_without_end(patch: Patch) -> None:
    """Mirroring never becomes real traffic."""
    patch.setattr(steps, "mirror_is_complete", lambda analysis, rounds: False)


def mirror_beyond_its_maximum(patch: Patch) -> None:
    """maxMirrorWeight is no maximum."""
    patch.setattr(
        desired,
        "mirror_weight",
        lambda analysis, rounds: min(100, analysis.mirror_weight + rounds * 50),
    )


def implicit_weights_after_a_rollback(patch: Patch) -> None:
    """A failed run keeps its share."""
    _status_of(patch, ends, "roll_back", lambda m, new: replace(new, canary_weight=40))


def interval_ignored(patch: Patch) -> None:
    """Checks and steps come as soon as routes have settled."""
    patch.setattr(moment.Moment, "round", property(lambda self: 1))


def threshold_off_by_one(patch: Patch) -> None:
    """One failed check more than the manifest allows."""
    patch.setattr(analysis, "threshold", lambda spec: canary.threshold(spec) + 1)


def checks_that_always_pass(patch: Patch) -> None:
    """Metrics are asked and not looked at."""
    judged = analysis.judged
    patch.setattr(analysis, "judged", lambda m, question: replace(judged(m, question), passed=True))


def gate_ignored(patch: Patch) -> None:
    """A refusal of a confirm hook changes nothing."""
    patch.setattr(steps, "gate", lambda m, kind, facts: (None, facts))


# --- going back ----------------------------------------------------------------------------------


def rollback_hooks_unheard(patch: Patch) -> None:
    _without(patch, rules.rollback_requested)


def abort_unheard(patch: Patch) -> None:
    _without(patch, rules.abort_requested)


def requests_forgotten(patch: Patch) -> None:
    """What was done by hand is done again at every look."""
    patch.setattr(requests, "done", lambda seen, status, taken: status.requests)


def pause_ignored(patch: Patch) -> None:
    patch.setattr(moment.Moment, "paused", property(lambda self: False))


def hold_ignored(patch: Patch) -> None:
    """A suspended canary is worked on."""
    patch.setattr(desired, "_holds", lambda rollout, found: False)
    _without(patch, rules.suspended)
    hold = desired.desired

    def held(rollout: Any, found: Any = None) -> Intent:
        return replace(hold(rollout, found), hold=rollout.spec.suspend)

    patch.setattr(ring, "desired", held)
    patch.setattr(plan, "next_step", _unheld(plan.next_step))


def failure_is_final(patch: Patch) -> None:
    """After a failed run nothing new begins."""
    patch.setattr(starts, "QUIET_PHASES", frozenset({"Initialized", "Succeeded"}))


def failed_revision_is_tried_again_by_itself(patch: Patch) -> None:
    patch.setattr(starts, "_is_new", lambda m: not m.is_promoted)


def revision_swallowed_by_the_rollback(patch: Patch) -> None:
    """The newest template is written down as the failed one, whether it was begun or not."""

    def swallow(m: Any, new: CanaryStatus) -> CanaryStatus:
        return replace(new, last_applied_spec=m.seen.target.revision)

    _status_of(patch, ends, "roll_back", swallow)
    _without(patch, rules.revision_changed)


def undo_unheard(patch: Patch) -> None:
    _without(patch, rules.undo_requested)


def undo_by_whatever_is_kept(patch: Patch) -> None:
    """The oldest template that the primary ran is taken for the one that was live."""

    def earlier_target(self: scene.Scene, undo: canary.Undo) -> object:
        assert self.target is not None
        labels = self.world.options.selector_labels
        kept = (self.world.earlier or ())[-1]
        return earlier.target(self.target, kept, self.selector, (), labels)

    patch.setattr(scene.Scene, "earlier_target", earlier_target)


def undone_record_forgotten(patch: Patch) -> None:
    """The record keeps the revision that was undone, and nobody compares it with the primary."""
    _without(patch, rules.copied_after_all)
    _status_of(
        patch,
        ends,
        "go_back",
        lambda m, new: replace(new, last_promoted_spec=m.status.last_promoted_spec),
    )


def what_was_undone_comes_back(patch: Patch) -> None:
    """The target still runs it, and it is taken for a new revision."""
    _status_of(
        patch,
        ends,
        "go_back",
        lambda m, new: replace(new, last_applied_spec=new.last_promoted_spec),
    )


# --- promotion and its failures ------------------------------------------------------------------


def promoted_without_being_asked(patch: Patch) -> None:
    """The primary gets the new revision while it is still analysed."""
    _workload(patch, lambda found, status: replace(found, promote=bool(status.canary_weight)))


def parked_while_promoting(patch: Patch) -> None:
    """The canary goes before the primary has its traffic."""
    _workload(
        patch,
        lambda found, status: (
            replace(found, canary="parked") if status.phase == "Promoting" else found
        ),
    )
    teardown_before_traffic(patch)


def lost_primary_unnoticed(patch: Patch) -> None:
    """A primary that does not come up is waited for, for ever."""
    patch.setattr(rules, "_primary_is_lost", lambda m: False)


def stuck_canary_unnoticed(patch: Patch) -> None:
    """Pods that never come up are waited for, for ever."""
    _without(patch, rules.canary_not_ready)


def canary_parked_after_a_failed_promotion(patch: Patch) -> None:
    """Nobody serves any more."""
    patch.setattr(desired, "failed_promotion", lambda status: False)


def fix_behind_the_broken_primary(patch: Patch) -> None:
    """The fixing revision begins with all traffic on the primary that is broken."""
    patch.setattr(starts, "failed_promotion", lambda status: False)
    _without(patch, rules.copied_after_all)


def promoted_before_the_primary_is_ready(patch: Patch) -> None:
    """Traffic returns as soon as the copy was made."""
    _ready_at_once(patch)
    steps_before_routes_settle(patch)


def live_revision_mistaken(patch: Patch) -> None:
    """At the beginning the target's revision is taken for the primary's."""
    patch.setattr(rules, "_live_revision", lambda m: m.seen.target.revision)


def copy_that_was_too_fast_unnoticed(patch: Patch) -> None:
    """The record keeps the old revision although the primary took the new one."""
    _without(patch, rules.copied_after_all)


def primary_at_the_mercy_of_its_autoscaler(patch: Patch) -> None:
    """It is as small as its share when everybody comes back."""
    patch.setattr(promotion, "_least_size", lambda found, live, scaler: 0)


def size_given_up_too_soon(patch: Patch) -> None:
    """What was kept for everybody is let go with the first step of the canary."""
    patch.setattr(plan, "RULES", (promotion.autoscaler_freed, *plan.RULES))
    patch.setattr(promotion.floors, "KEPT_S", 0.0)
    held = promotion._held_scaler

    def always(found: scene.Scene) -> object:
        workload = replace(found.intent.workload, canary="parked")
        intent = replace(found.intent, workload=workload)
        return held(scene.Scene(intent, found.world)) if found.intent.routes.canary else None

    patch.setattr(promotion, "_held_scaler", always)
    patch.setattr(promotion, "_least_size", _once(promotion._least_size))


def _once(right: Callable[..., int]) -> Callable[..., int]:
    """Only before the canary has a share."""

    def size(found: scene.Scene, live: Any, scaler: Any) -> int:
        return 0 if found.intent.routes.canary else right(found, live, scaler)

    return size


# --- StatefulSets --------------------------------------------------------------------------------


def border_without_measure(patch: Patch) -> None:
    """All pods but one are let through for any share."""
    patch.setattr(inplace, "_needed", lambda found, parts: parts.size - 1)


def share_before_its_pods(patch: Patch) -> None:
    """The share is what is asked for, whatever pods there are."""
    patch.setattr(scene, "eased", lambda asked, parts, seen: asked)


def pods_back_before_traffic(patch: Patch) -> None:
    """A rollback begins with the pods."""
    patch.setattr(plan, "IN_PLACE", (_border_up, inplace.made_one, *plan.IN_PLACE))


def _border_up(found: scene.Scene) -> object:
    if found.intent.workload.canary != "parked" or found.target is None:
        return None
    return inplace._moved(found.target, PARKED, "canary down")


def pods_left_as_they_are(patch: Patch) -> None:
    """The border goes up and nothing is made anew."""
    patch.setattr(plan, "IN_PLACE", tuple(r for r in plan.IN_PLACE if r is not inplace.made_one))


def pods_back_all_at_once(patch: Patch) -> None:
    """Whether the others are ready is not looked at."""
    patch.setattr(inplace, "is_ready", lambda pod: True)


def template_let_through_in_mid_promotion(patch: Patch) -> None:
    """The border stays at 0 for whatever comes."""
    patch.setattr(plan, "IN_PLACE", tuple(r for r in plan.IN_PLACE if r is not inplace.stopped))


def services_narrowed_before_the_promotion_is_over(patch: Patch) -> None:
    """S leads to the old revision while its pods go."""
    patch.setattr(scene, "primary_selects", _narrow)


def _narrow(target: Any, found: Any, held: Any, *, promote: bool) -> object:
    return selects_revision(target, found.current)


def stuck_promotion_serves_from_the_canary(patch: Patch) -> None:
    """As if there were a canary of its own."""
    patch.setattr(rules, "_lost_primary", rules.fail_promotion)


# --- news ----------------------------------------------------------------------------------------


def old_news_believed(patch: Patch) -> None:
    """A snapshot from before our own write replaces what we wrote."""

    def take(self: Memory, seen: CanaryObserved) -> bool:
        self.current = seen
        return True

    patch.setattr(Memory, "take", take)
    no_compare_and_swap(patch)


def reports_of_other_intents_believed(patch: Patch) -> None:
    """Whatever the router last said counts for what is wanted now."""
    patch.setattr(moment.Moment, "answered", property(lambda self: self.rollout.routes))


def stamps_that_stand_still(patch: Patch) -> None:
    """All statuses are of one time: newer and older intents look the same."""
    stamped = status_module.remembered

    def frozen(status: CanaryStatus, at: float, kind: str, **changes: Any) -> CanaryStatus:
        return replace(
            stamped(status, at, kind, **changes), last_transition_time="2026-01-01T00:00:00.000Z"
        )

    patch.setattr(moment, "remembered", frozen)


# --- how to do wrong -----------------------------------------------------------------------------


def _without(patch: Patch, *left_out: object) -> None:
    """Some rules do not exist."""
    patch.setattr(decide, "RULES", tuple(r for r in decide.RULES if r not in left_out))


def _ready_at_once(patch: Patch) -> None:
    """A new primary is not waited for."""
    for module in (plan, capacity):
        patch.setattr(module, "unready_primary", lambda found: None)


def _routes(patch: Patch, change: Callable[[Routes, CanaryStatus], Routes]) -> None:
    right = desired.routes
    patch.setattr(
        desired, "routes", lambda spec, status, mesh: change(right(spec, status, mesh), status)
    )


def _all_to_canary(found: Routes) -> Routes:
    return replace(found, primary=0, canary=100, mirror=False, mirror_weight=0)


def _workload(patch: Patch, change: Callable[[Workload, CanaryStatus], Workload]) -> None:
    right = desired._workload
    patch.setattr(desired, "_workload", lambda rollout: change(right(rollout), rollout.status))


def _status_of(
    patch: Patch, module: Any, name: str, change: Callable[[Any, CanaryStatus], CanaryStatus]
) -> None:
    """Whatever a function decides, its status is changed; wherever it was imported to."""
    right = getattr(module, name)

    def wrong(m: Any, *args: Any, **more: Any) -> Any:
        found = right(m, *args, **more)
        return replace(found, status=change(m, found.status))

    for other in (ends, rules, analysis, polls, byhand, gates):
        if getattr(other, name, None) is right:
            patch.setattr(other, name, wrong)


def _unheld(right: Callable[[scene.Scene], Any]) -> Callable[[scene.Scene], Any]:
    def next_step(found: scene.Scene) -> Any:
        free = replace(found.intent, hold=False)
        return right(scene.Scene(free, found.world))

    return next_step


MUTANTS: tuple[Callable[[Patch], None], ...] = (
    teardown_before_traffic,
    baseline_forgotten,
    baseline_of_the_target,
    apex_before_primary,
    share_before_addresses,
    copy_without_revision_check,
    no_compare_and_swap,
    steps_before_routes_settle,
    threshold_ignored,
    revision_change_unseen,
    intents_in_any_order,
    weights_overshoot,
    switch_before_the_iterations_are_over,
    experiment_on_everybody,
    mirror_without_end,
    mirror_beyond_its_maximum,
    implicit_weights_after_a_rollback,
    interval_ignored,
    threshold_off_by_one,
    checks_that_always_pass,
    gate_ignored,
    rollback_hooks_unheard,
    abort_unheard,
    requests_forgotten,
    pause_ignored,
    hold_ignored,
    failure_is_final,
    failed_revision_is_tried_again_by_itself,
    revision_swallowed_by_the_rollback,
    undo_unheard,
    undo_by_whatever_is_kept,
    undone_record_forgotten,
    what_was_undone_comes_back,
    promoted_without_being_asked,
    parked_while_promoting,
    lost_primary_unnoticed,
    stuck_canary_unnoticed,
    canary_parked_after_a_failed_promotion,
    fix_behind_the_broken_primary,
    promoted_before_the_primary_is_ready,
    live_revision_mistaken,
    primary_at_the_mercy_of_its_autoscaler,
    size_given_up_too_soon,
    copy_that_was_too_fast_unnoticed,
    old_news_believed,
    reports_of_other_intents_believed,
    stamps_that_stand_still,
)


SET_MUTANTS: tuple[Callable[[Patch], None], ...] = (
    border_without_measure,
    share_before_its_pods,
    pods_back_before_traffic,
    pods_left_as_they_are,
    pods_back_all_at_once,
    template_let_through_in_mid_promotion,
    services_narrowed_before_the_promotion_is_over,
    stuck_promotion_serves_from_the_canary,
)


@contextmanager
def mutated(mutant: Callable[[Patch], None]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        yield
