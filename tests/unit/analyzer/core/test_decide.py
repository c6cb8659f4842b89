"""The machine as sentences: given a rollout, when something happens, then a decision."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.analyzer.core.story import READY, Story, a_spec, revision

from serinus.analyzer.core.rollout import HookAnswer, MetricAsk, NoData, Unreachable, Value
from serinus.events import CanaryStatus, Fact, ManifestRefused, Problem, Readiness

GATES = [
    {"name": "start", "type": "confirm-rollout", "url": "http://h/start"},
    {"name": "more", "type": "confirm-traffic-increase", "url": "http://h/more"},
    {"name": "promote", "type": "confirm-promotion", "url": "http://h/promote"},
]


def kinds(facts: list[Fact]) -> list[str]:
    return [type(f).__name__ for f in facts]


def test_a_new_canary_is_initialised_once_the_router_has_settled():
    story = Story(step_weight=20)
    story.look()
    assert ["Initializing", "Initialized"] == story.phases
    assert revision("v1") == story.status.last_promoted_spec
    assert ["all the metrics providers are available!", "Initialization done! web.test"] == (
        story.texts
    )


def test_a_canary_stays_initializing_until_the_router_has_settled():
    story = Story(step_weight=20)
    story.obedient = False
    story.look()
    assert "Initializing" == story.status.phase


def test_a_healthy_release_takes_the_reference_steps():
    story = Story(step_weight=20, max_weight=60).initialised().push("v2").run()
    assert ["Progressing", "Promoting", "Finalising", "Succeeded"] == story.phases
    assert [0, 20, 40, 60, 0] == story.weights
    assert story.texts == [
        "New revision detected! Scaling up web.test",
        "Starting canary analysis for web.test",
        "Advance web.test canary weight 20",
        "Advance web.test canary weight 40",
        "Advance web.test canary weight 60",
        "Copying web.test template spec to web-primary.test",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down web.test",
    ]


def test_a_healthy_release_lasts_no_longer_than_its_intervals():
    """Three steps of ten seconds: everything that is not a check happens at once."""
    story = Story(step_weight=20, max_weight=60).initialised()
    began = story.now
    story.push("v2").run()
    assert 30.0 == story.now - began


def test_each_check_asks_its_metrics_in_order_and_the_first_step_asks_none():
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    assert 50 == story.status.canary_weight
    assert [] == story.asked
    story.tick()
    assert ["request-success-rate", "request-duration"] == [
        a.metric for a in story.asked if isinstance(a, MetricAsk)
    ]


def test_no_step_is_taken_before_its_interval_has_passed():
    story = Story(step_weight=20).initialised().push("v2").tick(9.9)
    assert 20 == story.status.canary_weight
    assert story.due_at is not None
    assert 0.1 == pytest.approx(story.due_at - story.now, abs=0.01)


def test_a_step_waits_until_the_routes_were_read_back():
    story = Story(step_weight=20).initialised().push("v2")
    story.obedient = False
    story.report(settled=False, waiting="web is not accepted yet").tick()
    assert 20 == story.status.canary_weight
    assert "web is not accepted yet" == story.texts[-1]
    story.settle().look()
    assert 40 == story.status.canary_weight


def test_a_report_on_an_older_intent_does_not_count():
    story = Story(step_weight=20).initialised().push("v2")
    old = story.routes
    story.tick()
    story.routes = old
    story.tick()
    assert 40 == story.status.canary_weight


def test_failed_checks_roll_back_at_the_threshold_without_waiting_for_another_interval():
    story = Story(step_weight=20, max_weight=60).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=62.5)
    began = story.now
    story.run()
    assert "Failed" == story.status.phase
    assert 20.0 == story.now - began
    assert story.texts[-4:] == [
        "Halt web.test advancement success rate 62.50% < 99%",
        "Halt web.test advancement success rate 62.50% < 99%",
        "Rolling back web.test failed checks threshold reached 2",
        "Canary failed! Scaling down web.test",
    ]
    assert ("error", "Failed checks threshold reached 2") == story.alerts[-1]


def test_a_rollback_sends_all_traffic_to_the_primary_and_parks_the_canary():
    story = Story(step_weight=20, threshold=1).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.run()
    assert (100, 0) == (story.intent.routes.primary, story.intent.routes.canary)
    assert "parked" == story.intent.workload.canary
    assert revision("v2") == story.status.last_applied_spec
    assert revision("v1") == story.status.last_promoted_spec


def test_the_rollback_says_which_measurement_condemned_the_canary():
    story = Story(step_weight=20, threshold=1).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=62.5)
    story.run()
    condemned = next(f for f in story.facts if type(f).__name__ == "RollbackDecided")
    (measured,) = condemned.measurements  # type: ignore[attr-defined] # of RollbackDecided
    assert ("request-success-rate", 62.5, ">= 99", "failed") == (
        measured.metric,
        measured.value,
        measured.bound,
        measured.outcome,
    )


def test_failed_checks_add_up_over_good_ones():
    answers = iter([50.0, 100.0, 100.0, 50.0])
    story = (
        Story(
            step_weight=10,
            metrics=[{"name": "request-success-rate", "thresholdRange": {"min": 99}}],
        )
        .initialised()
        .push("v2")
    )
    story.metric = lambda ask: Value(key=ask.key, value=next(answers))
    story.run()
    assert ("Failed", [0, 10, 20, 30, 0]) == (story.status.phase, story.weights)


@pytest.mark.parametrize(
    ("reading", "outcome"),
    [
        (lambda key: NoData(key=key, cause="no requests to the canary"), "no-data"),
        (lambda key: Unreachable(key=key, why="connection refused"), "unreachable"),
    ],
)
def test_a_missing_answer_counts_as_flagger_does_and_is_told_as_what_it_is(reading, outcome):
    story = Story(step_weight=20).initialised().push("v2")
    story.metric = lambda ask: reading(ask.key)
    story.tick()
    assert 1 == story.status.failed_checks
    failed = next(f for f in story.facts if type(f).__name__ == "CheckFailed")
    assert outcome == failed.measurements[0].outcome  # type: ignore[attr-defined] # of CheckFailed


def test_overshoot_is_kept():
    story = Story(step_weight=20, max_weight=50).initialised().push("v2").run()
    assert [0, 20, 40, 60, 0] == story.weights


def test_step_weights_win_over_the_maximum():
    story = Story(step_weights=[10, 30, 50], max_weight=30).initialised().push("v2").run()
    assert [0, 10, 30, 50, 0] == story.weights


def test_promotion_in_steps_moves_traffic_back_once_per_interval():
    story = Story(step_weight=60, max_weight=60, step_weight_promotion=25).initialised()
    story.push("v2").run()
    assert [0, 60, 35, 10, 0] == story.weights
    assert [
        "Advance web.test primary weight 65",
        "Advance web.test primary weight 90",
        "Advance web.test primary weight 100",
    ] == [t for t in story.texts if "primary weight" in t]


def test_a_newer_revision_restarts_the_analysis_without_traffic():
    story = Story(step_weight=20, max_weight=60).initialised().push("v2").tick()
    story.push("v3")
    assert "New revision detected! Restarting analysis for web.test" in story.texts
    story.run()
    assert [0, 20, 40, 0, 20, 40, 60, 0] == story.weights
    assert revision("v3") == story.status.last_promoted_spec


def test_setting_the_target_back_is_an_abort_and_starts_nothing_later():
    story = Story(step_weight=20).initialised().push("v2").tick().push("v1")
    assert "Failed" == story.status.phase
    assert "Rolling back web.test target was set back to the promoted revision" in story.texts
    told = len(story.facts)
    story.tick().tick()
    assert ("Failed", told) == (story.status.phase, len(story.facts))


def test_a_revision_pushed_while_promoting_is_released_afterwards():
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.settle().tick()
    assert "Promoting" == story.status.phase
    story.see_target(revision=revision("v3"))
    story.see_primary(promoted=revision("v2")).settle()
    story.obedient = True
    story.run()
    story.run()
    assert revision("v2") in {s.last_promoted_spec for s in story.statuses}
    assert revision("v3") == story.status.last_applied_spec


def test_a_revision_pushed_before_the_copy_restarts_because_the_router_refuses_it():
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick()
    assert "Promoting" == story.status.phase
    story.see_target(revision=revision("v3")).report(refused="Diverged", error="web changed")
    story.look()
    assert ("Progressing", 0) == (story.status.phase, story.status.canary_weight)
    assert revision("v3") == story.status.last_applied_spec


def test_a_failed_revision_is_not_tried_again_by_itself():
    story = Story(step_weight=20, threshold=1).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.run()
    story.tick().tick()
    assert "Failed" == story.status.phase


def test_after_going_back_to_the_promoted_revision_the_failed_one_may_be_tried_again():
    story = Story(step_weight=20, threshold=1).initialised().push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.run()
    story.push("v1")
    assert "Failed" == story.status.phase
    story.push("v2")
    assert "Progressing" == story.status.phase


def test_a_changed_config_is_a_new_revision():
    story = Story(step_weight=20).see(configs={"configmap/app": "aa"}).initialised()
    story.see(configs={"configmap/app": "bb"}).look()
    assert "Progressing" == story.status.phase
    assert {"configmap/app": "bb"} == story.status.tracked_configs


def test_the_gates_are_asked_in_their_places():
    story = Story(step_weight=50, max_weight=50, webhooks=GATES).initialised().push("v2").run()
    passed = [t for t in story.texts if "check" in t]
    assert passed == [
        "Confirm-rollout check start passed",
        "Confirm-traffic-increase check more passed",
        "Confirm-traffic-increase check more passed",
        "Confirm-promotion check promote passed",
    ]


def test_a_closed_gate_holds_the_rollout_in_waiting_and_is_polled_each_interval():
    story = Story(step_weight=50, webhooks=GATES[:1]).initialised()
    closed = True
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=not closed, text="Forbidden")
    story.push("v2").tick().tick()
    assert "Waiting" == story.status.phase
    assert 3 == len(story.asked)
    assert ["Halt web.test advancement waiting for approval start"] == story.texts
    closed = False
    story.tick()
    assert "Progressing" == story.status.phase


def test_waiting_for_promotion_keeps_the_true_weight_and_goes_on_checking():
    story = Story(step_weight=50, max_weight=50, webhooks=GATES[2:]).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)
    story.push("v2").tick()
    assert ("WaitingPromotion", 50) == (story.status.phase, story.status.canary_weight)
    assert 50 == story.intent.routes.canary
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    story.run()
    assert "Failed" == story.status.phase


def test_flaggers_waiting_promotion_without_a_weight_keeps_its_traffic():
    story = Story(step_weight=20, max_weight=50).initialised()
    story.status = msgspec.structs.replace(
        story.status, phase="WaitingPromotion", canary_weight=0, iterations=-1
    )
    assert 60 == story.intent.routes.canary


def test_a_rollback_hook_ends_the_run():
    hook = [{"name": "rb", "type": "rollback", "url": "http://h/rb"}]
    story = Story(step_weight=10, webhooks=hook).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False)
    story.push("v2").tick()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=True)
    story.tick()
    assert story.texts[-3:] == [
        "Rollback check rb passed",
        "Rolling back web.test manual webhook invoked",
        "Canary failed! Scaling down web.test",
    ]
    assert ("warn", "Rolling back manual webhook invoked") == story.alerts[-1]


def test_a_failing_pre_rollout_hook_counts_and_rolls_back_before_any_traffic():
    hook = [{"name": "smoke", "type": "pre-rollout", "url": "http://h/s"}]
    story = Story(step_weight=10, webhooks=hook).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False, text="not good")
    story.push("v2").run()
    assert [0] == story.weights
    assert "Halt web.test advancement pre-rollout check smoke failed not good" in story.texts
    assert "Failed" == story.status.phase
    errors = [message for severity, message in story.alerts if severity == "error"]
    assert ["Failed checks threshold reached 2"] == errors


def test_a_pre_rollout_hook_that_passed_is_not_asked_again_while_a_gate_holds():
    hooks = [{"name": "smoke", "type": "pre-rollout", "url": "http://h/s"}, GATES[1]]
    story = Story(step_weight=10, webhooks=hooks).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.type == "pre-rollout")
    story.push("v2").tick().tick()
    names = [a.hook.name for a in story.asked]  # type: ignore[union-attr] # only hooks are asked
    assert ["smoke", "more", "more", "more"] == names


def test_post_rollout_hooks_are_asked_after_the_end_and_stop_at_the_first_failure():
    hooks = [{"name": n, "type": "post-rollout", "url": "http://h/" + n} for n in ("a", "b", "c")]
    story = Story(step_weight=50, max_weight=50, webhooks=hooks).initialised()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.name == "a")
    story.push("v2").run()
    asked = [(a.hook.name, a.phase) for a in story.asked if not isinstance(a, MetricAsk)]
    assert [("a", "Succeeded"), ("b", "Succeeded")] == asked
    assert "Promotion completed! Scaling down web.test" == story.texts[-1]


def test_canary_pods_that_are_late_hold_the_first_step_and_are_told_after_an_interval():
    story = Story(step_weight=50).initialised()
    late = Readiness(state="waiting", text="waiting for rollout to finish: 0 of 2")
    story.see_target(readiness=late).push("v2")
    assert 0 == story.status.canary_weight
    assert 1 == len(story.texts)
    story.tick()
    said = "canary deployment web.test not ready: waiting for rollout to finish: 0 of 2"
    assert said == story.texts[-1]
    story.see_target(readiness=READY).look()
    assert 50 == story.status.canary_weight


def test_canary_pods_past_their_deadline_are_rolled_back_with_an_alert():
    story = Story(step_weight=50).initialised()
    dead = story.now + 25
    story.see_target(readiness=Readiness(state="waiting", text="0 of 2", stuck_at=dead)).push("v2")
    story.tick(24.0)
    assert "Progressing" == story.status.phase
    story.tick(1.0)
    assert "Failed" == story.status.phase
    severity, message = story.alerts[-1]
    assert ("error", True) == (severity, message.startswith("Progress deadline exceeded "))


def test_crashing_pods_that_serve_are_rolled_back_at_once():
    story = Story(step_weight=20).initialised().push("v2")
    why = "container web of pod web-1 is in CrashLoopBackOff"
    story.see_target(readiness=Readiness(state="waiting", text="1 of 2", crash=why)).look()
    assert "Failed" == story.status.phase
    assert f"Rolling back web.test canary pods crash: {why}" in story.texts


def test_crashing_pods_that_serve_nobody_get_the_time_of_their_deadline():
    story = Story(step_weight=20).initialised()
    crashing = Readiness(state="waiting", text="0 of 2", crash="web is in CrashLoopBackOff")
    story.see_target(readiness=crashing).push("v2").tick()
    assert "Progressing" == story.status.phase


def test_a_primary_that_fails_promotion_leaves_everybody_on_the_canary():
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick()
    stuck = Readiness(state="stuck", text='deployment "web-primary" exceeded its progress deadline')
    story.see_primary(promoted=revision("v2"), readiness=stuck).look()
    assert ("Failed", 100) == (story.status.phase, story.status.canary_weight)
    assert (0, 100) == (story.intent.routes.primary, story.intent.routes.canary)
    assert "running" == story.intent.workload.canary
    assert story.alerts[-1][1].startswith("Promotion failed, primary not ready: web-primary.test")


def test_the_fix_after_a_failed_promotion_never_sends_traffic_to_the_broken_primary():
    story = Story(step_weight=50, max_weight=50).initialised().push("v2")
    story.obedient = False
    story.tick()
    stuck = Readiness(state="stuck", text="exceeded its progress deadline")
    story.see_primary(promoted=revision("v2"), readiness=stuck).look()
    story.obedient = True
    story.settle().push("v3")
    weights = []
    for _ in range(6):
        weights.append(story.intent.routes.canary)
        story.tick()
    assert "Succeeded" == story.status.phase
    promoted = weights.index(0)
    assert ({100}, {0}) == (set(weights[:promoted]), set(weights[promoted:]))


def test_skip_analysis_promotes_without_steps():
    story = Story(a_spec(skip_analysis=True, step_weight=20)).initialised().push("v2")
    assert "Succeeded" == story.status.phase
    assert story.texts == [
        "New revision detected! Scaling up web.test",
        "Copying web.test template spec to web-primary.test",
        "Promotion completed! Canary analysis was skipped for web.test",
    ]


def test_a_suspended_canary_stands_still_and_says_so_once():
    story = Story(step_weight=20).initialised().push("v2").edit(suspend=True)
    story.tick().tick().tick()
    assert 20 == story.status.canary_weight
    assert 1 == story.texts.count("skipping canary run as object is suspended")
    assert story.intent.hold
    story.edit(suspend=False).settle().look()
    assert 40 == story.status.canary_weight


def test_provider_kubernetes_iterates_instead_of_shifting_traffic():
    spec = a_spec(provider="kubernetes", step_weight=20, metrics=[])
    story = Story(spec).initialised().push("v2").run()
    assert "Succeeded" == story.status.phase
    assert [f"Advance web.test canary iteration {i}/10" for i in range(1, 11)] == [
        t for t in story.texts if "iteration " in t
    ]
    assert "Setting canaryAnalysis.iterations: 10" in story.texts
    assert [0] == story.weights


def test_blue_green_switches_all_traffic_for_one_round_before_the_copy():
    story = Story(iterations=2).initialised().push("v2")
    seen = []
    while story.status.phase == "Progressing":
        seen.append(story.intent.routes.canary)
        story.tick()
    assert [0, 0, 100] == seen
    assert story.texts[-3:] == [
        "Copying web.test template spec to web-primary.test",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down web.test",
    ]


def test_ab_testing_sends_matching_requests_only():
    match = [{"headers": {"x-canary": {"exact": "insider"}}}]
    story = Story(iterations=2, match=match).initialised().push("v2")
    routes = story.intent.routes
    assert (0, 100, 1) == (routes.primary, routes.canary, len(routes.match))
    story.run()
    assert "Succeeded" == story.status.phase


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (a_spec(threshold=1), "spec.analysis"),
        (a_spec(step_weight=10, metrics=[{"name": "nope"}]), "spec.analysis.metrics[0]"),
        (msgspec.structs.replace(a_spec(step_weight=10), service=None), "spec.service.port"),
    ],
)
def test_a_manifest_that_cannot_work_is_refused_with_its_path(spec, path):
    story = Story(spec)
    story.look()
    stalled = [c for c in story.status.conditions if c.type == "Stalled"]
    assert [("True", "InvalidSpec")] == [(c.status, c.reason) for c in stalled]
    assert path in stalled[0].message
    assert ["ManifestRefused"] == kinds(story.facts)
    assert story.intent.hold
    story.tick().tick()
    assert 1 == len(story.facts)


def test_the_cure_of_a_manifest_takes_the_complaint_away():
    story = Story(a_spec())
    story.look()
    story.edit(analysis=a_spec(step_weight=10).analysis)
    story.settle().look()
    assert ["Promoted", "Ready"] == [c.type for c in story.status.conditions]
    assert "Initialized" == story.status.phase


def test_the_older_of_two_canaries_on_one_target_wins():
    story = Story(step_weight=10).see(rivals=("test/older",))
    story.look()
    refused = story.facts[0]
    assert isinstance(refused, ManifestRefused)
    assert "released by canary test/older already" in refused.text


def test_a_missing_target_is_said_in_the_references_words():
    story = Story(step_weight=10).see_target(found=False)
    story.look()
    assert [
        'deployment web.test get query error: deployments.apps "web" not found',
        "spec.targetRef: create the Deployment or correct the name",
    ] == story.texts


def test_what_could_not_be_decoded_is_refused():
    wrong = Problem("spec.analysis.stepWeight", "expected int, got str", "write a number")
    story = Story(step_weight=10).see(problems=(wrong,))
    story.look()
    assert "spec.analysis.stepWeight: expected int, got str; write a number" == story.texts[0]


@pytest.mark.parametrize("phase", ["Initialized", "Succeeded"])
def test_another_controllers_hash_is_adopted_without_a_rollout(phase):
    story = Story(step_weight=10).initialised().see(same_template=True)
    story.status = msgspec.structs.replace(
        story.status, phase=phase, last_applied_spec="5b485f88df", last_promoted_spec="5b485f88df"
    )
    story.look()
    assert (phase, revision("v1")) == (story.status.phase, story.status.last_applied_spec)
    assert [] == story.facts


def test_another_controllers_canary_with_a_new_template_starts_a_rollout():
    story = Story(step_weight=10).initialised().see(same_template=False)
    story.status = msgspec.structs.replace(
        story.status, last_applied_spec="5b485f88df", last_promoted_spec="5b485f88df"
    )
    story.look()
    assert "Progressing" == story.status.phase


def test_another_controllers_running_rollout_goes_on_at_its_weight():
    story = Story(step_weight=20, max_weight=60).initialised().push("v2")
    story.status = msgspec.structs.replace(
        story.status, last_applied_spec="5b485f88df", last_promoted_spec="7b99888546"
    )
    story.see(same_template=False).look()
    assert (20, revision("v2")) == (story.status.canary_weight, story.status.last_applied_spec)
    story.settle().run()
    assert "Succeeded" == story.status.phase


def test_deletion_with_revert_puts_everything_back_before_the_finalizer_goes():
    story = Story(a_spec(revert_on_deletion=True, step_weight=10)).initialised()
    assert True is story.decisions[-1].finalizer
    story.see(finalizers=("finalizer.flagger.app",), deleting=True)
    story.obedient = False
    story.look()
    assert story.intent.release
    assert None is story.decisions[-1].finalizer
    story.settle()
    assert False is story.look().finalizer
    assert ["Terminating canary web.test", "Terminated canary web.test"] == story.texts


def test_deletion_without_revert_is_left_to_the_garbage_collector():
    story = Story(step_weight=10).initialised().see(deleting=True)
    story.look()
    assert ("Initialized", True) == (story.status.phase, story.intent.hold)


def test_a_primary_past_its_deadline_at_initialisation_fails_the_canary():
    story = Story(step_weight=10)
    story.obedient = False
    story.look()
    stuck = Readiness(state="stuck", text='deployment "web-primary" exceeded its progress deadline')
    story.see_primary(found=True, readiness=stuck).look()
    assert "Failed" == story.status.phase
    assert "Canary failed! Scaling down web.test" == story.texts[-1]


def test_a_decision_made_twice_tells_facts_with_the_same_ids():
    """Two analyzers awake, or one after a crash: the bus and the notifier know the repeat."""
    one = Story(step_weight=20).initialised().push("v2")
    two = Story(step_weight=20).initialised().push("v2")
    assert [f.id for f in one.facts] == [f.id for f in two.facts]
    assert len(one.facts) == len({f.id for f in one.facts})


def test_an_idle_canary_asks_and_writes_nothing():
    story = Story(step_weight=20).initialised()
    for _ in range(20):
        decision = story.tick(60.0).decisions[-1]
        assert (decision.asks, decision.facts) == ((), ())
    assert [] == story.statuses


def test_every_status_is_stamped_to_the_millisecond():
    story = Story(step_weight=20).initialised()
    story.now += 0.123
    story.push("v2")
    assert story.statuses[0].last_transition_time.endswith(".123Z")


def test_stamps_grow_even_when_the_clock_goes_back():
    story = Story(step_weight=20).initialised().push("v2")
    before = story.status.last_transition_time
    story.now -= 3600
    story.push("v3")
    assert story.status.last_transition_time > before


def test_a_status_that_was_never_written_is_like_a_new_canary():
    assert "" == CanaryStatus().phase
