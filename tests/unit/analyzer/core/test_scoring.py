"""Metrics that decide together: Kayenta's score in a rollout."""

import math
import random
from typing import Any

import pytest
from tests.builders import a_canary_spec, a_metric, a_rollout, an_analysis
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.rollout import Answer, MetricAsk, NoData, Table, Unreachable, Value
from serinus.analyzer.core.scoring import SCORE
from serinus.analyzer.core.validate import problems
from serinus.events import CheckFailed, CheckPassed
from serinus.events.canary import Metric, MetricJudge, Score

dice = random.Random(6)
CALM = tuple(dice.gauss(10, 1) for _ in range(30))
ALIKE = tuple(dice.gauss(10, 1) for _ in range(30))
HIGHER = tuple(value + 5 for value in CALM)


def ranked(name: str, *groups: str, **judge: Any) -> dict[str, Any]:
    return {
        "name": name,
        "query": f"{name}_{{{{ side }}}}",
        "interval": "10s",
        "judge": {"kind": "mann-whitney", "groups": list(groups), **judge},
    }


def begun(*metrics: dict[str, Any], score: dict[str, Any] | None = None, **analysis: Any) -> Story:
    story = Story(
        step_weight=10,
        max_weight=50,
        threshold=3,
        metrics=list(metrics),
        score={} if score is None else score,
        **analysis,
    )
    story.metric = answering()
    return story.initialised().push("v2").tick().tick()


def answering(queue: float = 0.0, **canary: tuple[float | None, ...]) -> Any:
    """Each metric's values on the canary; the primary's are always the same."""

    def answer(ask: MetricAsk) -> Answer:
        if not ask.columns:
            return Value(key=ask.key, value=queue)
        table = {"canary:value": canary.get(ask.metric, ALIKE), "primary:value": CALM}
        return Table(key=ask.key, columns=table)

    return answer


def of(story: Story) -> Any:
    """What was last measured as score."""
    told = [f for f in story.facts if isinstance(f, CheckFailed | CheckPassed)]
    return next(m for m in told[-1].measurements if m.metric == SCORE.name)


FOUR = [ranked("cpu", "load"), ranked("memory", "load"), ranked("slow", "users")]


def test_a_release_like_its_primary_is_promoted_with_a_full_score() -> None:
    story = begun(*FOUR)
    story.metric = answering()
    story.run()

    assert story.status.phase == "Succeeded"
    assert (of(story).value, of(story).bound, of(story).outcome) == (100.0, ">= 95", "passed")


def test_below_marginal_the_release_ends_at_once_and_says_why() -> None:
    story = begun(*FOUR, score={"groupWeights": {"users": 60, "load": 40}})
    story.metric = answering(slow=HIGHER)
    story.tick()

    assert story.status.phase == "Failed"
    assert (of(story).value, of(story).outcome) == (40.0, "failed")
    (text,) = [t for t in story.texts if "advancement score" in t]
    assert text.startswith("Halt web.test advancement score 40 < 95: load 100, users 0; slow high")
    assert "shifted by 5 " in text or "shifted by 4." in text or "shifted by 5." in text


def test_between_marginal_and_pass_it_waits_as_long_as_the_threshold_lets_it() -> None:
    story = begun(*FOUR, score={"marginal": 60, "groupWeights": {"users": 20, "load": 80}})
    weight = story.status.canary_weight
    story.metric = answering(slow=HIGHER)
    story.tick()

    assert (story.status.phase, story.status.failed_checks) == ("Progressing", 1)
    assert (story.status.canary_weight, of(story).value) == (weight, 80.0)
    story.tick().tick()
    assert story.status.phase == "Failed"


def test_a_critical_metric_makes_it_nothing() -> None:
    critical = ranked("slow", "users", critical=True)
    story = begun(*FOUR[:2], critical, score={"groupWeights": {"users": 1, "load": 99}})
    story.metric = answering(slow=HIGHER)
    story.tick()

    assert story.status.phase == "Failed"
    assert of(story).value == 0.0
    assert any("slow is critical: high" in text for text in story.texts)


def test_a_critical_metric_may_have_a_size_of_its_own() -> None:
    judge = {"critical": True, "effectSize": {"criticalIncrease": 3.0}}
    story = begun(ranked("slow", "users", **judge), ranked("cpu", "load"), score={"marginal": 50})
    story.metric = answering(slow=HIGHER)
    story.tick()

    assert (story.status.phase, of(story).value) == ("Progressing", 50.0)


