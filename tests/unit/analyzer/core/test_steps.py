"""Steps of every strategy, against the reference's tables (2.7, 2.8)."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.analyzer.core.story import Story, a_spec

from serinus.analyzer.core.rollout import HookAnswer
from serinus.events import Routes

MATCH = [{"headers": {"x-canary": {"exact": "insider"}}}]


def routes_of(story: Story) -> list[str]:
    """Orders of traffic in turn: `90/10`, `100/0+mirror 50%`."""
    found: list[str] = []
    while story.status.phase in ("Progressing", "WaitingPromotion", "Promoting", "Finalising"):
        found.append(shown(story.intent.routes))
        story.tick()
    found.append(shown(story.intent.routes))
    return [one for i, one in enumerate(found) if i == 0 or one != found[i - 1]]


def shown(routes: Routes) -> str:
    mirror = f"+mirror {routes.mirror_weight}%" if routes.mirror else ""
    return f"{routes.primary}/{routes.canary}{mirror}"


def started(**analysis: object) -> Story:
    return Story(**{"metrics": [], **analysis}).initialised().push("v2")


def test_canary_with_mirroring_copies_requests_before_it_gets_any() -> None:
    story = started(step_weight=20, max_weight=40, mirror=True, mirror_weight=50)
    assert routes_of(story) == ["100/0+mirror 50%", "80/20", "60/40", "100/0"]


def test_blue_green_with_mirroring_mirrors_in_every_iteration_and_stops_for_the_switch() -> None:
    story = started(iterations=3, mirror=True, mirror_weight=100)
    assert routes_of(story) == ["100/0+mirror 100%", "0/100", "100/0"]
    assert "Stop traffic mirroring and route all traffic to canary" in story.texts


def test_progressive_mirroring_grows_with_each_iteration_of_blue_green() -> None:
    story = started(
        iterations=4, mirror=True, mirror_weight=10, step_mirror_weight=30, max_mirror_weight=100
    )
    mirrored = [f"100/0+mirror {n}%" for n in (10, 40, 70, 100)]
    assert routes_of(story) == [*mirrored, "0/100", "100/0"]


def test_progressive_mirroring_of_a_canary_goes_on_with_real_requests_at_its_maximum() -> None:
    story = started(
        step_weight=50,
        max_weight=50,
        mirror=True,
        mirror_weight=20,
        step_mirror_weight=40,
        max_mirror_weight=100,
    )
    assert routes_of(story) == [
        "100/0+mirror 20%",
        "100/0+mirror 60%",
        "100/0+mirror 100%",
        "50/50",
        "100/0",
    ]


def test_the_guides_block_means_the_same() -> None:
    """Gradually increase mirroring: 10 % more in each of ten iterations."""
    block = {"stepWeightPromotion": 10, "maxMirrorWeight": 100, "iterations": 10}
    story = started(mirror=True, mirror_weight=10, canaryAnalysis=block)
    mirrored = [f"100/0+mirror {n}%" for n in range(10, 101, 10)]
    assert routes_of(story) == [*mirrored, "0/100", "100/0"]


def test_ab_serves_matching_requests_from_the_first_iteration_to_the_promotion() -> None:
    story = started(iterations=2, match=MATCH)
    assert routes_of(story) == ["0/100", "100/0"]
    assert story.texts[2:4] == [
        "Advance web.test canary iteration 1/2",
        "Advance web.test canary iteration 2/2",
    ]


@pytest.mark.parametrize("match", [[], MATCH])
def test_fewer_iterations_in_mid_run_end_the_run_all_the_same(match: list[object]) -> None:
    """Flagger's A/B is stuck, its blue/green promotes what never served (2.7)."""
    story = started(iterations=5, match=match).tick().tick().tick()
    lowered = msgspec.structs.replace(story.spec.analysis, iterations=2)
    story.edit(analysis=lowered).settle()
    story.run()
    assert story.status.phase == "Succeeded"


def test_steps_back_to_the_primary_in_promotion() -> None:
    story = started(step_weight=100, step_weight_promotion=50)
    assert routes_of(story) == ["0/100", "50/50", "100/0"]


def test_a_promotion_whose_traffic_was_reset_by_hand_ends(monkeypatch: object) -> None:
    """Flagger stays in Promoting for ever (2.8)."""
    story = started(step_weight=50, max_weight=50, step_weight_promotion=25)
    story.status = msgspec.structs.replace(story.status, phase="Promoting", canary_weight=0)
    story.settle().run()
    assert story.status.phase == "Succeeded"


def test_manifests_without_steps_never_begin() -> None:
    story = Story(a_spec(metrics=[]))
    story.look()
    assert any("has no steps" in text for text in story.texts)


class TestPause:
    def test_no_step_is_taken_and_the_checks_go_on(self) -> None:
        story = started(step_weight=20, max_weight=60).annotate(pause="eve")
        story.tick().tick()
        assert story.status.canary_weight == 20
        assert story.texts.count("paused: no step is taken until it is resumed") == 1
        story.annotate(pause="").tick()
        assert story.status.canary_weight == 40

    def test_it_holds_the_steps_back_to_the_primary_too(self) -> None:
        story = started(step_weight=100, step_weight_promotion=50).tick()
        assert story.status.phase == "Promoting"
        story.edit(paused=True).settle().tick().tick()
        assert story.status.canary_weight == 50

    def test_promote_now_and_abort_work_in_it(self) -> None:
        for verb, phase in (("promote", "Succeeded"), ("abort", "Failed")):
            story = started(step_weight=20).annotate(pause="true", **{verb: "true"})
            story.look()
            assert story.status.phase == phase


def test_confirm_promotion_of_blue_green_is_asked_once_before_the_switch() -> None:
    """Flagger asks it again before the copy, and polls it every second interval (11.3 no. 19)."""
    hooks = [{"name": "go", "type": "confirm-promotion", "url": "http://h/go"}]
    story = started(iterations=2, webhooks=hooks)
    answers = iter([False, False, True])
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=next(answers))
    weights = routes_of(story)
    assert weights == ["100/0", "0/100", "100/0"]
    assert len(story.asked) == 3
    assert -1 not in {s.iterations for s in story.statuses}
