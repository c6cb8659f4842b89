"""The three ClusterIP Services (reference 3.6)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import APP, REF, a_deployment, a_service, an_exposure

from serinus.events import Exposure
from serinus.events.canary import ExtraMetadata, ServiceSpec, UnmanagedMetadata
from serinus.kube.refs import Obj
from serinus.router import services
from serinus.router.core.objects import KEEP_FLUX_AWAY, LAST_APPLIED


def exposed(ports: dict[str, int] | None = None, **service: Any) -> Exposure:
    return an_exposure(service=ServiceSpec(**{"port": 80, **service}), ports=ports or {})


def wanted(live: Obj | None = None, role: services.Role = "apex", **service: Any) -> Obj:
    return services.wanted(live, exposed(**service), role, APP, REF)


def ports(obj: Obj) -> list[tuple[str, int, int | str]]:
    return [(p["name"], p["port"], p["targetPort"]) for p in obj["spec"]["ports"]]


@pytest.mark.parametrize(
    ("role", "name", "selects"),
    [
        ("apex", "web", "web-primary"),
        ("primary", "web-primary", "web-primary"),
        ("canary", "web-canary", "web"),
    ],
)
def test_each_service_selects_its_pods(role: services.Role, name: str, selects: str) -> None:
    found = wanted(role=role)

    assert name == found["metadata"]["name"]
    assert {"app": selects} == found["spec"]["selector"]
    assert {"app": name} == found["metadata"]["labels"]
    assert KEEP_FLUX_AWAY == found["metadata"]["annotations"]
    assert "ClusterIP" == found["spec"]["type"]
    assert REF.uid == found["metadata"]["ownerReferences"][0]["uid"]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({}, ("http", 80, 80)),
        ({"target_port": 8080}, ("http", 80, 8080)),
        ({"target_port": "web"}, ("http", 80, "web")),
        ({"target_port": "0"}, ("http", 80, 80)),
        ({"target_port": "9898"}, ("http", 80, 9898)),
        ({"port_name": "grpc"}, ("grpc", 80, 80)),
    ],
)
def test_the_first_port_is_the_manifests(
    service: dict[str, Any], expected: tuple[str, int, int | str]
) -> None:
    assert [expected] == ports(wanted(**service))


def test_optional_fields_are_set_when_the_service_is_made() -> None:
    found = wanted(headless=True, traffic_distribution="PreferClose", app_protocol="grpc")

    assert "None" == found["spec"]["clusterIP"]
    assert "PreferClose" == found["spec"]["trafficDistribution"]
    assert "grpc" == found["spec"]["ports"][0]["appProtocol"]


@pytest.mark.parametrize(
    ("target_port", "extra"),
    [(None, {"http", "metrics"}), (8080, {"metrics"}), ("metrics", {"http"})],
)
def test_discovered_ports_are_added_but_for_the_one_that_is_there(
    target_port: int | str | None, extra: set[str]
) -> None:
    found = wanted(
        ports={"http": 8080, "metrics": 9797},
        port_discovery=True,
        port_name="main",
        target_port=target_port,
    )

    assert {"main"} | extra == {name for name, _, _ in ports(found)}


def test_ports_are_discovered_in_containers_that_are_no_sidecars() -> None:
    containers = [
        {"name": "web", "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9}]},
        {"name": "istio-proxy", "ports": [{"name": "admin", "containerPort": 15000}]},
    ]
    target = a_deployment(spec={"template": {"spec": {"containers": containers}}})

    assert {"http": 8080, "tcp-web-1": 9} == services.discovered_ports(target)


def test_what_is_right_is_left_alone() -> None:
    live = wanted()
    live["spec"] |= {"clusterIP": "10.0.0.1", "sessionAffinity": "None"}
    live["metadata"]["resourceVersion"] = "7"

    assert live == wanted(live)


def test_the_order_of_ports_and_node_ports_are_no_difference() -> None:
    service = {"ports": {"metrics": 9797}, "port_discovery": True}
    live = wanted(**service)
    live["spec"]["ports"].reverse()
    live["spec"]["ports"][0]["nodePort"] = 30001

    assert live == wanted(live, **service)


def test_a_node_port_survives_a_change_of_its_port() -> None:
    live = wanted()
    live["spec"]["ports"][0]["nodePort"] = 30001

    found = wanted(live, target_port=8080)

    assert [30001] == [p["nodePort"] for p in found["spec"]["ports"]]
    assert [("http", 80, 8080)] == ports(found)


def test_foreign_keys_go_from_our_service_unless_they_are_unmanaged() -> None:
    """TRACE unmanaged-metadata-istio."""
    live = wanted()
    live["metadata"]["labels"] |= {"keep-l": "1", "drop-l": "1"}
    live["metadata"]["annotations"] |= {"keep-a": "1", "drop-a": "1"}
    unmanaged = UnmanagedMetadata(labels=("keep-l",), annotations=("keep-a",))

    meta = wanted(live, unmanaged_metadata=unmanaged)["metadata"]

    assert {"app": "web", "keep-l": "1"} == meta["labels"]
    assert {**KEEP_FLUX_AWAY, "keep-a": "1"} == meta["annotations"]


def test_extra_metadata_is_the_roles_own() -> None:
    apex = ExtraMetadata(labels={"x": "y"}, annotations={"note": "apex"})

    assert {"x": "y", "app": "web"} == wanted(apex=apex)["metadata"]["labels"]
    assert {"app": "web-primary"} == wanted(role="primary", apex=apex)["metadata"]["labels"]


def test_a_users_service_keeps_its_metadata_and_is_not_adopted() -> None:
    mine = a_service(metadata={"labels": {"own": "yes"}, "annotations": {"keep": "me"}})

    found = wanted(mine)

    assert {"own": "yes"} == found["metadata"]["labels"]
    assert {"keep": "me", **KEEP_FLUX_AWAY} == found["metadata"]["annotations"]
    assert "ownerReferences" not in found["metadata"]
    assert {"app": "web-primary"} == found["spec"]["selector"]


def test_a_users_service_that_is_right_already_is_not_touched() -> None:
    mine = a_service(selects="web-primary")

    assert mine == wanted(mine)


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        ('{"spec":{"selector":{"app":"web","tier":"front"}}}', {"app": "web", "tier": "front"}),
        ('{"spec":{}}', {"app": "web"}),
        ("damaged", {"app": "web"}),
        (None, {"app": "web"}),
    ],
)
def test_a_users_service_selects_again_what_it_did(
    applied: str | None, expected: dict[str, str]
) -> None:
    """TRACE revert-on-deletion-kubernetes: kubectl's annotation first, else the target's label."""
    notes = {} if applied is None else {LAST_APPLIED: applied}
    taken = a_service(selects="web-primary", metadata={"annotations": notes})

    assert expected == services.released(taken, APP, REF)["spec"]["selector"]


def test_our_service_is_left_to_garbage_collection() -> None:
    live = wanted()

    assert live == services.released(live, APP, REF)


def test_other_pods_are_selected_where_somebody_knows_better() -> None:
    """Of a StatefulSet one label more."""
    live = services.wanted(None, exposed(), "apex", APP, REF, {"app": "web", "rev": "1"})

    assert {"app": "web", "rev": "1"} == live["spec"]["selector"]
