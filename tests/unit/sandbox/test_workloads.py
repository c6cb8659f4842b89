"""Deployments to pods, played by hand: nothing happens unless the test says so."""

from __future__ import annotations

import pytest
from tests.unit.sandbox.conftest import Clock
from tests.unit.sandbox.world import World, a_deployment

from serinus.sandbox.controllers import Controllers
from serinus.sandbox.objects import condition, is_active
from serinus.sandbox.workloads import (
    REVISION,
    DaemonSetController,
    DeploymentController,
    ReplicaSetController,
)


@pytest.fixture
def work(world: World) -> Controllers:
    """Controllers that hear of everything and work when `settle` is called."""
    controllers = world.controlled_by(
        DeploymentController, ReplicaSetController, DaemonSetController
    )
    controllers.follow()
    return controllers


def settle(world: World, work: Controllers, ready: bool = True) -> None:
    """Until nothing moves any more; pods become ready at once when `ready`."""
    for _ in range(30):
        before = world.store.revision
        work.settle()
        if ready:
            world.all_ready()
        for pod in world.all("pods"):
            if pod["metadata"].get("deletionTimestamp"):
                world.registry.finish(world.at("pods", pod["metadata"]["name"]))
        if world.store.revision == before:
            return


def images(world: World) -> list[str]:
    return sorted(pod["spec"]["containers"][0]["image"] for pod in world.all("pods"))


def test_a_deployment_becomes_pods(world: World, work: Controllers) -> None:
    world.create("deployments", a_deployment(replicas=3))

    settle(world, work)

    (replica_set,) = world.all("replicasets")
    digest = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{digest}"
    for pod in world.all("pods"):
        assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": digest}
        assert pod["metadata"]["ownerReferences"][0]["name"] == replica_set["metadata"]["name"]
    deployment = world.get("deployments", "web")
    assert deployment["status"]["availableReplicas"] == 3
    assert deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"]


def test_a_new_image_replaces_all_pods_within_bounds(world: World, work: Controllers) -> None:
    world.create("deployments", a_deployment(replicas=4))
    settle(world, work)
    counts: list[int] = []
    world.store.subscribe(
        lambda change: counts.append(sum(is_active(pod) for pod in world.all("pods")))
    )

    container = {"name": "web", "image": "hello:2.0"}
    world.patch(
        "deployments", "web", {"spec": {"template": {"spec": {"containers": [container]}}}},
        kind="strategic",
    )  # fmt: skip
    settle(world, work)

    assert images(world) == ["hello:2.0"] * 4
    assert (min(counts), max(counts)) == (3, 5)
    assert world.get("deployments", "web")["metadata"]["annotations"][REVISION] == "2"


def test_pods_that_never_become_ready_stop_the_rollout(
    world: World, work: Controllers, clock: Clock
) -> None:
    world.create("deployments", a_deployment(replicas=4, progressDeadlineSeconds=60))
    settle(world, work)
    container = {"name": "web", "image": "hello:2.0-neverready"}
    world.patch(
        "deployments", "web", {"spec": {"template": {"spec": {"containers": [container]}}}},
        kind="strategic",
    )  # fmt: skip
    settle(world, work, ready=False)

    assert images(world).count("hello:1.0") == 3
    clock.pass_(61)
    world.patch("deployments", "web", {"metadata": {"labels": {"look": "again"}}})
    settle(world, work, ready=False)

    found = condition(world.get("deployments", "web"), "Progressing")
    assert found is not None
    assert (found["status"], found["reason"]) == ("False", "ProgressDeadlineExceeded")


def test_the_deadline_is_looked_at_when_it_is_over(world: World) -> None:
    controller = DeploymentController(world.registry)
    world.create("deployments", a_deployment(progressDeadlineSeconds=60))

    assert controller.reconcile(world.at("deployments", "web")) == 60


