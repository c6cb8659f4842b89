"""The reference's acceptance tables, row by row: 9.3, and of 9.2 what the brain alone can show.

A name holds its row: `test_9_3_...` in the order of the table, `test_9_2_04_...` by number. The
cluster around the brain is perfect unless a row says otherwise.
"""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.analyzer.core.story import Story, a_spec, revision

from serinus.analyzer.core.rollout import HookAnswer, HookAsk, MetricAsk, Value
from serinus.analyzer.shell.hooks import is_retried, passed
from serinus.events import MetricTemplateSpec, Readiness
from serinus.events.canary import MetricProvider

STUCK = Readiness(state="stuck", text='deployment "web-primary" exceeded its progress deadline')
COOKIE = [{"headers": {"cookie": {"regex": "^(.*?;)?(type=insider)(;.*)?$"}}}]


def hook(name: str, kind: str) -> dict[str, str]:
    return {"name": name, "type": kind, "url": f"http://h/{name}"}


def begun(**analysis: object) -> Story:
    """A new revision is on its way; nothing is measured unless a row says so."""
    return Story(**{"metrics": [], **analysis}).initialised().push("v2")


def ticks(story: Story) -> list[tuple[str, int]]:
    """(phase, canary weight) of everything that was remembered, up to the end."""
    story.run()
    return [(s.phase, s.canary_weight) for s in story.statuses]


def bad(story: Story) -> Story:
    story.metric = lambda ask: Value(key=ask.key, value=0.0)
    return story


# --- 9.3 -----------------------------------------------------------------------------------------


def test_9_3_canary_step_10_goes_from_initializing_to_succeeded() -> None:
    story = Story(step_weight=10, max_weight=50, metrics=[])
    story.look()
    assert ["Initializing", "Initialized"] == story.phases
    story.statuses.clear()
    assert ticks(story.push("v2")) == [
        ("Progressing", 0),
        *(("Progressing", weight) for weight in (10, 20, 30, 40, 50)),
        ("Promoting", 50),
        ("Finalising", 0),
        ("Succeeded", 0),
    ]


def test_9_3_step_100_with_step_weight_promotion_50() -> None:
    assert ticks(begun(step_weight=100, step_weight_promotion=50)) == [
        ("Progressing", 0),
        ("Progressing", 100),
        ("Promoting", 100),
        ("Promoting", 50),
        ("Finalising", 0),
        ("Succeeded", 0),
    ]


def test_9_3_blue_green_with_one_iteration() -> None:
    story = begun(iterations=1)
    shares = [story.intent.routes.canary]
    story.tick()
    shares.append(story.intent.routes.canary)
    story.run()
    assert shares == [0, 100]
    steps = [(s.phase, s.iterations) for s in story.statuses]
    assert steps == [
        ("Progressing", 0),
        ("Progressing", 1),
        ("Progressing", 2),
        ("Promoting", 2),
        ("Finalising", 0),
        ("Succeeded", 0),
    ]


def test_9_3_ab_serves_from_the_first_iteration_and_the_primary_gets_the_image() -> None:
    story = begun(iterations=1, match=COOKIE)
    assert (story.intent.routes.canary, story.status.iterations) == (100, 1)
    story.run()
    assert story.phases[-3:] == ["Promoting", "Finalising", "Succeeded"]
    assert (story.intent.routes.primary, story.seen.primary.revision) == (100, revision("v2"))


def test_9_3_mirror_canary_is_100_0_mirrored_then_90_10_not_mirrored() -> None:
    story = begun(step_weight=10, mirror=True)
    routes = [story.intent.routes]
    story.tick()
    routes.append(story.intent.routes)
    assert [(r.primary, r.canary, r.mirror) for r in routes] == [(100, 0, True), (90, 10, False)]


def test_9_3_a_new_revision_in_mid_run_restarts_from_100_0() -> None:
    story = begun(step_weight=10)
    assert story.intent.routes.canary == 10
    story.obedient = False
    story.push("v3")
    assert (story.status.phase, story.intent.routes.canary) == ("Progressing", 0)


def test_9_3_a_config_change_in_mid_run_restarts_and_the_primary_gets_the_new_data() -> None:
    story = Story(step_weight=50, max_weight=50, metrics=[]).see(configs={"configmap/app": "1"})
    story.initialised().push("v2")
    story.see(configs={"configmap/app": "2"}).look()
    assert any("Restarting analysis" in text for text in story.texts)
    story.run()
    promoted = [s for s in story.statuses if s.phase == "Promoting"]
    assert [s.tracked_configs for s in promoted] == [{"configmap/app": "2"}]


