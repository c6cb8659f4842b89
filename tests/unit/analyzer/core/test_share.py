"""A share that was ordered and is not there holds the step, and counts against nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.queries import SHARE
from serinus.analyzer.core.rollout import Answer, MetricAsk, NoData, Unreachable, Value
from serinus.analyzer.core.share import bounds
from serinus.events.canary import VerifyTraffic

VERIFY = {"verify_traffic": {"tolerance": 5, "minRequests": 100}}
Answering = Callable[[MetricAsk], Answer]


def begun(answer: Answering | None = None, **analysis: Any) -> Story:
    """A release on 20 % with verification; by default every other metric is well."""
    told = {"step_weight": 20, "max_weight": 40, **VERIFY, **analysis}
    story = Story(**told).initialised().push("v2")
    if answer is not None:
        story.metric = lambda ask: (
            answer(ask) if ask.metric == SHARE else Value(key=ask.key, value=100.0)
        )
    return story


def seen(share: float, requests: float = 10_000) -> Answering:
    return lambda ask: Value(key=ask.key, value=share, samples=requests)


def following(story: Story) -> Answering:
    """The share that is ordered."""
    return lambda ask: Value(key=ask.key, value=story.status.canary_weight, samples=1e4)


def shares(story: Story) -> list[MetricAsk]:
    return [a for a in story.asked if isinstance(a, MetricAsk) and a.metric == SHARE]


def test_where_it_is_not_asked_for_nobody_looks() -> None:
    story = begun(seen(0), verify_traffic=None)
    story.run()

    assert "Succeeded" == story.status.phase
    assert [] == shares(story)


def test_a_step_waits_until_its_share_is_there() -> None:
    """However long it takes: the canary has done nothing wrong."""
    story = begun(seen(3))
    for _ in range(10):
        story.tick()

    assert (20, 0, "Progressing") == (
        story.status.canary_weight,
        story.status.failed_checks,
        story.status.phase,
    )
    text = "Halt web.test advancement the canary got 3.0% of 10000 requests in 10s, 20% are ordered"
    assert text in story.texts
    assert ("warn", f"Analysis is waiting for evidence: {text}") == story.alerts[-1]

    answer = following(story)
    story.metric = lambda ask: (
        answer(ask) if ask.metric == SHARE else Value(key=ask.key, value=100.0)
    )
    story.run()
    assert "Succeeded" == story.status.phase


def test_other_checks_go_on_meanwhile() -> None:
    story = begun(threshold=2)
    story.metric = lambda ask: (
        Value(key=ask.key, value=3, samples=1e4)
        if ask.metric == SHARE
        else Value(key=ask.key, value=0.0)
    )
    story.run()

    assert "Failed" == story.status.phase


def test_the_share_that_was_seen_is_part_of_the_evidence() -> None:
    story = begun(seen(21.5)).tick()

    assert 40 == story.status.canary_weight
    assert story.status.canary_analysis is not None
    check = next(c for c in story.status.canary_analysis.checks if c.metric == SHARE)
    assert (21.5, "%", "passed", 20) == (check.value, check.unit, check.verdict, check.weight)
    assert ">= 13.8 and <= 26.2" == check.bound


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (seen(0, requests=99), "99 requests, 100 are wanted"),
        (
            lambda ask: NoData(key=ask.key, cause="no request in the last 10s"),
            "no request in the last 10s",
        ),
    ],
)
def test_at_low_traffic_it_is_noted_and_holds_nothing(answer: Answering, why: str) -> None:
    story = begun(answer).tick()

    assert 40 == story.status.canary_weight
    assert f"The share of web.test is not verified: {why}" in story.texts


def test_a_source_that_is_away_holds_the_step() -> None:
    story = begun(lambda ask: Unreachable(key=ask.key, why="connection refused", away=True)).tick()

    assert (20, 0) == (story.status.canary_weight, story.status.failed_checks)


def test_a_share_is_asked_for_over_one_interval_beside_its_count() -> None:
    (ask,) = shares(begun(seen(20), provider="istio", interval="30s").tick(30))

    canary, primary = (
        f'(sum(increase(istio_requests_total{{reporter="destination", '
        f'destination_workload_namespace="test", destination_workload=~"{workload}"}}[30s])) '
        "or vector(0))"
        for workload in ("web", "web-primary")
    )
    assert f"100 * {canary} / ({canary} + {primary})" == ask.query
    assert (f"{canary} + {primary}", 30.0) == (ask.samples_query, ask.window_s)


@pytest.mark.parametrize(
    "analysis",
    [
        {"iterations": 2, "step_weight": 0},
        {"session_affinity": {"cookieName": "c"}},
        {"provider": "skipper"},
    ],
)
def test_where_no_share_can_be_seen_it_is_said_and_nothing_waits(analysis: dict[str, Any]) -> None:
    story = begun(seen(0), **analysis)
    story.run()

    assert [] == shares(story)
    assert "Succeeded" == story.status.phase
    story.edit(progress_deadline_seconds=700).look()
    assert any(text.startswith("spec.analysis.verifyTraffic: ") for text in story.texts)


@pytest.mark.parametrize(
    ("weight", "requests", "low", "high"),
    [(50, 100, 30.0, 70.0), (50, 1e6, 44.9, 55.1), (1, 400, 0.0, 7.5), (100, 400, 95.0, 100.0)],
)
def test_few_requests_may_differ_further_as_chance_has_it(
    weight: int, requests: float, low: float, high: float
) -> None:
    found = bounds(VerifyTraffic(tolerance=5), weight, requests)

    assert (low, high) == (found.low, found.high)
