"""Stories that a search found once, told again every time.

Each is as short as it can be told in the moves of `machine.RingMachine`, and ends in fair play:
`teardown` says whether the run ends, and where.
"""

from __future__ import annotations

from typing import Any

from tests.builders import an_analysis
from tests.sim.deployments import RingMachine
from tests.sim.sets import SetMachine


def a_ring(*, is_scaled: bool = False, mesh: str = "traefik", **analysis: Any) -> RingMachine:
    """An initialised canary at rest."""
    fields = {"threshold": 2, "step_weight": 50, "max_weight": 50, **analysis}
    ring = RingMachine()
    ring.begin(manifest=(mesh, an_analysis(**fields)), settled=True, is_scaled=is_scaled)
    return ring


def a_set(size: int, mesh: str = "traefik", **analysis: Any) -> SetMachine:
    """A StatefulSet at rest."""
    fields = {"threshold": 2, "step_weight": 50, "max_weight": 50, **analysis}
    ring = SetMachine()
    ring.begin(manifest=(mesh, an_analysis(**fields)), settled=True, size=size)
    return ring


def test_a_broken_primary_that_is_scaled_stays_broken() -> None:
    """Its controller waits for it once more; a version that replaces the fix of the failed
    promotion in that moment went back to nobody's traffic, and was never judged."""
    ring = a_ring(is_scaled=True)
    ring.release(kind="half", back=False)
    ring.push_into_promotion()
    ring.somebody_scales(primary=True)
    ring.teardown()


def test_a_fix_that_fails_in_that_moment_leaves_the_canary_serving() -> None:
    ring = a_ring(is_scaled=True, threshold=1)
    ring.release(kind="half", back=False)
    ring.push(kind="bad")
    for _ in range(60):
        ring.somebody_scales(primary=True)
        ring.fair_round()
    ring.teardown()


def test_a_promotion_that_came_up_late_is_on_record() -> None:
    """The revision after it failed, and what the primary ran was on no record: going back to the
    version before looked as if it were live."""
    ring = a_ring()
    ring.release(kind="late", back=False)
    ring.go_on(rounds=80)
    ring.push(kind="bad")
    ring.teardown()


def test_a_promotion_that_came_up_while_its_fix_was_judged_is_on_record() -> None:
    ring = a_ring()
    ring.release(kind="late", back=False)
    ring.push(kind="bad")
    ring.go_on(rounds=2)
    ring.time_passes(seconds=60.0)
    ring.teardown()


def test_a_fix_after_a_failed_undo_is_judged_and_repairs_the_primary() -> None:
    """It waited for the primary, which waited for it."""
    ring = a_ring()
    ring.release(kind="late", back=False)
    ring.go_on(rounds=80)
    ring.release(kind="good", back=False)
    before = ring.status.last_promoted_spec
    ring.ask(verb="undo")
    while ring.status.phase != "Failed":
        ring.fair_round()
    assert ring.status.last_promoted_spec == before, "what did not come up is no record"
    ring.push(kind="good")
    ring.go_on(rounds=26)
    assert ring.status.phase == "Succeeded"
    assert ring.revision_is_seen()
    ring.teardown()


def test_going_back_in_the_middle_of_a_fix_sends_nobody_to_the_broken_primary() -> None:
    ring = a_ring()
    ring.release(kind="half", back=False)
    ring.push(kind="good")
    ring.go_on(rounds=3)
    ring.push_back(recorded=True)
    ring.teardown()


def test_a_reset_of_a_paused_run_takes_everybody_back_and_is_no_step() -> None:
    """The search took it for one."""
    ring = a_ring(step_weight=30, max_weight=100)
    ring.push(kind="good")
    ring.go_on(rounds=5)
    assert ring.status.canary_weight
    ring.pause(paused=True)
    ring.ask(verb="reset")
    ring.go_on(rounds=1)
    assert (ring.status.phase, ring.status.canary_weight) == ("Progressing", 0)
    ring.teardown()


def test_a_route_that_is_deleted_while_pods_go_back_is_made_anew() -> None:
    """It waited for every pod to be of one revision, and the pods for requests to go where they
    should."""
    ring = a_set(4)
    ring.release(kind="half", back=False)
    ring.somebody_edits_the_route(weight=1, gone=True)
    ring.teardown()


def test_a_set_that_is_scaled_up_while_pods_go_back_gets_rid_of_the_broken_one() -> None:
    """Its controller makes no pod above a broken one, which waited for it in turn."""
    ring = a_set(2)
    ring.release(kind="half", back=False)
    ring.somebody_scales(size=3)
    ring.teardown()


def test_what_an_opened_border_lets_through_is_put_on_record_in_the_end() -> None:
    """Every pod runs what was withdrawn; the search looked at the record a moment too early."""
    ring = a_set(2, iterations=1, step_weight=0, max_weight=0)
    ring.want_it_back(by_hook=False, paused=True)
    ring.release(kind="good", back=False)
    ring.push_into_promotion()
    ring.want_it_back(by_hook=False, paused=False)
    ring.manifest_opens_the_border()
    ring.pod_goes_down(evicted=True, n=0)
    ring.teardown()


def test_a_new_primary_is_as_large_as_the_target_when_it_gets_everybody() -> None:
    """Its autoscaler took all pods but one before S led to it."""
    ring = RingMachine()
    manifest = ("traefik", an_analysis(threshold=2))
    ring.begin(manifest=manifest, settled=False, is_scaled=True)
    ring.teardown()
