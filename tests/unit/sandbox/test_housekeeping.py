"""Garbage, namespaces, endpoints."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.sandbox.world import World, a_config, a_service

from serinus.sandbox.controllers import Controllers
from serinus.sandbox.errors import ApiError
from serinus.sandbox.housekeeping import (
    PORTS,
    EndpointsController,
    GarbageCollector,
    NamespaceController,
    slices,
)


@pytest.fixture
def work(world: World) -> Controllers:
    controllers = world.controlled_by(GarbageCollector, NamespaceController, EndpointsController)
    controllers.follow()
    return controllers


def a_child(world: World, name: str, *parents: str, block: bool = True) -> None:
    refs = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": parent,
            "uid": world.get("configmaps", parent)["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for parent in parents
    ]
    child = a_config(name)
    child["metadata"]["ownerReferences"] = refs
    world.create("configmaps", child)


def names(world: World) -> list[str]:
    return [obj["metadata"]["name"] for obj in world.all("configmaps")]


def test_grandchildren_follow_too(world: World, work: Controllers) -> None:
    world.create("configmaps", a_config("a"))
    a_child(world, "b", "a")
    a_child(world, "c", "b")

    world.delete("configmaps", "a")
    work.settle()

    assert names(world) == []


def test_one_living_owner_is_enough(world: World, work: Controllers) -> None:
    for name in "ab":
        world.create("configmaps", a_config(name))
    a_child(world, "c", "a", "b")

    world.delete("configmaps", "a")
    work.settle()

    assert names(world) == ["b", "c"]


def test_what_claims_an_owner_that_never_was_is_collected(world: World, work: Controllers) -> None:
    child = a_config("c")
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "never"}
    child["metadata"]["ownerReferences"] = [ref]

    world.create("configmaps", child)
    work.settle()

    assert names(world) == []


def test_in_the_foreground_the_owner_goes_last(world: World, work: Controllers) -> None:
    world.create("configmaps", a_config("a"))
    a_child(world, "b", "a")
    world.patch("configmaps", "b", {"metadata": {"finalizers": ["x/y"]}})

    world.delete("configmaps", "a", propagationPolicy="Foreground")
    work.settle()
    held = names(world)
    world.patch("configmaps", "b", {"metadata": {"finalizers": None}})
    work.settle()

    assert (held, names(world)) == (["a", "b"], [])


def test_in_the_foreground_a_child_of_two_stays_with_the_other(
    world: World, work: Controllers
) -> None:
    for name in "ab":
        world.create("configmaps", a_config(name))
    a_child(world, "c", "a", "b")

    world.delete("configmaps", "a", propagationPolicy="Foreground")
    work.settle()

    assert names(world) == ["b", "c"]
    refs = world.get("configmaps", "c")["metadata"]["ownerReferences"]
    assert [ref["name"] for ref in refs] == ["b"]


def test_orphans_lose_the_reference_and_stay(world: World, work: Controllers) -> None:
    world.create("configmaps", a_config("a"))
    a_child(world, "b", "a")

    world.delete("configmaps", "a", propagationPolicy="Orphan")
    work.settle()

    assert names(world) == ["b"]
    assert "ownerReferences" not in world.get("configmaps", "b")["metadata"]


def test_a_namespace_goes_when_its_last_object_has(world: World, work: Controllers) -> None:
    config = a_config()
    config["metadata"]["finalizers"] = ["x/y"]
    world.create("configmaps", config)
    world.create("configmaps", a_config("d"))

    world.delete("namespaces", "test")
    work.settle()
    held = (names(world), world.get("namespaces", "test")["status"]["phase"])
    world.patch("configmaps", "c", {"metadata": {"finalizers": None}})
    work.settle()

    assert held == (["c"], "Terminating")
    with pytest.raises(ApiError):
        world.get("namespaces", "test")


def a_pod(name: str, ready: bool = True, going: bool = False, **meta: Any) -> dict[str, Any]:
    state = {"type": "Ready", "status": "True" if ready else "False"}
    metadata = {"name": name, "namespace": "test", "uid": name, "labels": {"app": "web"}, **meta}
    if going:
        metadata["deletionTimestamp"] = "now"
    container = {"name": "c", "ports": [{"name": "http", "containerPort": 9898}]}
    return {
        "metadata": metadata,
        "spec": {"containers": [container], "nodeName": "sandbox"},
        "status": {"podIP": f"127.0.0.{name}", "phase": "Running", "conditions": [state]},
    }


def a_live_service(**spec: Any) -> dict[str, Any]:
    service = a_service(**spec)
    meta = {"name": "web", "namespace": "test", "uid": "s"}
    return {**service, "apiVersion": "v1", "kind": "Service", "metadata": meta}


@pytest.mark.parametrize(
    ("pod", "conditions"),
    [
        (a_pod("1"), {"ready": True, "serving": True, "terminating": False}),
        (a_pod("1", ready=False), {"ready": False, "serving": False, "terminating": False}),
        (a_pod("1", going=True), {"ready": False, "serving": True, "terminating": True}),
    ],
)
def test_an_endpoint_tells_what_its_pod_is_good_for(
    pod: dict[str, Any], conditions: dict[str, bool]
) -> None:
    (found,) = slices(a_live_service(), [pod]).values()

    (endpoint,) = found["endpoints"]
    assert endpoint["conditions"] == conditions
    assert endpoint["addresses"] == ["127.0.0.1"]
    assert found["ports"] == [{"name": "http", "port": 9898, "protocol": "TCP"}]


def test_only_selected_pods_with_an_address_are_behind_a_service() -> None:
    stranger = a_pod("2", labels={"app": "other"})
    placeless = a_pod("3")
    del placeless["status"]["podIP"]
    over = a_pod("4")
    over["status"]["phase"] = "Failed"

    (found,) = slices(a_live_service(), [a_pod("1"), stranger, placeless, over]).values()

    assert [e["targetRef"]["name"] for e in found["endpoints"]] == ["1"]


def test_a_service_without_pods_has_an_empty_slice() -> None:
    (found,) = slices(a_live_service(), []).values()

    assert (found["endpoints"], found["ports"]) == ([], [])


def test_pods_with_ports_of_their_own_get_slices_of_their_own() -> None:
    pods = [
        a_pod("1", annotations={PORTS: "9898=4001"}),
        a_pod("2", annotations={PORTS: "9898=4002"}),
    ]

    found = slices(a_live_service(), pods)

    assert sorted(s["ports"][0]["port"] for s in found.values()) == [4001, 4002]
    assert len(found) == 2


def test_slices_follow_the_pods(world: World, work: Controllers) -> None:
    world.create("services", a_service())
    container = {
        "name": "c",
        "image": "hello:1",
        "ports": [{"name": "http", "containerPort": 9898}],
    }
    pod = {"metadata": {"name": "p", "labels": {"app": "web"}}, "spec": {"containers": [container]}}
    world.create("pods", pod)
    world.ready("p")
    work.settle()
    (before,) = world.all("endpointslices")
    world.delete("pods", "p", gracePeriodSeconds=0)
    work.settle()
    (after,) = world.all("endpointslices")

    assert before["endpoints"][0]["conditions"]["ready"] is True
    assert before["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert after["endpoints"] == []
