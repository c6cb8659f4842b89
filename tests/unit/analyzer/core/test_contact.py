"""First contact: bad manifests, other controllers, dry runs and what is left of them."""

from __future__ import annotations

import msgspec
from tests.unit.analyzer.core.story import Story, a_spec, revision

from serinus.analyzer.core.rollout import HookAsk, Policy, Value
from serinus.analyzer.core.status import is_dry
from serinus.events import Problem


def dry(**analysis: object) -> Story:
    """A canary in a dry run: nobody does what is wanted, the target runs by itself."""
    story = Story(a_spec(dry_run=True, **{"step_weight": 50, "max_weight": 50, **analysis}))
    story.obedient = False
    story.look()
    return story


class TestDryRun:
    def test_everything_is_decided_and_nothing_is_to_be_changed(self) -> None:
        story = dry()
        assert story.status.phase == "Initialized"
        story.push("v2").run()
        assert story.phases[-4:] == ["Progressing", "Promoting", "Finalising", "Succeeded"]
        assert story.intent.hold
        assert story.status.history[0].outcome == "promoted"

    def test_it_is_said_to_be_one(self) -> None:
        story = dry(threshold=1).push("v2")
        story.metric = lambda ask: Value(key=ask.key, value=0.0)
        story.run()
        assert story.status.phase == "Failed"
        assert all(text.startswith("Dry run: ") for text in story.texts)
        assert ("error", "Dry run: Failed checks threshold reached 1") in story.alerts
        assert is_dry(story.status)

    def test_no_hook_is_asked_because_hooks_may_act(self) -> None:
        kinds = ("confirm-rollout", "pre-rollout", "rollout", "post-rollout", "rollback")
        hooks = [{"name": k, "type": k, "url": "http://h"} for k in kinds]
        story = dry(webhooks=hooks).push("v2").run()
        assert story.status.phase == "Succeeded"
        assert not [a for a in story.asked if isinstance(a, HookAsk)]

    def test_counters_of_releases_are_left_alone(self) -> None:
        story = dry().push("v2").run()
        kinds = {s.kind for d in story.decisions for s in d.samples}
        assert kinds == {"analysis"}

    def test_a_parked_canary_cannot_be_tried_and_it_is_said(self) -> None:
        story = dry().see_target(replicas=0).push("v2").tick()
        assert story.status.canary_weight == 0
        assert any("the canary is parked" in text for text in story.texts)

    def test_the_operator_can_wish_it_for_all(self) -> None:
        story = Story(step_weight=20)
        story.policy = Policy(dry_run=True)
        assert story.intent.hold

    def test_afterwards_the_cluster_says_what_is_live(self) -> None:
        story = Story(step_weight=50, max_weight=50).initialised().push("v2").run()
        story.edit(dry_run=True).push("v3").run().run()
        assert story.status.last_promoted_spec == revision("v3")
        story.edit(dry_run=False).see_primary(promoted=revision("v2")).look()
        assert not is_dry(story.status)
        assert story.status.last_promoted_spec == revision("v2")
        assert story.status.phase == "Progressing"

    def test_a_canary_that_was_never_real_is_initialised_afterwards(self) -> None:
        story = dry().push("v2").run()
        story.obedient = True
        story.edit(dry_run=False).look()
        assert (story.status.phase, story.status.last_promoted_spec) == (
            "Initialized",
            revision("v2"),
        )


class TestRefused:
    def test_a_broken_metric_does_not_keep_a_failed_canary_in_traffic(self) -> None:
        story = Story(step_weight=20, threshold=1).initialised().push("v2")
        story.edit(analysis=a_spec(step_weight=20, threshold=1, metrics=[{"name": "x"}]).analysis)
        story.settle().tick()
        assert story.status.phase == "Failed"
        assert not story.intent.hold
        assert story.intent.routes.canary == 0

    def test_a_problem_is_said_once_and_in_the_conditions(self) -> None:
        story = Story(step_weight=20).see(problems=(Problem("spec.x", "is wrong", "mend it"),))
        story.look()
        story.tick().tick()
        assert story.texts == ["spec.x: is wrong; mend it"]
        states = {c.type: c.status for c in story.status.conditions}
        assert (states["Stalled"], states["Ready"]) == ("True", "False")


class TestAnotherController:
    def test_its_failed_canary_is_adopted_without_a_rollout(self) -> None:
        story = Story(step_weight=10).initialised()
        story.status = msgspec.structs.replace(
            story.status, phase="Failed", last_applied_spec="5b485f88df", last_promoted_spec="7b99"
        )
        story.see(same_template=False).push("v2").tick()
        assert (story.status.phase, story.status.last_applied_spec) == ("Failed", revision("v2"))

    def test_a_definition_that_drops_our_fields_costs_no_writes(self) -> None:
        """Flagger's own is in the cluster: what it does not know must not be written for ever."""
        story = Story(step_weight=50, max_weight=50)
        story.kept_fields = "flagger"
        story.initialised().annotate(retry="true", abort="true").see(generation=7)
        for _ in range(5):
            story.tick()
        assert story.statuses == []
        story.push("v2").run()
        assert story.status.phase == "Succeeded"
        steps = ["Progressing", "Progressing", "Promoting", "Finalising", "Succeeded"]
        assert [s.phase for s in story.statuses] == steps
