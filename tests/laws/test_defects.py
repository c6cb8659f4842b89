"""Defects of the reference's list (11.3) that a brain can have: each numbered, each gone.

Those of meshes, metrics sources, senders and the load tester are shown where these are.
"""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.analyzer.core.story import Story, a_spec, revision

from serinus.analyzer.core.rollout import HookAnswer, HookAsk, Value
from serinus.events import ManifestRefused, Readiness

GATE = {"name": "gate", "type": "confirm-traffic-increase", "url": "http://h/gate"}
PRE = {"name": "pre", "type": "pre-rollout", "url": "http://h/pre"}
LATE = Readiness(state="waiting", text="0 of 2 updated replicas are available")


def begun(**analysis: object) -> Story:
    return Story(**{"metrics": [], **analysis}).initialised().push("v2")


def failed() -> Story:
    story = Story(step_weight=20, threshold=1).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.run()
    story.metric = lambda ask: Value(key=ask.key, value=100.0)
    return story


def test_1_a_new_revision_is_seen_when_it_comes_and_not_an_interval_later() -> None:
    story = Story(interval="1h", step_weight=20, metrics=[]).initialised()
    began = story.now
    story.push("v2")
    assert (story.status.canary_weight, story.now - began) == (20, 0.0)


def test_2_a_revision_that_comes_after_a_failure_is_not_lost_while_something_hangs() -> None:
    story = failed()
    story.obedient = False
    story.see_primary(readiness=LATE).report(error="the API server is away").push("v3").tick()
    story.obedient = True
    story.see_primary(readiness=Readiness("ready")).settle().run()
    assert story.status.last_promoted_spec == revision("v3")


def test_2_a_revision_that_comes_with_the_rollback_is_not_swallowed() -> None:
    story = Story(step_weight=20, threshold=1).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.tick()
    assert (story.status.phase, story.status.last_applied_spec) == ("Failed", revision("v2"))
    story.push("v3")
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v3"))


def test_3_only_the_analysed_revision_is_promoted() -> None:
    """The intent names it; the router refuses what is not it, and the analysis begins again."""
    story = begun(step_weight=50, max_weight=50)
    story.obedient = False
    story.tick()
    assert (story.intent.workload.promote, story.intent.revision) == (True, revision("v2"))
    story.see_target(revision=revision("v3"))
    assert story.intent.revision == revision("v2")
    story.report(refused="Diverged").look()
    assert (story.status.phase, story.status.last_applied_spec) == ("Progressing", revision("v3"))


def test_4_a_fix_after_a_failed_promotion_goes_through_without_the_broken_primary() -> None:
    story = begun(step_weight=50, max_weight=50)
    story.obedient = False
    story.tick()
    stuck = Readiness(state="stuck", text="exceeded its progress deadline")
    story.see_primary(promoted=revision("v2"), readiness=stuck).look()
    story.obedient = True
    story.settle().push("v3")
    assert story.intent.routes.canary == 100
    story.run()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Succeeded", revision("v3"))


@pytest.mark.parametrize("phase", ["Progressing", "WaitingPromotion", "Promoting"])
def test_5_whoever_repairs_a_route_in_mid_run_is_told_the_weights(phase: str) -> None:
    story = begun(step_weight=20)
    story.status = msgspec.structs.replace(story.status, phase=phase)
    assert (story.intent.routes.primary, story.intent.routes.canary) == (80, 20)


def test_6_a_crash_between_status_and_routes_loses_nothing() -> None:
    """The intent follows from the status: another replica wants the very same."""
    story = begun(step_weight=20, step_weight_promotion=10).tick()
    again = Story(story.spec)
    again.status, again.seen, again.now = story.status, story.seen, story.now
    assert again.intent.id == story.intent.id


def test_7_a_missed_deadline_alerts() -> None:
    story = Story(step_weight=20).initialised()
    stuck = Readiness(state="stuck", text="exceeded its progress deadline")
    story.see_target(readiness=stuck).push("v2")
    assert [m for _, m in story.alerts if m.startswith("Progress deadline exceeded")]


@pytest.mark.parametrize("waits", [True, False])
def test_8_a_rollback_hook_works_while_waiting_and_before_the_pods_are_ready(waits: bool) -> None:
    back = {"name": "back", "type": "rollback", "url": "http://h/back"}
    gate = {"name": "gate", "type": "confirm-rollout", "url": "http://h/gate"}
    story = Story(step_weight=20, webhooks=[back, gate] if waits else [back]).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)
    story.see_target(readiness=LATE).push("v2")
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.type == "rollback")
    story.tick()
    assert story.status.phase == "Failed"