@pytest.mark.parametrize(
    ("analysis", "primary"),
    [
        ({"step_weight": 20, "max_weight": 50}, [100, 80, 60, 40]),
        ({"step_weight": 50, "max_weight": 100}, [100, 50, 0]),
        ({"step_weights": [1, 2, 10, 80]}, [100, 99, 98, 90, 20]),
        ({"step_weights": [1, 2, 10, 200]}, [100, 99, 98, 90, 0]),
    ],
)
def test_9_3_primary_weights_per_tick(analysis: dict[str, object], primary: list[int]) -> None:
    story = begun(**analysis)
    story.run()
    under_analysis = [s for s in story.statuses if s.phase == "Progressing"]
    assert [100 - s.canary_weight for s in under_analysis] == primary


def test_9_3_failed_checks_at_the_threshold_end_the_run() -> None:
    story = bad(begun(step_weight=10, threshold=10, metrics=[{"name": "request-success-rate"}]))
    story.metric = lambda ask: Value(key=ask.key, value=-1.0)
    for _ in range(10):
        story.tick()
    assert story.status.phase == "Failed"
    assert (story.intent.routes.primary, story.intent.routes.canary) == (100, 0)
    ended = [s for d in story.decisions for s in d.samples if s.kind == "failure"]
    assert len(ended) == 1


def test_9_3_skip_analysis_succeeds_and_is_counted_as_skipped() -> None:
    story = Story(a_spec(skip_analysis=True, step_weight=20)).initialised().push("v2")
    assert story.status.phase == "Succeeded"
    counted = [s for d in story.decisions for s in d.samples if s.kind == "success"]
    assert [s.labels["analysis_status"] for s in counted] == ["skipped"]


def test_9_3_a_primary_stuck_in_promoting_leaves_the_canary_serving() -> None:
    story = begun(step_weight=50, max_weight=50)
    story.obedient = False
    story.tick().see_primary(promoted=revision("v2"), readiness=STUCK).look()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 100)
    assert (story.intent.routes.primary, story.intent.routes.canary) == (0, 100)
    assert story.intent.workload.canary == "running"


def test_9_3_a_primary_stuck_while_finalising_leaves_the_canary_serving() -> None:
    story = begun(step_weight=50, max_weight=50)
    story.obedient = False
    story.tick().settle()
    story.status = msgspec.structs.replace(story.status, phase="Finalising", canary_weight=0)
    story.see_primary(promoted=revision("v2"), readiness=STUCK)
    story.report(settled=False, waiting="the primary is not ready").look()
    assert (story.status.phase, story.status.canary_weight) == ("Failed", 100)
    assert story.intent.routes.canary == 100


def test_9_3_a_finalisation_whose_target_does_not_come_up_says_so_and_waits() -> None:
    story = Story(a_spec(revert_on_deletion=True, step_weight=20)).initialised()
    story.see(finalizers=("finalizer.flagger.app",), deleting=True)
    story.obedient = False
    story.look()
    why = "canary not ready during finalizing: canary deployment web.test not ready"
    story.report(settled=False, error=why).look()
    assert story.status.phase == "Terminating"
    assert why in story.texts
    assert story.decisions[-1].finalizer is None


@pytest.mark.parametrize(("status", "again"), [(500, True), (202, False), (501, False)])
def test_9_3_a_webhook_that_answers_500_is_asked_again(status: int, again: bool) -> None:
    assert is_retried(status) == again
    assert passed(status) == (status == 202)


# --- 9.2 -----------------------------------------------------------------------------------------


