"""The stand-in: the target's pods, elsewhere."""

from __future__ import annotations

import copy

from tests.builders import REF, a_deployment

from serinus.events.canary import Placement, Toleration
from serinus.kube.refs import Obj, controller_of
from serinus.kube.standin import ROLE, RUNS
from serinus.router.workloads import standin

SPOT = Placement(
    node_selector={"node-type": "spot"},
    tolerations=(Toleration(key="spot-instance", operator="Exists", effect="NoSchedule"),),
)


def a_target(image: str = "example.test/web:2") -> Obj:
    return a_deployment(
        image=image,
        replicas=3,
        metadata={"labels": {"team": "a"}, "annotations": {"of": "the user"}},
        spec={
            "paused": True,
            "minReadySeconds": 5,
            "template": {"spec": {"nodeSelector": {"node-type": "on-demand"}, "hostIPC": False}},
        },
    )


def made(target: Obj, placement: Placement = SPOT) -> Obj:
    return standin.created(
        target, canary=REF, placement=placement, revision="s1-1", labels={"team": "a"}
    )


def test_everything_but_where_its_pods_run_is_the_targets() -> None:
    target = a_target()
    before = copy.deepcopy(target)

    found = made(target)

    pods = {**target["spec"]["template"]["spec"]}
    pods["nodeSelector"] = {"node-type": "spot"}
    pods["tolerations"] = [{"key": "spot-instance", "operator": "Exists", "effect": "NoSchedule"}]
    assert found["spec"]["template"]["spec"] == pods
    assert (found["spec"]["replicas"], found["spec"]["minReadySeconds"]) == (3, 5)
    assert "paused" not in found["spec"]
    assert "status" not in found
    assert target == before


def test_it_is_ours_and_says_what_it_runs() -> None:
    meta = made(a_target())["metadata"]

    assert (meta["name"], meta["namespace"]) == ("web-canary", "shop")
    assert meta["labels"] == {"team": "a", **ROLE}
    assert meta["annotations"] == {RUNS: "s1-1"}
    assert (controller_of({"metadata": meta}) or {})["uid"] == REF.uid


def test_its_selector_takes_no_pods_of_the_targets() -> None:
    target = a_target()
    target["spec"]["selector"]["matchExpressions"] = [{"key": "tier", "operator": "Exists"}]

    found = made(target)["spec"]["selector"]

    assert found["matchLabels"] == {"app": "web", **ROLE}
    assert found["matchExpressions"] == [{"key": "tier", "operator": "Exists"}]
    assert "matchLabels" in target["spec"]["selector"]
    assert ROLE.keys().isdisjoint(target["spec"]["selector"]["matchLabels"])


def test_what_the_override_does_not_name_stays_as_the_manifest_has_it() -> None:
    pods = made(a_target(), Placement(tolerations=()))["spec"]["template"]["spec"]

    assert pods["nodeSelector"] == {"node-type": "on-demand"}
    assert pods["tolerations"] == []


def test_another_revision_keeps_its_size() -> None:
    live = {**made(a_target()), "status": {"replicas": 9}}
    live["spec"]["replicas"] = 9

    found = standin.renewed(live, a_target("example.test/web:3"), placement=SPOT, revision="s1-2")

    assert found["spec"]["replicas"] == 9
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "example.test/web:3"
    assert found["metadata"]["annotations"] == {RUNS: "s1-2"}
    assert live["metadata"]["annotations"] == {RUNS: "s1-1"}
