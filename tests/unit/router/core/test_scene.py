"""What an intent is about, read off live objects."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import APP, TARGET, an_intent
from tests.unit.router.core import scenes
from tests.unit.router.core.scenes import a_route, a_target, at_work, exposed, the_services, wish

from serinus.events import Routes, Selector, Workload
from serinus.events.canary import AutoscalerRef, ServiceSpec
from serinus.router.core.objects import Refusal
from serinus.router.core.scene import Scene, needs, primary_of, target_ref


def test_everything_that_a_plan_may_look_at_is_named() -> None:
    intent = wish(autoscaler=AutoscalerRef(kind="HorizontalPodAutoscaler", name="web"))

    assert {
        ("Deployment", "web"),
        ("Deployment", "web-primary"),
        ("Deployment", "web-baseline"),
        ("Deployment", "web-canary"),
        ("HorizontalPodAutoscaler", "web"),
        ("HorizontalPodAutoscaler", "web-primary"),
        ("HorizontalPodAutoscaler", "web-canary"),
        ("Service", "web"),
        ("Service", "web-primary"),
        ("Service", "web-canary"),
        ("TraefikService", "web"),
    } == {(ref.kind, ref.name) for ref in needs(intent)}


def test_an_unknown_mesh_needs_no_route_object() -> None:
    assert 7 == len(needs(wish(mesh="istoi")))


def test_the_api_version_of_known_kinds_is_ours() -> None:
    odd = msgspec.structs.replace(TARGET, api_version="extensions/v1beta1")

    ref = target_ref(an_intent(workload={"target": odd}))

    assert "apps/v1" == ref.api_version
    assert "web-primary" == primary_of(ref).name


def test_an_unknown_mesh_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refusal, match="unknown mesh 'istoi'; known: ap") as refused:
        Scene(wish(mesh="istoi"), at_work())

    assert "UnknownMesh" == refused.value.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"exposure": msgspec.structs.replace(exposed("linkerd"), needs=("weight", "match"))},
        {"mesh": "linkerd", "routes": Routes(mirror=True)},
        {"autoscaler": AutoscalerRef(kind="VerticalPodAutoscaler", name="web")},
        {"target": msgspec.structs.replace(TARGET, kind="CronJob")},
    ],
)
def test_what_cannot_be_done_is_refused_on_the_first_day(fields: Any) -> None:
    """BUG 10: on a mesh without matches an A/B test must not send everybody to the canary."""
    with pytest.raises(Refusal) as refused:
        Scene(wish(**fields), at_work())

    assert "Unsupported" == refused.value.reason


def test_a_canary_that_is_deleted_is_released_whatever_it_needed() -> None:
    exposure = msgspec.structs.replace(exposed(), needs=("match",))

    assert Scene(wish(exposure=exposure, release=True), at_work()).intent.release


def blind(**fields: Any) -> Any:
    """An intent that does not name the selector label."""
    exposure = msgspec.structs.replace(exposed(), selector=None)
    workload = Workload(target=TARGET)
    return msgspec.structs.replace(wish(exposure=exposure), workload=workload, **fields)


def test_the_selector_label_is_found_on_the_target_where_the_intent_names_none() -> None:
    scene = Scene(blind(), at_work())

    assert Selector("app", "web") == scene.selector == scene.exposure.selector


def test_a_target_without_a_label_to_tell_by_is_refused_in_flaggers_words() -> None:
    target = a_target(spec={"selector": {"matchLabels": {"x": "y"}}})
    del target["spec"]["selector"]["matchLabels"]["app"]
    scene = Scene(blind(), scenes.world(target))

    text = (
        r"deployment web.shop spec.selector.matchLabels must contain one of "
        r"\[app name app.kubernetes.io/name\]"
    )
    with pytest.raises(Refusal, match=text):
        _ = scene.selector


def test_without_a_target_there_is_nothing_to_tell_by() -> None:
    with pytest.raises(Refusal, match=r"deployment web\.shop not found") as refused:
        _ = Scene(blind(), scenes.world()).selector

    assert "" == refused.value.reason


def test_ports_are_discovered_on_the_target_where_the_intent_names_none() -> None:
    service = ServiceSpec(port=80, port_discovery=True)
    exposure = msgspec.structs.replace(exposed(), service=service)

    assert {"http": 8080} == Scene(wish(exposure=exposure), at_work()).exposure.ports


def test_the_signature_changes_when_requests_go_elsewhere_and_only_then() -> None:
    def signature(*objects: Any) -> Any:
        return Scene(wish(), scenes.world(a_target(), *objects)).signature

    base = signature(a_route(20), *the_services())

    assert base == signature(a_route(20), *the_services())
    assert base != signature(a_route(40), *the_services())
    assert base != signature(a_route(20), *the_services(apex="target"))
    assert base != signature(*the_services())


def test_settling_takes_as_long_as_the_mesh_says_unless_the_operator_knows_better() -> None:
    assert 3.0 == Scene(wish(), at_work()).settle_s
    assert 0.0 == Scene(wish(), scenes.without_settling(at_work())).settle_s


def test_a_parked_target_with_an_autoscaler_that_is_missing_starts_with_one() -> None:
    reference = AutoscalerRef(kind="HorizontalPodAutoscaler", name="web")

    assert 1 == Scene(wish(autoscaler=reference), at_work()).scaler_minimum
    assert Scene(wish(), at_work()).scaler_minimum is None
    assert APP == Scene(wish(), at_work()).selector
