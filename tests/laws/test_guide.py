"""The user's guide on virtual time: its worked examples, rollback scenarios and timeline.

Where it and Flagger's contract contradict each other Flagger's meaning is what is tested, and that
the manifest was warned about.
"""

from __future__ import annotations

import msgspec
import pytest
from tests.contract import manifests
from tests.unit.analyzer.core.story import Story, revision

from serinus.analyzer.core.rollout import HookAnswer, HookAsk, MetricAsk, Value
from serinus.events import CanaryRef, CanarySpec, MetricTemplateSpec
from serinus.events.canary import MetricProvider, interval_s

MINUTE = 60.0
TEMPLATE = MetricTemplateSpec(provider=MetricProvider(type="prometheus"), query="up")


def example(name: str) -> Story:
    """One of the guide's manifests, initialised, with whatever MetricTemplates it names."""
    (manifest,) = (m for m in manifests.of_the_examples() if m["metadata"]["name"] == name)
    namespace = manifest["metadata"]["namespace"]
    story = Story(msgspec.convert(manifest["spec"], CanarySpec))
    story.see(canary=CanaryRef(namespace, name, "uid-1"))
    found = {}
    for metric in story.spec.analysis.metrics if story.spec.analysis else ():
        if metric.template_ref is not None:
            ref = metric.template_ref
            found[f"{ref.namespace or namespace}/{ref.name}"] = TEMPLATE
    story.see(templates=found)
    healthy(story)
    return story.initialised()


def healthy(story: Story) -> None:
    """Every metric at a value that its own bounds allow."""
    bounds = {}
    for metric in story.spec.analysis.metrics if story.spec.analysis else ():
        allowed = metric.threshold_range
        value = 0.0 if allowed is None or allowed.min is None else allowed.min
        bounds[metric.name] = value
    story.metric = lambda ask: Value(key=ask.key, value=bounds[ask.metric])


def asked_hooks(story: Story) -> list[str]:
    return [ask.hook.name for ask in story.asked if isinstance(ask, HookAsk)]


def test_the_canary_timeline_takes_its_twelve_minutes() -> None:
    """5 % after a minute (the pods'), 5 % more each minute, 50 % at 10, promoted within 12."""
    story = Story(interval="1m", threshold=10, step_weight=5, max_weight=50).initialised()
    began = story.now
    story.see_target(
        readiness=msgspec.structs.replace(story.seen.target.readiness, state="waiting")
    )
    story.push("v2")
    story.now = began + MINUTE
    story.see_target(readiness=msgspec.structs.replace(story.seen.target.readiness, state="ready"))
    story.look()
    at: dict[int, float] = {}
    while story.status.phase == "Progressing":
        at.setdefault(story.status.canary_weight, (story.now - began) / MINUTE)
        story.tick(MINUTE)
    assert at == {5 * n: float(n) for n in range(1, 11)}
    assert story.status.phase == "Succeeded"
    assert (story.now - began) / MINUTE <= 12


# T, success rate, duration, pass count, fail count: the guide's two tables.
EXCEEDED = [
    (99.5, 450, 1, 0),
    (98.0, 480, 1, 1),
    (97.5, 490, 1, 2),
    (96.0, 510, 1, 3),
    (95.0, 530, 1, 4),
    (94.0, 550, 1, 5),
]
INTERMITTENT = [
    (99.5, 450, 1, 0),
    (98.0, 480, 1, 1),
    (99.2, 460, 2, 1),
    (99.8, 440, 3, 1),
    *((99.5, 450, passes, 1) for passes in range(4, 10)),
]