def test_going_back_brings_the_old_set_to_the_front(world: World, work: Controllers) -> None:
    world.create("deployments", a_deployment())
    settle(world, work)
    for image in ("hello:2.0", "hello:1.0"):
        containers = [{"name": "web", "image": image}]
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        world.patch("deployments", "web", patch, kind="strategic")
        settle(world, work)

    revisions = {
        rs["spec"]["replicas"]: rs["metadata"]["annotations"][REVISION]
        for rs in world.all("replicasets")
    }
    assert revisions == {2: "3", 0: "2"}


def test_scaling_to_zero_deletes_the_pods(world: World, work: Controllers) -> None:
    world.create("deployments", a_deployment())
    settle(world, work)

    world.patch("deployments", "web", {"spec": {"replicas": 0}})
    settle(world, work)

    assert world.all("pods") == []
    status = world.get("deployments", "web")["status"]
    assert "replicas" not in status


def test_a_paused_deployment_changes_no_set(world: World, work: Controllers) -> None:
    world.create("deployments", a_deployment(paused=True))

    settle(world, work)

    assert world.all("pods") == []


def test_empty_sets_beyond_the_history_are_forgotten(world: World, work: Controllers) -> None:
    world.create("deployments", a_deployment(revisionHistoryLimit=1))
    for version in range(2, 6):
        settle(world, work)
        containers = [{"name": "web", "image": f"hello:{version}"}]
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        world.patch("deployments", "web", patch, kind="strategic")
    settle(world, work)

    kept = [rs["metadata"]["annotations"][REVISION] for rs in world.all("replicasets")]
    assert sorted(kept) == ["4", "5"]


def test_a_ready_pod_counts_as_available_after_its_time(
    world: World, work: Controllers, clock: Clock
) -> None:
    world.create("deployments", a_deployment(minReadySeconds=10))
    settle(world, work)
    controller = ReplicaSetController(world.registry)
    (replica_set,) = world.all("replicasets")
    key = world.at("replicasets", replica_set["metadata"]["name"])

    assert "availableReplicas" not in replica_set["status"]
    assert controller.reconcile(key) == 10
    clock.pass_(10)
    controller.reconcile(key)

    assert world.all("replicasets")[0]["status"]["availableReplicas"] == 2


def test_a_lost_pod_is_made_again(world: World, work: Controllers) -> None:
    world.create("deployments", a_deployment())
    settle(world, work)

    world.delete("pods", world.all("pods")[0]["metadata"]["name"], gracePeriodSeconds=0)
    settle(world, work)

    assert len(world.all("pods")) == 2


def test_pods_that_are_not_ready_are_given_up_first(world: World, work: Controllers) -> None:
    world.create("deployments", a_deployment(replicas=3))
    settle(world, work)
    broken = world.all("pods")[1]["metadata"]["name"]
    world.ready(broken, ready=False)

    world.patch("deployments", "web", {"spec": {"replicas": 2}})
    work.settle()

    going = [
        p["metadata"]["name"] for p in world.all("pods") if p["metadata"].get("deletionTimestamp")
    ]
    assert going == [broken]


def test_a_daemon_set_has_one_pod_of_its_newest_template(world: World, work: Controllers) -> None:
    daemon_set = a_deployment("agent")
    del daemon_set["spec"]["replicas"]
    world.create("daemonsets", daemon_set)
    settle(world, work)
    first = images(world)
    containers = [{"name": "web", "image": "hello:2.0"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    world.patch("daemonsets", "agent", patch, kind="strategic")
    settle(world, work)

    status = world.get("daemonsets", "agent")["status"]
    assert (first, images(world)) == (["hello:1.0"], ["hello:2.0"])
    assert (status["desiredNumberScheduled"], status["numberAvailable"]) == (1, 1)


def test_a_daemon_set_with_a_node_selector_has_none(world: World, work: Controllers) -> None:
    daemon_set = a_deployment("agent")
    daemon_set["spec"]["template"]["spec"]["nodeSelector"] = {"no": "where"}
    world.create("daemonsets", daemon_set)
    settle(world, work)

    assert world.all("pods") == []
    assert world.get("daemonsets", "agent")["status"]["desiredNumberScheduled"] == 0
