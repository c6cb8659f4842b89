"""Flagger's defaults, as functions of the manifest."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import a_canary_spec, an_analysis

from serinus.events import canary as c
from serinus.events.canary import (
    Analysis,
    CanarySpec,
    CanaryStatus,
    ObjectRef,
    ServiceSpec,
    Webhook,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10.0),
        ("1m", 60.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("250ms", 0.25),
        ("0", 0.0),
    ],
)
def test_a_go_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert c.duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "1min", "s", "1m 30s", "-", "1d", "ten seconds"])
def test_what_is_no_go_duration_is_none(text: str) -> None:
    assert c.duration_s(text) is None


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_the_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s"
    assert c.duration_s(text) == pytest.approx(3600 * hours + 60 * minutes + seconds)


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [("30s", 30.0), ("", 60.0), ("1min", 60.0), ("1s", 10.0), ("10s", 10.0), ("1h", 3600.0)],
)
def test_the_interval_is_a_minute_unless_readable_and_never_below_the_minimum(
    interval: str, seconds: float
) -> None:
    spec = a_canary_spec(analysis=Analysis(interval=interval))
    assert c.interval_s(spec) == seconds


def test_the_minimum_interval_is_the_operators() -> None:
    assert c.interval_s(a_canary_spec(analysis=Analysis(interval="1s")), minimum_s=0.5) == 1.0


@pytest.mark.parametrize(("given_threshold", "effective"), [(5, 5), (1, 1), (0, 1), (-3, 1)])
def test_at_least_one_failed_check_is_needed(given_threshold: int, effective: int) -> None:
    assert c.threshold(a_canary_spec(analysis=Analysis(threshold=given_threshold))) == effective


@pytest.mark.parametrize(
    ("analysis", "weight"),
    [
        (Analysis(max_weight=50), 50),
        (Analysis(), 100),
        (Analysis(step_weights=(1, 10, 80)), 80),
        (Analysis(step_weights=(50, 120)), 100),
        (Analysis(step_weights=(1, 10), max_weight=90), 10),
    ],
)
def test_the_weight_that_earns_promotion(analysis: Analysis, weight: int) -> None:
    assert c.max_weight(a_canary_spec(analysis=analysis)) == weight


MATCH = (c.HttpMatch(headers={"x-canary": c.StringMatch(exact="insider")}),)


@pytest.mark.parametrize(
    ("analysis", "strategy"),
    [
        (Analysis(step_weight=10), "canary"),
        (Analysis(iterations=10), "blue-green"),
        (Analysis(iterations=10, match=MATCH), "ab-testing"),
        (Analysis(step_weight=10, match=MATCH), "canary"),
        (Analysis(step_weight=10, iterations=2), "blue-green"),
    ],
)
def test_iterations_and_match_choose_the_strategy(analysis: Analysis, strategy: str) -> None:
    assert c.strategy(a_canary_spec(analysis=analysis)) == strategy


def test_the_old_spelling_of_analysis_counts_only_where_the_new_one_is_missing() -> None:
    old, new = an_analysis(threshold=2), an_analysis(threshold=7)
    target = ObjectRef(kind="Deployment", name="web")
    assert c.analysis_of(CanarySpec(target_ref=target, canary_analysis=old)) == old
    assert c.analysis_of(CanarySpec(target_ref=target, analysis=new, canary_analysis=old)) == new
    assert c.analysis_of(CanarySpec(target_ref=target)) == Analysis()


def test_the_other_defaults_of_a_bare_manifest() -> None:
    spec = CanarySpec(target_ref=ObjectRef(kind="Deployment", name="web"))
    assert c.progress_deadline_s(spec) == 600
    assert c.canary_ready_threshold(spec) == 100
    assert c.primary_ready_threshold(spec) == 100
    assert c.service_name(spec) == "web"


def test_a_readiness_threshold_of_zero_is_not_the_default() -> None:
    analysis = Analysis(canary_ready_threshold=0, primary_ready_threshold=0)
    spec = a_canary_spec(analysis=analysis)
    assert (c.canary_ready_threshold(spec), c.primary_ready_threshold(spec)) == (0, 0)


def test_the_service_may_have_a_name_of_its_own() -> None:
    assert c.service_name(a_canary_spec(service=ServiceSpec(port=80, name="shop"))) == "shop"


def test_hooks_come_in_the_order_of_the_manifest_and_have_no_type_when_they_are_rollout_hooks() -> (
    None
):
    webhooks = (
        Webhook(name="a", url="http://a", type="rollout"),
        Webhook(name="b", url="http://b", type="event"),
        Webhook(name="c", url="http://c"),
        Webhook(name="d", url="http://d", type="pre-rollout"),
    )
    spec = a_canary_spec(analysis=Analysis(webhooks=webhooks))
    assert [hook.name for hook in c.hooks(spec, "rollout")] == ["a", "c"]
    assert [hook.name for hook in c.hooks(spec, "pre-rollout", "event")] == ["b", "d"]


def test_a_manifest_is_read_by_its_own_spelling_and_written_without_defaults() -> None:
    manifest = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"port": 80, "targetPort": "http", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}},
        "analysis": {
            "interval": "1m",
            "threshold": 5,
            "stepWeight": 10,
            "webhooks": [{"name": "a", "url": "http://a", "disableTLS": True}],
        },
    }
    spec = msgspec.convert(manifest, CanarySpec)
    assert spec.analysis is not None
    assert spec.analysis.webhooks[0].disable_tls
    assert msgspec.json.decode(msgspec.json.encode(spec)) == manifest


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        ({"metrics": [{"interval": "1m"}]}, r"field `name` - at `\$\.analysis\.metrics\[0\]`"),
        ({"stepWeight": "ten"}, r"Expected `int`, got `str` - at `\$\.analysis\.stepWeight`"),
        ({"interval": "soon"}, r"matching regex .* at `\$\.analysis\.interval`"),
        ({"webhooks": [{"name": "a", "url": "b", "type": "c"}]}, r"webhooks\[0\]\.type"),
    ],
)
def test_a_mistake_is_told_with_its_path(analysis: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"targetRef": {}, "analysis": analysis}, CanarySpec)


def test_a_status_is_written_whole_so_that_a_patch_clears_what_is_gone() -> None:
    written = msgspec.to_builtins(CanaryStatus(phase="Failed"))
    assert written["phase"] == "Failed"
    assert written["canaryWeight"] == 0
    assert written["sessionAffinityCookie"] == ""
    assert written["trackedConfigs"] is None


def test_the_ingress_may_be_named_in_either_of_two_fields() -> None:
    ingress, other = ObjectRef(kind="Ingress", name="a"), ObjectRef(kind="HTTPRoute")
    spec = CanarySpec(target_ref=ObjectRef(name="web"), ingress_ref=ObjectRef(name="b"))

    assert spec.ingress_ref == c.ingress_of(spec)
    assert ingress == c.ingress_of(msgspec.structs.replace(spec, route_ref=ingress))
    assert spec.ingress_ref == c.ingress_of(msgspec.structs.replace(spec, route_ref=other))


SPOT = c.Placement(node_selector={"node-type": "spot"})
TRIAL = c.Placement(node_selector={"node-type": "trial"})


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"canary_pods": SPOT}, "spec.canaryPods"),
        (
            {"analysis": an_analysis(canary_analysis=c.MoreAnalysis(template_variables=SPOT))},
            "spec.analysis.canaryAnalysis.templateVariables",
        ),
        (
            {"canary_analysis": an_analysis(template_variables=SPOT)},
            "spec.canaryAnalysis.templateVariables",
        ),
        (
            {"analysis": an_analysis(template_variables=SPOT)},
            "spec.analysis.templateVariables",
        ),
        (
            {"canary_pods": SPOT, "canary_analysis": an_analysis(template_variables=TRIAL)},
            "spec.canaryPods",
        ),
    ],
)
def test_where_the_canary_runs_may_be_said_where_the_guide_does(
    spec: dict[str, Any], path: str
) -> None:
    given_spec = a_canary_spec(**spec)

    assert next(c.placements(given_spec)) == (path, SPOT)
    assert c.canary_placement(given_spec) == SPOT


def test_an_override_of_nothing_is_none() -> None:
    assert c.canary_placement(a_canary_spec(canary_pods=c.Placement())) is None
    assert c.canary_placement(a_canary_spec()) is None
