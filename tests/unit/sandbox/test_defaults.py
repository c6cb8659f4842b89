"""Defaults and rules of the built-in kinds."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.unit.sandbox.world import a_deployment, a_service

from serinus.sandbox import defaults


def filled(plural: str, obj: dict[str, Any]) -> dict[str, Any]:
    defaults.fill(plural, obj)
    return obj


def places(plural: str, obj: dict[str, Any], live: dict[str, Any] | None = None) -> list[str]:
    return [path for path, _, _ in defaults.mistakes(plural, filled(plural, obj), live)]


def test_filling_twice_is_filling_once() -> None:
    once = filled("deployments", a_deployment())

    assert filled("deployments", copy.deepcopy(once)) == once


def test_the_latest_image_is_always_pulled() -> None:
    def policy(image: str) -> str:
        obj = filled("deployments", a_deployment(image=image))
        return str(obj["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"])

    assert policy("hello") == policy("hello:latest") == "Always"
    assert policy("registry:5000/hello") == "Always"
    assert policy("hello:1.0") == "IfNotPresent"


def test_a_recreating_deployment_rolls_nothing() -> None:
    obj = filled("deployments", a_deployment(strategy={"type": "Recreate"}))

    assert obj["spec"]["strategy"] == {"type": "Recreate"}


def test_probes_get_their_periods() -> None:
    obj = a_deployment()
    container = obj["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"port": 80}, "periodSeconds": 2}

    filled("deployments", obj)

    assert container["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 2,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def test_a_target_port_is_the_port() -> None:
    service = filled("services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})

    assert service["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


@pytest.mark.parametrize(
    ("plural", "obj", "path"),
    [
        ("configmaps", {"metadata": {"name": "No"}}, "metadata.name"),
        ("configmaps", {"metadata": {"name": "a" * 254}}, "metadata.name"),
        ("deployments", a_deployment(selector={}), "spec.selector"),
        (
            "deployments",
            a_deployment(selector={"matchLabels": {"app": "other"}}),
            "spec.template.metadata.labels",
        ),
        ("deployments", a_deployment(replicas=-1), "spec.replicas"),
        ("deployments", a_deployment(image=""), "spec.containers[0].image"),
        ("services", a_service(ports=[]), "spec.ports"),
        ("services", a_service(ports=[{"port": 1}, {"port": 2}]), "spec.ports[0].name"),
        ("pods", {"metadata": {"name": "p"}, "spec": {}}, "spec.containers"),
    ],
)
def test_a_mistake_is_found(plural: str, obj: dict[str, Any], path: str) -> None:
    assert path in places(plural, copy.deepcopy(obj))


def test_good_manifests_have_no_mistakes() -> None:
    assert places("deployments", a_deployment()) == []
    assert places("services", a_service()) == []
    assert places("configmaps", {"metadata": {"name": "kube-root-ca.crt"}}) == []


def test_immutable_data_stays() -> None:
    live = {"metadata": {"name": "c"}, "immutable": True, "data": {"a": "1"}}

    assert places("configmaps", {**live, "data": {"a": "2"}}, live) == ["data"]
    assert places("configmaps", dict(live), live) == []