def test_9_2_02_a_canary_with_a_load_test_is_promoted() -> None:
    template = MetricTemplateSpec(provider=MetricProvider(type="prometheus"), query="up")
    metrics = [
        {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"},
        {
            "name": "latency",
            "templateRef": {"name": "latency"},
            "templateVariables": {"reporter": "destination"},
            "thresholdRange": {"max": 500},
        },
    ]
    story = Story(interval="15s", threshold=15, max_weight=30, step_weight=10, metrics=metrics)
    story.see(templates={"test/latency": template}).initialised().push("v2").run()
    assert story.status.phase == "Succeeded"
    assert [a.metric for a in story.asked if isinstance(a, MetricAsk)][:2] == [
        "request-success-rate",
        "latency",
    ]


def test_9_2_03_blue_green_with_two_pre_rollout_hooks() -> None:
    hooks = [hook("token", "pre-rollout"), hook("grpc", "pre-rollout")]
    story = begun(iterations=5, webhooks=hooks)
    assert [a.hook.name for a in story.asked if isinstance(a, HookAsk)] == ["token", "grpc"]
    story.run()
    assert story.status.phase == "Succeeded"


def test_9_2_04_ab_with_gate_and_post_rollout_hook() -> None:
    hooks = [
        hook("load", "pre-rollout"),
        hook("promote", "confirm-promotion"),
        hook("done", "post-rollout"),
    ]
    story = begun(iterations=2, match=COOKIE, webhooks=hooks)
    story.run()
    asked = [a.hook.name for a in story.asked if isinstance(a, HookAsk)]
    assert (story.status.phase, asked) == ("Succeeded", ["load", "promote", "done"])


def test_9_2_05_revert_on_deletion_has_the_finalizer_and_gives_back() -> None:
    story = Story(a_spec(revert_on_deletion=True, step_weight=20)).initialised()
    assert story.decisions[-1].finalizer is True
    story.see(finalizers=("finalizer.flagger.app",), deleting=True).look()
    assert story.intent.release
    assert story.decisions[-1].finalizer is False


def test_9_2_07_skip_analysis_with_a_bad_image_fails_and_the_primary_runs_on() -> None:
    story = Story(a_spec(skip_analysis=True, step_weight=20)).initialised()
    never = Readiness(state="stuck", text="0 of 2 updated replicas are available")
    story.see_target(readiness=never).push("bad")
    assert story.status.phase == "Failed"
    assert story.status.last_promoted_spec == revision("v1")
    assert not story.intent.workload.promote


def test_9_2_09_session_affinity_hands_out_two_cookies_and_takes_the_old_one_back() -> None:
    story = begun(
        step_weight=10,
        max_weight=10,
        session_affinity={"cookieName": "c", "primaryCookieName": "p"},
    )
    cookies = story.intent.routes.cookies
    assert cookies is not None
    assert story.status.canary_weight == 10
    assert (cookies.canary[:2], cookies.primary[:2]) == ("c=", "p=")
    story.run()
    after = story.intent.routes.cookies
    assert after is not None
    assert (story.status.phase, after.previous) == ("Succeeded", cookies.canary)


@pytest.mark.parametrize(("row", "threshold"), [(11, 6), (16, 3), (34, 5)])
def test_9_2_11_16_34_a_canary_that_answers_with_errors_is_rolled_back(
    row: int, threshold: int
) -> None:
    rate = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
    story = bad(begun(step_weight=10, threshold=threshold, metrics=rate))
    for _ in range(threshold):
        assert story.status.phase == "Progressing", f"row {row}"
        story.tick()
    assert story.status.phase == "Failed"


def test_9_2_17_step_weights_win_over_a_max_weight_beside_them() -> None:
    story = begun(step_weights=[10, 20, 30, 40, 50, 60], max_weight=50)
    story.run()
    assert story.weights == [0, 10, 20, 30, 40, 50, 60, 0]


def test_9_2_18_provider_kubernetes_with_a_gate_and_five_iterations() -> None:
    hooks = [hook("start", "confirm-rollout"), hook("accept", "pre-rollout")]
    spec = a_spec(provider="kubernetes", iterations=5, metrics=[], webhooks=hooks)
    story = Story(spec).initialised().push("v2")
    story.run()
    assert story.status.phase == "Succeeded"
    assert [t for t in story.texts if "iteration" in t][-1] == (
        "Advance web.test canary iteration 5/5"
    )


def test_9_2_25_a_failed_revision_is_tried_again_only_when_somebody_wants_it() -> None:
    rate = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
    story = bad(begun(step_weight=10, threshold=2, metrics=rate))
    story.run()
    assert story.status.phase == "Failed"
    story.push("v1").tick()
    assert story.status.phase == "Failed", "the live image is no release"
    story.push("v2")
    assert story.status.phase == "Progressing"
    story.run()
    assert story.status.phase == "Failed"
    story.metric = lambda ask: Value(key=ask.key, value=100.0)
    story.push("v2-annotated").run()
    assert story.status.phase == "Succeeded"


def test_9_2_27_37_a_slow_canary_is_rolled_back_for_its_duration() -> None:
    slow = [{"name": "request-duration", "thresholdRange": {"max": 500}}]
    story = begun(step_weight=10, threshold=2, metrics=slow)
    story.metric = lambda ask: Value(key=ask.key, value=1000.0)
    story.run()
    assert story.status.phase == "Failed"
    assert "Halt web.test advancement request duration 1s > 500ms" in story.texts


def test_9_2_24_ab_with_a_rollout_hook_that_is_asked_in_every_iteration() -> None:
    story = begun(iterations=3, match=COOKIE, webhooks=[hook("smoke", "rollout")])
    story.run()
    asked = [a for a in story.asked if isinstance(a, HookAsk)]
    assert (story.status.phase, len(asked)) == ("Succeeded", 3)


def test_9_2_gates_are_not_in_its_scripts_but_in_their_weak_spots() -> None:
    """Mirroring, suspend, stepped promotion, gates, rollback hook, alerts: none has a row there."""
    story = Story(
        step_weight=50,
        max_weight=50,
        step_weight_promotion=25,
        mirror=True,
        metrics=[],
        webhooks=[hook("promote", "confirm-promotion"), hook("back", "rollback")],
    )
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.type != "rollback")
    story.initialised().push("v2").run()
    assert story.status.phase == "Succeeded"
    assert story.weights == [0, 50, 25, 0]