def test_what_nobody_finds_worse_in_its_direction_passes() -> None:
    story = begun(ranked("slow", direction="decrease"))
    story.metric = answering(slow=HIGHER)
    story.tick()
    assert of(story).value == 100.0

    story = begun(ranked("slow"))
    story.metric = answering(slow=tuple(value - 5 for value in CALM))
    story.tick()
    assert of(story).value == 0.0


@pytest.mark.parametrize(
    ("judge", "value"),
    [({}, 100.0), ({"mustHaveData": True}, 66.67), ({"critical": True}, 0.0)],
)
def test_missing_data_is_what_kayenta_makes_of_it(judge: dict[str, Any], value: float) -> None:
    story = begun(ranked("cpu"), ranked("memory"), ranked("odd", **judge), score={"marginal": 50})
    story.metric = answering(odd=(None,) * 30)
    story.tick()

    assert of(story).value == value


def test_missing_values_may_count_as_none() -> None:
    """An error counter that does not exist yet is 0 on both sides."""
    story = begun(ranked("errors", nanStrategy="replace"))
    none: tuple[float | None, ...] = (None,) * 30
    story.metric = lambda ask: Table(
        key=ask.key, columns={"canary:value": none, "primary:value": none}
    )
    story.tick()

    assert of(story).value == 100.0


def test_half_of_the_metrics_without_data_are_no_evidence() -> None:
    story = begun(*FOUR[:2])
    weight = story.status.canary_weight
    story.metric = answering(cpu=(math.nan,) * 30)
    story.tick()

    assert of(story).outcome == "no-data"
    assert (story.status.canary_weight, story.status.failed_checks) == (weight, 1)
    assert any("half of the metrics or more have no data" in text for text in story.texts)


def test_a_source_that_is_away_holds_but_hides_no_failure() -> None:
    away = {"cpu": Unreachable(key="", why="down", away=True)}

    def answer(ask: MetricAsk, slow: Any) -> Answer:
        found = away.get(ask.metric)
        return Unreachable(key=ask.key, why="down", away=True) if found else slow(ask)

    story = begun(*FOUR)
    weight = story.status.canary_weight
    story.metric = lambda ask: answer(ask, answering())
    story.tick()
    assert (story.status.canary_weight, story.status.failed_checks) == (weight, 0)

    story.metric = lambda ask: answer(ask, answering(slow=HIGHER))
    story.tick()
    assert story.status.phase == "Failed"


def test_before_there_are_windows_nothing_counts() -> None:
    story = Story(
        step_weight=10,
        max_weight=50,
        threshold=3,
        metrics=[{**FOUR[0], "interval": "1m"}],
        score={},
    )
    story.initialised().push("v2")
    story.metric = lambda ask: NoData(key=ask.key, cause="the first window is not over yet")
    for _ in range(10):
        story.tick()
    assert (story.status.canary_weight, story.status.failed_checks) == (10, 0)


def test_metrics_with_bounds_decide_beside_the_score() -> None:
    bound = {"name": "queue", "query": "queue", "thresholdRange": {"max": 5}}
    story = begun(ranked("cpu"), bound)
    story.metric = answering(queue=9.0)
    story.tick()

    assert story.status.failed_checks == 1
    assert any("advancement queue 9.00 > 5" in text for text in story.texts)


def a_ranked(*groups: str) -> Metric:
    judge = MetricJudge(kind="mann-whitney", groups=groups)
    return a_metric("cpu", query="cpu_{{ side }}", judge=judge)


@pytest.mark.parametrize(
    ("score", "metric", "said"),
    [
        (Score(), a_metric("request-success-rate"), "no metric has a mann-whitney judge"),
        (Score(passing=50), a_ranked(), "above pass"),
        (Score(group_weights={"lod": 100}), a_ranked("load"), "no metric is in group lod"),
        (Score(group_weights={"load": 90}), a_ranked("load"), "the weights are 90 in all"),
    ],
)
def test_a_score_that_cannot_be_is_told_before_anything_begins(
    score: Score, metric: Metric, said: str
) -> None:
    spec = a_canary_spec(analysis=an_analysis(metrics=(metric,), score=score))
    (problem,) = problems(a_rollout(spec=spec))

    assert said in str(problem)
