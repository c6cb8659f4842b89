"""What a manifest may not mean is told, once for each version of it."""

from __future__ import annotations

import pytest
from tests.unit.analyzer.core.story import Story, a_spec

from serinus.analyzer.core.warnings import ROLLBACK_ASKS, warnings
from serinus.events.canary import analysis_of


def found(**analysis: object) -> list[tuple[str, str]]:
    spec = a_spec(**{"metrics": [], **analysis})
    return list(warnings(spec, analysis_of(spec)))


def metric(name: str, **fields: object) -> dict[str, object]:
    return {"name": name, **fields}


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (metric("request-success-rate"), "it is missing, so every value passes; set min"),
        (metric("request-duration"), "it is missing, so every value above 0 fails; set max or min"),
        (metric("errors", query="up"), "it is missing, so every value above 0 fails"),
        (metric("errors", query="up", thresholdRange={}), "it is empty, so every value passes"),
    ],
)
def test_a_metric_without_bounds_is_told_what_that_means(one: dict[str, object], what: str) -> None:
    ((path, text),) = found(step_weight=10, metrics=[one])
    assert path == "spec.analysis.metrics[0].thresholdRange"
    assert what in text


def hook(**fields: object) -> dict[str, object]:
    return {"name": "h", "url": "http://h", **fields}


@pytest.mark.parametrize(
    ("analysis", "where"),
    [
        ({"step_weight": 10, "iterations": 5}, "spec.analysis.iterations"),
        ({"step_weight": 10, "match": [{}]}, "spec.analysis.match"),
        ({"step_weights": [1, 2], "max_weight": 50}, "spec.analysis.maxWeight"),
        ({"step_weights": [1, 2], "step_weight": 10}, "spec.analysis.stepWeight"),
        ({"step_weight": 10, "mirror_weight": 10}, "spec.analysis.mirrorWeight"),
        ({"step_weight": 10, "interval": "1min"}, "spec.analysis.interval"),
        ({"step_weights": [10, 50, 20]}, "spec.analysis.stepWeights"),
        (
            {"step_weight": 10, "webhooks": [hook(timeout="1min")]},
            "spec.analysis.webhooks[0].timeout",
        ),
        (
            {"step_weight": 10, "metrics": [metric("request-duration", query="up", threshold=1)]},
            "spec.analysis.metrics[0]",
        ),
        (
            {"step_weight": 10, "webhooks": [hook(type="rollback", metadata={"cmd": "undo"})]},
            "spec.analysis.webhooks[0]",
        ),
        (
            {"step_weight": 10, "webhooks": [hook(metadata={"method": "POST", "body": "{}"})]},
            "spec.analysis.webhooks[0]",
        ),
    ],
)
def test_it_says_where(analysis: dict[str, object], where: str) -> None:
    assert [path for path, _ in found(**analysis)] == [where]


@pytest.mark.parametrize(
    "analysis",
    [
        {"step_weight": 10, "max_weight": 50},
        {"iterations": 5, "match": [{}]},
        {"step_weights": [10, 50]},
        {"step_weight": 10, "metrics": [metric("request-success-rate", threshold=99)]},
        {"step_weight": 10, "metrics": [metric("request-success-rate", judge={})]},
        {"step_weight": 10, "metrics": [metric("errors", query="up", thresholdRange={"max": 0})]},
        {"step_weight": 10, "webhooks": [hook(type="rollback")]},
        {"step_weight": 10, "webhooks": [hook(metadata={"type": "cmd", "cmd": "hey"})]},
    ],
)
def test_ordinary_manifests_are_not_nagged_at(analysis: dict[str, object]) -> None:
    assert found(**analysis) == []


def test_a_rollback_hook_that_does_something_is_told_what_it_is() -> None:
    """The guide uses it for cleaning up; Flagger rolls back as soon as it answers."""
    hooks = [hook(type="rollback", metadata={"type": "bash", "cmd": "undo"})]
    story = Story(step_weight=10, webhooks=hooks)
    story.look()
    said = f"spec.analysis.webhooks[0]: {ROLLBACK_ASKS}"
    assert story.texts.count(said) == 1
    for _ in range(3):
        story.tick()
    assert story.texts.count(said) == 1


def test_an_edit_of_the_spec_says_it_again() -> None:
    story = Story(step_weight=10, iterations=2)
    story.look()
    told = len([t for t in story.texts if "iterations decide" in t])
    story.edit(suspend=False).look()
    assert (told, len([t for t in story.texts if "iterations decide" in t])) == (1, 2)


def test_an_alert_provider_that_is_not_there_is_told() -> None:
    alerts = [{"name": n, "providerRef": {"name": n, "namespace": "ops"}} for n in ("a", "b")]
    story = Story(step_weight=10, alerts=alerts)
    story.see(missing_providers=("ops/b",)).look()

    found = [t for t in story.texts if "alert provider" in t]
    assert found == [
        "spec.analysis.alerts[1].providerRef: alert provider b.ops not found: nobody is told"
    ]