def test_9_mirroring_ends_although_nobody_can_read_it_back() -> None:
    """Flagger asks the route whether it mirrors, and most routes cannot tell."""
    story = begun(step_weight=50, max_weight=50, mirror=True)
    assert story.routes is not None
    assert not story.routes.mirrored
    story.run()
    assert story.status.phase == "Succeeded"


def test_10_a_mesh_without_conditions_does_not_expose_everybody() -> None:
    story = Story(iterations=2, match=[{"headers": {"x": {"exact": "y"}}}], metrics=[])
    story.obedient = False
    story.look()
    story.report(refused="Unsupported", error="match is not supported by traefik").look()
    story.push("v2").tick().tick()
    assert (story.status.phase, story.intent.routes.canary) == ("Initializing", 0)
    assert story.intent.hold


def test_17_cookies_are_in_the_status_that_orders_them() -> None:
    """A write that is refused loses the step and its cookie together."""
    story = begun(step_weight=20, session_affinity={"cookieName": "c"})
    cookies = story.intent.routes.cookies
    assert cookies is not None
    assert cookies.canary == story.status.session_affinity_cookie != ""
    assert story.status.primary_session_affinity_cookie == ""


def test_18_a_gate_that_holds_repeats_neither_alerts_nor_pre_rollout_hooks() -> None:
    story = Story(step_weight=20, metrics=[], webhooks=[PRE, GATE]).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.name == "pre")
    story.push("v2").tick().tick().tick()
    assert len([m for _, m in story.alerts if "traffic increase" in m]) == 1
    assert len([a for a in story.asked if isinstance(a, HookAsk) and a.hook.name == "pre"]) == 1


def test_18_a_suspended_canary_says_it_once() -> None:
    story = begun(step_weight=20).edit(suspend=True)
    for _ in range(5):
        story.tick()
    assert story.texts.count("skipping canary run as object is suspended") == 1


def test_19_a_promotion_gate_is_asked_once_each_interval_and_nothing_counts_below_zero() -> None:
    gate = {"name": "go", "type": "confirm-promotion", "url": "http://h/go"}
    story = Story(iterations=1, metrics=[], webhooks=[gate]).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)
    story.push("v2").tick().tick().tick()
    assert len(story.asked) == 3
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=True)
    story.run()
    assert (story.status.phase, len(story.asked)) == ("Succeeded", 4)
    assert min(s.iterations for s in story.statuses) == 0


def test_22_of_two_canaries_on_one_target_one_is_told_that_it_is_not_in_charge() -> None:
    story = Story(step_weight=20).see(rivals=("test/older",))
    story.look()
    assert any(isinstance(fact, ManifestRefused) for fact in story.facts)
    assert story.intent.hold


def test_23_a_manifest_that_cannot_work_is_answered_in_status_and_events() -> None:
    story = Story(a_spec())
    story.look()
    assert any("spec.analysis: has no steps" in text for text in story.texts)
    assert {c.type for c in story.status.conditions} >= {"Stalled", "Ready"}


def test_25_a_hash_of_another_controller_starts_nothing() -> None:
    story = Story(step_weight=20).initialised().see(same_template=True)
    story.status = msgspec.structs.replace(
        story.status, last_applied_spec="5b485f88df", last_promoted_spec="5b485f88df"
    )
    story.tick()
    assert story.status.phase == "Initialized"


def test_27_a_hook_may_need_a_token_and_headers() -> None:
    spec = a_spec(
        step_weight=20,
        webhooks=[
            {
                "name": "h",
                "url": "http://h",
                "secretRef": {"name": "token"},
                "headers": {"X-Env": "prod"},
            }
        ],
    )
    story = Story(spec).initialised().push("v2").tick()
    (ask,) = (a for a in story.asked if isinstance(a, HookAsk))
    assert ask.hook.secret_ref is not None
    assert ask.hook.headers == {"X-Env": "prod"}


def test_31_a_revert_in_mid_run_is_withdrawn_and_not_rolled_out_twice() -> None:
    story = begun(step_weight=20).tick().push("v1")
    assert (story.status.phase, story.status.history[0].outcome) == ("Failed", "aborted")
    for _ in range(5):
        story.tick()
    assert story.status.phase == "Failed"
    assert story.status.last_promoted_spec == revision("v1")
