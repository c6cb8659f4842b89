"""Manifests with mistakes: what is understood, and what is said about the rest."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.events import Problem
from serinus.watcher.core.decode import PROBLEMS_AT_MOST, decode_spec, decode_status

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def a_spec(**fields: Any) -> dict[str, Any]:
    return {"targetRef": TARGET, "service": {"port": 80}, **fields}


def test_a_sound_manifest_has_no_problems() -> None:
    spec, problems = decode_spec(a_spec(analysis={"interval": "1m", "stepWeight": 10}))

    assert problems == ()
    assert spec.target_ref.name == "web"
    assert spec.analysis is not None
    assert spec.analysis.step_weight == 10


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"analysis": {"stepWeight": "10"}},
            Problem(
                "spec.analysis.stepWeight",
                "expected a whole number, got text",
                "write a whole number",
            ),
        ),
        (
            {"analysis": {"interval": "soon"}},
            Problem(
                "spec.analysis.interval",
                "is not a duration",
                "write a Go duration such as 30s or 1m",
            ),
        ),
        (
            {"analysis": {"interval": 30}},
            Problem(
                "spec.analysis.interval",
                "expected text, got a whole number",
                "write a Go duration such as 30s or 1m",
            ),
        ),
        (
            {"analysis": {"maxWeight": 120}},
            Problem(
                "spec.analysis.maxWeight",
                "expected a whole number <= 100",
                "write a whole number <= 100",
            ),
        ),
        ({"service": {}}, Problem("spec.service.port", "is missing", "add it")),
        (
            {"analysis": {"webhooks": [{"name": "a", "url": "http://x", "type": "post"}]}},
            Problem(
                "spec.analysis.webhooks[0].type",
                "unknown value 'post'",
                "use one of confirm-promotion, confirm-rollout, confirm-traffic-increase, event, "
                "on-rollback, post-rollout, pre-rollout, rollback, rollout",
            ),
        ),
        (
            {"service": {"port": 80, "targetPort": [1]}},
            Problem(
                "spec.service.targetPort",
                "expected a whole number or text, got a list",
                "write a whole number or text",
            ),
        ),
        (
            {"service": {"port": 80, "apex": {"labels": {"a": 1}}}},
            Problem(
                "spec.service.apex.labels",
                "expected text, got a whole number",
                "write text",
            ),
        ),
        (
            {
                "analysis": {
                    "metrics": [{"name": "a"}, {"name": "b", "thresholdRange": {"min": "x"}}]
                }
            },
            Problem(
                "spec.analysis.metrics[1].thresholdRange.min",
                "expected a number, got text",
                "write a number",
            ),
        ),
    ],
)
def test_a_mistake_is_told_by_path_with_a_cure(fields: dict[str, Any], problem: Problem) -> None:
    """In the manifest's own spelling, so that people find it."""
    _, problems = decode_spec(a_spec(**fields))

    assert problems == (problem,)


def test_an_unknown_provider_is_answered_with_the_known_ones() -> None:
    spec, (problem,) = decode_spec(a_spec(provider="foo"))

    assert (problem.path, problem.message) == ("spec.provider", "unknown value 'foo'")
    assert "gatewayapi:v1, " in problem.cure
    assert "traefik" in problem.cure
    assert spec.provider == ""


def test_what_is_sound_survives_what_is_not() -> None:
    spec, problems = decode_spec(
        a_spec(provider="traefik", suspend="yes", analysis={"threshold": 3, "stepWeight": []})
    )

    assert {p.path for p in problems} == {"spec.suspend", "spec.analysis.stepWeight"}
    assert spec.provider == "traefik"
    assert spec.service is not None
    assert spec.analysis is not None
    assert spec.analysis.threshold == 3


def test_items_of_lists_are_counted_as_the_user_wrote_them() -> None:
    """Leaving out the first broken item must not shift the place of the second."""
    _, problems = decode_spec(a_spec(analysis={"stepWeights": ["a", 20, "b", 40, "c"]}))

    assert [p.path for p in problems] == [
        "spec.analysis.stepWeights[0]",
        "spec.analysis.stepWeights[2]",
        "spec.analysis.stepWeights[4]",
    ]


def test_one_mistake_in_a_required_field_is_told_once() -> None:
    _, problems = decode_spec(a_spec(analysis={"metrics": [{"name": 7}]}))

    assert [p.path for p in problems] == ["spec.analysis.metrics[0].name"]


@pytest.mark.parametrize("raw", [{}, None, [], "text", {"targetRef": "web"}, {"targetRef": None}])
def test_a_manifest_without_a_target_is_still_a_canary(raw: Any) -> None:
    """It gets a snapshot with a problem; it must not vanish."""
    spec, problems = decode_spec(raw)

    assert spec.target_ref.name == ""
    assert problems
    assert problems[0].path.startswith("spec")


def test_a_manifest_full_of_mistakes_keeps_its_target() -> None:
    many = {"metrics": [{"name": n} for n in range(PROBLEMS_AT_MOST + 20)]}

    spec, problems = decode_spec(a_spec(analysis=many))

    assert spec.target_ref.name == "web"
    assert PROBLEMS_AT_MOST <= len(problems) <= PROBLEMS_AT_MOST + 1


def test_null_is_absent() -> None:
    spec, problems = decode_spec(a_spec(provider=None, analysis={"interval": None}))

    assert problems == ()
    assert spec.provider == ""


def test_the_manifest_is_not_changed_by_reading_it() -> None:
    raw = a_spec(provider="foo", analysis={"stepWeights": ["a"]})

    decode_spec(raw)

    assert raw == a_spec(provider="foo", analysis={"stepWeights": ["a"]})


def test_a_status_of_somebody_elses_making_is_reported() -> None:
    """Guessing a phase would begin a rollout anew; the analyzer must know."""
    status, problems = decode_status({"phase": "Dancing", "canaryWeight": 20})

    assert status.canary_weight == 20
    assert [p.path for p in problems] == ["status.phase"]


def test_a_new_canary_has_an_empty_status() -> None:
    status, problems = decode_status(None)

    assert (status.phase, problems) == ("", ())