def scenario() -> Story:
    return Story(
        interval="1m",
        threshold=5,
        iterations=10,
        metrics=[
            {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"},
            {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "1m"},
        ],
    ).initialised()


def measure(story: Story, rate: float, duration_ms: float) -> tuple[int, int]:
    """One interval with these values; pass and fail counts afterwards."""
    values = {"request-success-rate": rate, "request-duration": duration_ms / 1000}

    def answer(ask: MetricAsk) -> Value:
        return Value(key=ask.key, value=values[ask.metric] * (1000 if "istio" in ask.query else 1))

    story.metric = answer
    story.tick(MINUTE)
    evidence = story.status.canary_analysis
    assert evidence is not None
    return evidence.passed, evidence.failed


def test_rollback_scenario_1_a_metric_threshold_is_exceeded() -> None:
    story = scenario().push("v2")
    for t, (rate, duration, passes, fails) in enumerate(EXCEEDED, 1):
        assert (passes, fails) == measure(story, rate, duration), f"T{t}"
        assert (story.status.phase == "Failed") == (fails == 5), f"T{t}"
    assert story.intent.routes.canary == 0
    assert story.intent.workload.canary == "parked"
    assert story.alerts[-1] == ("error", "Failed checks threshold reached 5")


def test_rollback_scenario_2_intermittent_failures_are_outlived() -> None:
    """The counts are the guide's. Blue/green then serves one more interval from the canary before
    it copies, as in Flagger, so it ends two intervals after the table's T10."""
    story = scenario().push("v2")
    for t, (rate, duration, passes, fails) in enumerate(INTERMITTENT, 1):
        assert (passes, fails) == measure(story, rate, duration), f"T{t}"
        assert story.status.phase == "Progressing"
    assert story.status.iterations == 10
    measure(story, 99.5, 450)
    assert story.intent.routes.canary == 100
    measure(story, 99.5, 450)
    assert story.status.phase == "Succeeded"


def test_example_1_payment_api_steps_by_5_waits_for_approval_and_is_promoted() -> None:
    story = example("payment-api")
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.type != "confirm-promotion")
    story.push("v2")
    began = story.now
    at: dict[int, float] = {}
    while story.status.phase == "Progressing":
        at.setdefault(story.status.canary_weight, (story.now - began) / MINUTE)
        story.tick(2 * MINUTE)
    # The guide counts from the start of the first interval; the first step needs none here.
    assert at == {5 * n: 2.0 * (n - 1) for n in range(1, 11)}
    assert (story.status.phase, story.status.canary_weight) == ("WaitingPromotion", 50)
    assert (story.now - began) / MINUTE == 20.0
    assert ("warn", "Canary promotion is waiting for approval.") in story.alerts
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=True)
    story.tick(2 * MINUTE)
    assert (story.status.phase, (story.now - began) / MINUTE) == ("Succeeded", 22.0)
    assert asked_hooks(story)[:2] == ["load-test", "acceptance-test"]


def test_example_1_rolls_back_at_the_third_failed_check() -> None:
    story = example("payment-api").push("v2")
    story.metric = lambda ask: Value(key=ask.key, value=50.0)
    story.tick(2 * MINUTE).tick(2 * MINUTE)
    assert (story.status.phase, story.status.failed_checks) == ("Progressing", 2)
    story.tick(2 * MINUTE)
    assert story.status.phase == "Failed"


def test_example_1_asks_the_built_in_rate_beside_its_template_and_says_so() -> None:
    story = Story(example("payment-api").spec)
    story.look()
    assert any("request-success-rate is built in and is asked beside" in t for t in story.texts)


def test_example_2_recommendations_are_tried_for_a_week_on_those_who_match() -> None:
    story = example("recommendation-api").push("v2")
    assert interval_s(story.spec) == 3600
    began, iterations = story.now, []
    while story.status.phase == "Progressing":
        routes = story.intent.routes
        assert (routes.canary, len(routes.match)) == (100, 2)
        assert routes.cookies is not None
        assert routes.cookies.settings.max_age == 604800
        iterations.append(story.status.iterations)
        story.tick(3600)
    assert iterations == list(range(1, 169))
    assert (story.status.phase, (story.now - began) / 3600 / 24) == ("Succeeded", 7.0)
    assert story.status.last_promoted_spec == revision("v2")


def test_example_3_migrates_first_tests_without_traffic_and_switches_at_once() -> None:
    story = example("user-service")
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.type != "rollback")
    story.push("v2")
    assert asked_hooks(story) == ["db-rollback", "db-migration"]
    shares = []
    while story.status.phase == "Progressing":
        shares.append(story.intent.routes.canary)
        story.tick(MINUTE)
    assert shares == [0] * 10 + [100]
    assert story.status.phase == "Succeeded"
    assert asked_hooks(story)[-1] == "db-cleanup"
    once = [name for name in asked_hooks(story) if name == "db-migration"]
    assert len(once) == 1


