"""Built-in queries: the same texts as Flagger's, one defect less."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from serinus.analyzer.core.observers import OBSERVERS
from serinus.analyzer.core.queries import (
    DURATION,
    SUCCESS_RATE,
    builtin_query,
    collapse,
    factor,
    metrics_provider,
    names_of,
    observer_of,
    selection,
    unit_of,
)
from serinus.events import CanarySpec, ObjectRef, ServiceSpec, WorkloadSeen

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "recorded" / "queries.json").read_text()
)
DEPLOYMENT = ObjectRef(api_version="apps/v1", kind="Deployment", name="web")


def texts(case: dict[str, Any]) -> list[str]:
    spec = msgspec.convert(case["spec"], CanarySpec)
    provider = metrics_provider(spec.provider, "istio", spec.target_ref)
    names = names_of(case["namespace"], case["name"], spec, WorkloadSeen(latest="web-00002"))
    return [
        builtin_query(observer_of(provider), SUCCESS_RATE, names, case["intervals"][SUCCESS_RATE]),
        builtin_query(observer_of(provider), DURATION, names, case["intervals"][DURATION]),
    ]


# Flagger measures the wrong pods of DaemonSets; see the test of those.
RIGHT = [case for case in RECORDED if case["spec"]["targetRef"]["kind"] != "DaemonSet"]


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case["namespace"])
def test_the_text_is_what_flagger_sent(case: dict[str, Any]) -> None:
    """Byte for byte, for every provider that was recorded."""
    assert texts(case) == case["queries"]


def test_a_daemonset_is_measured_by_its_canary_pods() -> None:
    """BUG of Flagger (5.4): its expression selects the primary's pods of a DaemonSet."""
    spec = CanarySpec(target_ref=ObjectRef(kind="DaemonSet", name="web"))
    pods = selection("http", names_of("prod", "web", spec)).every[1]

    assert pods.holds({"kubernetes_pod_name": "web-x7k2p"})
    assert not pods.holds({"kubernetes_pod_name": "web-primary-x7k2p"})


def test_a_deployment_is_measured_by_its_canary_pods() -> None:
    spec = CanarySpec(target_ref=DEPLOYMENT)
    pods = selection("http", names_of("prod", "web", spec)).every[1]

    assert pods.holds({"kubernetes_pod_name": "web-5d9f7-x7k2p"})
    assert not pods.holds({"kubernetes_pod_name": "web-primary-5d9f7-x7k2p"})


def test_a_stateful_set_is_measured_by_its_canary_pods() -> None:
    """All pods are called alike: the ordinals tell them apart."""
    spec = CanarySpec(target_ref=ObjectRef(kind="StatefulSet", name="db"))
    seen = WorkloadSeen(kind="StatefulSet", ordinal=9, replicas=2)
    names = names_of("prod", "db", spec, seen)
    pods = selection("http", names).every[1]

    held = [n for n in range(12) if pods.holds({"kubernetes_pod_name": f"db-{n}"})]
    assert held == [9, 10]
    assert names.words("1m")["pods"] == "db-(9|10)"


@pytest.mark.parametrize("observer", ["traefik", "gloo", "kuma", "apisix", "contour"])
def test_objects_named_after_the_service_are_found_by_its_name(observer: str) -> None:
    """BUG of Flagger (5.4): with service.name set it asks for the target's name and finds none."""
    spec = CanarySpec(target_ref=DEPLOYMENT, service=ServiceSpec(name="shop", port=80))

    query = builtin_query(observer, SUCCESS_RATE, names_of("prod", "web", spec))

    assert "shop-canary" in query
    assert "web-canary" not in query


@pytest.mark.parametrize(
    ("provider", "observer"),
    [
        ("appmesh", "appmesh"),
        ("appmesh:v1beta2", "appmesh"),
        ("gatewayapi:v1", "http"),
        ("gatewayapi:v1beta1", "http"),
        ("kubernetes", "http"),
        ("smi:v1alpha2", "istio"),
        ("gloo", "gloo"),
        ("traefik", "traefik"),
        ("osm", "osm"),
        ("gatewayapi", "istio"),
        ("nonsense", "istio"),
        ("", "istio"),
    ],
)
def test_a_provider_has_the_observer_of_the_reference(provider: str, observer: str) -> None:
    assert observer_of(provider) == observer


def test_a_plain_service_target_is_measured_as_istio_does_it() -> None:
    """Flagger appends `:service`, which only providers matched by prefix survive (4.1)."""
    service = ObjectRef(api_version="v1", kind="Service", name="web")

    assert metrics_provider("traefik", "istio", service) == "traefik:service"
    assert observer_of("traefik:service") == "istio"
    assert observer_of("gloo:service") == "gloo"


def test_a_knative_service_keeps_its_observer() -> None:
    target = ObjectRef(api_version="serving.knative.dev/v1", kind="Service", name="web")

    assert observer_of(metrics_provider("knative", "istio", target)) == "knative"


def test_a_linkerd_installation_measures_with_linkerd() -> None:
    assert metrics_provider("traefik", "linkerd", DEPLOYMENT) == "linkerd"


def test_an_empty_interval_is_one_minute() -> None:
    names = names_of("prod", "web", CanarySpec(target_ref=DEPLOYMENT))

    assert "[1m]" in builtin_query("istio", DURATION, names)


def test_durations_of_the_http_observer_are_seconds() -> None:
    assert {name: factor(name, DURATION) for name in OBSERVERS if factor(name, DURATION) != 1} == {
        "http": 1000
    }
    assert factor("http", SUCCESS_RATE) == 1
    assert (unit_of(SUCCESS_RATE), unit_of(DURATION), unit_of("404s")) == ("%", "ms", "")


def test_white_space_is_collapsed() -> None:
    assert collapse("  sum(\n\t x )  ") == "sum( x )"


def test_an_ingress_that_route_ref_names_is_measured_by_its_name() -> None:
    route = ObjectRef(kind="Ingress", name="public")
    spec = CanarySpec(target_ref=ObjectRef(name="web"), route_ref=route)

    assert "public" == names_of("shop", "web", spec).ingress


def test_a_stand_in_is_the_workload_of_the_canarys_side_alone() -> None:
    spec = CanarySpec(target_ref=ObjectRef(kind="Deployment", name="web"))

    names = names_of("prod", "web", spec, WorkloadSeen(standin="web-canary"))

    assert (names.target, names.of("primary").target) == ("web-canary", "web-primary")
    assert names.of("baseline").target == "web-baseline"
    assert re.fullmatch(names.pods, "web-canary-5d9c7b-x2k4p")
    assert not re.fullmatch(names.pods, "web-5d9c7b-x2k4p")
    assert (names.ingress, names.route) == ("web", "web")