def test_example_3s_rollback_hook_rolls_back_as_soon_as_it_answers_and_was_warned_about() -> None:
    """The guide means a clean-up; for Flagger a rollback hook is a question."""
    story = Story(example("user-service").spec)
    story.look()
    assert any("to do something after a rollback use type on-rollback" in t for t in story.texts)
    story.push("v2")
    assert story.status.phase == "Failed"


def test_example_3_with_an_on_rollback_hook_reverts_the_database_when_a_step_fails() -> None:
    story = example("user-service")
    assert story.spec.analysis is not None
    hooks = tuple(
        msgspec.structs.replace(h, type="on-rollback") if h.name == "db-rollback" else h
        for h in story.spec.analysis.webhooks
    )
    story.edit(analysis=msgspec.structs.replace(story.spec.analysis, webhooks=hooks)).settle()
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.name != "smoke-tests")
    story.push("v2").tick(MINUTE)
    assert story.status.phase == "Failed"
    assert asked_hooks(story) == ["db-migration", "smoke-tests", "db-rollback", "db-cleanup"]
    assert story.intent.routes.primary == 100


def test_example_4_mirrors_everything_before_anybody_is_served_by_the_canary() -> None:
    story = example("api-gateway").push("v2")
    seen = []
    while story.status.phase == "Progressing":
        routes = story.intent.routes
        seen.append((routes.primary, routes.canary, routes.mirror, routes.mirror_weight))
        story.tick(MINUTE)
    assert seen == [(100, 0, True, 100)] * 10 + [(0, 100, False, 0)]
    assert story.status.phase == "Succeeded"


def test_example_4_the_second_region_waits_for_the_answer_of_the_coordinator() -> None:
    """Its hook may take ten minutes; nothing is decided, and nothing fails, in the meantime."""
    story = example("api-gateway-eu-west")
    story.hook = lambda ask: None
    story.push("v2")
    for _ in range(9):
        story.tick(MINUTE)
    assert (story.status.phase, story.status.iterations, story.status.failed_checks) == (
        "Progressing",
        0,
        0,
    )
    assert asked_hooks(story) == ["check-us-east-status"]
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=True)
    story.look()
    assert story.status.iterations == 1


def test_example_4_a_region_that_may_not_start_gives_up_at_its_threshold() -> None:
    story = example("api-gateway-eu-west")
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=False, text="us-east-1 failed")
    story.push("v2")
    assert story.status.phase == "Failed", "without a threshold one failed check is enough"


def test_progressive_shadowing_reaches_everything_after_ten_iterations() -> None:
    story = example("shadow").push("v2")
    mirrored = []
    while story.status.phase == "Progressing" and story.intent.routes.mirror:
        mirrored.append(story.intent.routes.mirror_weight)
        story.tick(MINUTE)
    assert mirrored == list(range(10, 101, 10))


def test_feature_flags_start_up_delay_and_the_weight_in_a_command() -> None:
    story = example("flags").push("v2")
    assert story.status.canary_weight == 0
    story.tick(31)
    assert story.status.canary_weight == 10
    story.tick(MINUTE)
    loads = [a.hook for a in story.asked if isinstance(a, HookAsk) and a.hook.name == "load"]
    assert [hook.metadata for hook in loads] == [{"cmd": "load.sh --weight 10"}]


@pytest.mark.parametrize(
    ("verb", "phase"), [("skip_analysis", "Succeeded"), ("reset", "Progressing")]
)
def test_the_guides_debugging_commands_do_what_they_say(verb: str, phase: str) -> None:
    """Force promotion (skip analysis), and reset (trigger a new rollout)."""
    story = example("payment-api").push("v2").tick(2 * MINUTE)
    story.annotate(**{verb: "true"}).look()
    assert story.status.phase == phase
    if verb == "reset":
        assert story.status.canary_weight == 5
    assert story.status.canary_analysis is not None


def test_setting_the_image_back_is_the_guides_manual_rollback() -> None:
    story = example("payment-api").push("v2").tick(2 * MINUTE).push("v1")
    assert (story.status.phase, story.intent.routes.canary) == ("Failed", 0)
    story.tick(2 * MINUTE).tick(2 * MINUTE)
    assert story.status.phase == "Failed"
