"""The canary on other nodes: capacity before traffic, traffic before teardown, with a stand-in."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import APP, REF, a_deployment, laid_over
from tests.unit.router.core.scenes import (
    NEW,
    NEW_IMAGE,
    OLD,
    PRIMARY,
    TARGET,
    a_primary,
    a_route,
    a_target,
    exposed,
    owned,
    planned,
    the_services,
    whys,
    wish,
    without_settling,
    world,
)
from tests.unit.router.scalers.test_hpa import a_scaler
from tests.unit.router.scalers.test_keda import a_scaled_object

from serinus.events import Intent, ObjectRef
from serinus.events.canary import AutoscalerRef, Placement
from serinus.kube.refs import Obj, Ref
from serinus.kube.standin import ROLE, RUNS
from serinus.router import services
from serinus.router.core.objects import Refusal
from serinus.router.core.scene import Scene, needs
from serinus.router.core.steps import Settled, Wait, World, Write
from serinus.router.scalers import hpa, keda
from serinus.router.workloads import standin

SPOT = Placement(node_selector={"node-type": "spot"})
STANDIN = Ref("apps/v1", "Deployment", "shop", "web-canary")
HPA = AutoscalerRef(kind="HorizontalPodAutoscaler", name="web")


def trying(weight: int = 0, **fields: Any) -> Intent:
    return wish(weight, **{"canary": "running", "canary_pods": SPOT, **fields})


def done(**fields: Any) -> Intent:
    return wish(**{"canary": "parked", "canary_pods": SPOT, **fields})


def a_standin(*, ready: int = 2, replicas: int = 2, revision: str = NEW, **fields: Any) -> Obj:
    """The stand-in as we made it, with pods."""
    target = a_target(replicas=replicas)
    made = standin.created(target, canary=REF, placement=SPOT, revision=revision, labels={})
    status = a_deployment(ready=ready, replicas=replicas)["status"]
    made["metadata"] |= {"uid": "uid-of-web-canary", "resourceVersion": "9", "generation": 1}
    return laid_over(made | {"status": status}, fields)


def on_standin(*, is_narrow: bool = True) -> list[Obj]:
    """The three Services, S-canary on the stand-in's pods alone."""
    made = the_services()
    if is_narrow:
        selecting = {**services.selects("canary", APP), **ROLE}
        made[0] = owned(services.wanted(None, exposed(), "canary", APP, REF, selecting))
    return made


def resting(replicas: int = 0) -> Obj:
    return a_target(replicas=replicas, ready=replicas)


def found(*objects: Obj, weight: int = 0, is_narrow: bool = True, **fields: Any) -> World:
    """In mid-release: the target rests but for `objects`."""
    route = a_route(weight)
    return world(a_primary(), route, *on_standin(is_narrow=is_narrow), *objects, **fields)


def first(intent: Intent, there: World) -> Write:
    return planned(intent, there).steps[0]


def test_the_canary_comes_as_a_copy_of_the_target_on_the_nodes_that_are_named() -> None:
    plan = planned(trying(), found(resting(), is_narrow=False))

    assert ["canary up", "canary service"] == [step.why for step in plan.steps]
    made = plan.steps[0].whole
    assert (plan.steps[0].verb, plan.steps[0].ref) == ("create", STANDIN)
    pods = made["spec"]["template"]
    assert pods["spec"]["nodeSelector"] == {"node-type": "spot"}
    assert pods["spec"]["containers"][0]["image"] == NEW_IMAGE
    assert pods["metadata"]["labels"] == {"app": "web", **ROLE}
    assert made["spec"]["selector"] == {"matchLabels": {"app": "web", **ROLE}}
    assert made["spec"]["replicas"] == 2
    assert plan.steps[1].whole["spec"]["selector"] == {"app": "web", **ROLE}


def test_without_the_field_nothing_of_it_happens() -> None:
    there = found(resting(), is_narrow=False)

    assert ["canary up"] == whys(wish(canary="running"), there)
    assert first(wish(canary="running"), there).ref == TARGET


def test_a_manifest_that_wakes_the_target_is_taken_for_the_canarys_size() -> None:
    """kubectl apply of a manifest with replicas: the target's pods come up on the wrong nodes."""
    plan = planned(trying(), without_settling(found(resting(5), is_narrow=False)))

    assert [("canary up", 5), ("canary down", 0)] == [
        (step.why, step.whole["spec"]["replicas"])
        for step in plan.steps
        if step.ref.kind == "Deployment"
    ]
    assert [STANDIN, TARGET] == [s.ref for s in plan.steps if s.ref.kind == "Deployment"]


def test_a_target_that_is_scaled_in_mid_run_scales_the_canary_and_rests_again() -> None:
    there = without_settling(found(resting(4), a_standin(), weight=20))

    plan = planned(trying(20), there)

    assert [(STANDIN, 4), (TARGET, 0)] == [
        (step.ref, step.whole["spec"]["replicas"]) for step in plan.steps
    ]


def test_whoever_wakes_the_target_a_second_time_is_let() -> None:
    there = found(resting(2), a_standin(), weight=20, was_parked=True)

    assert isinstance(planned(trying(20), there).then, Settled)


@pytest.mark.parametrize(
    ("standin", "why"),
    [
        (a_standin(ready=0), "0 of 2 (readyThreshold 100%) updated replicas are available"),
        (a_standin(revision="s1-0000000000"), "it runs another revision"),
    ],
)
def test_a_share_rises_only_to_a_ready_stand_in_of_this_revision(standin: Obj, why: str) -> None:
    """A ready target does not count: its pods are not the canary's."""
    pushed = a_target(image="example.test/web:3")
    there = found(resting(2) if "0 of 2" in why else pushed, standin, was_parked=True)

    plan = planned(trying(20), there)

    assert "routes 80/20" not in [step.why for step in plan.steps]
    assert isinstance(plan.then, Wait)
    assert plan.then.why.startswith("canary deployment web.shop not ready: ")
    assert plan.then.why.endswith(why)


def test_an_override_that_comes_in_mid_run_moves_requests_before_the_targets_pods_go() -> None:
    """Capacity, then S-canary, then proxies follow, then the target rests."""
    order = whys(trying(20), found(resting(2), weight=20, is_narrow=False))
    assert ["canary up"] == order

    order = whys(trying(20), found(resting(2), a_standin(), weight=20, is_narrow=False))
    assert ["canary service"] == order

    there = found(resting(2), a_standin(), weight=20, unchanged_s=1.0)
    waits = planned(trying(20), there).then
    assert isinstance(waits, Wait)
    assert waits.after_s == 2.0
    assert ["canary down"] == whys(trying(20), found(resting(2), a_standin(), weight=20))


def test_an_override_that_is_taken_back_in_mid_run_counts_from_the_next_on() -> None:
    there = found(resting(), a_standin(), weight=20)

    assert [] == whys(trying(20, canary_pods=None), there)
    assert isinstance(planned(trying(20, canary_pods=None), there).then, Settled)


def test_another_override_moves_nothing_that_runs() -> None:
    other = Placement(node_selector={"node-type": "trial"})

    assert [] == whys(trying(20, canary_pods=other), found(resting(), a_standin(), weight=20))


def test_a_new_revision_is_met_by_nobody_before_the_share_is_gone() -> None:
    """Of a target of the user's the pods are replaced at once, with the share they have."""
    outdated = a_standin(revision=OLD)

    plan = planned(trying(0), found(resting(), outdated, weight=20))
    assert ["routes 100/0"] == [step.why for step in plan.steps]
    assert plan.then == Wait(
        "the canary is kept until proxies have followed the routes", after_s=3.0
    )
    (step,) = planned(trying(0), found(resting(), outdated)).steps
    assert (step.why, step.whole["metadata"]["annotations"][RUNS]) == ("canary renewed", NEW)


def test_where_the_canary_serves_everybody_its_fix_takes_its_place_pod_by_pod() -> None:
    """After a failed promotion; somebody's hand was in the routes."""
    order = whys(trying(100), found(resting(), a_standin(revision=OLD), weight=50))

    assert order[0] == "canary renewed"


def test_what_was_not_decided_on_is_not_run() -> None:
    """The target has changed again, and nobody has decided about that."""
    pushed = a_target(image="example.test/web:3", replicas=0, ready=0)

    assert "canary up" not in whys(trying(), found(pushed))
    assert [] == whys(trying(20), found(pushed, a_standin(), weight=20))


def test_it_goes_when_no_request_reaches_it_and_s_canary_is_the_targets_again() -> None:
    plan = planned(done(), found(resting(), a_standin(), weight=20))
    assert ["routes 100/0"] == [step.why for step in plan.steps]

    plan = planned(done(), found(resting(), a_standin()))

    assert [("delete", STANDIN), ("patch", "web-canary")] == [
        (plan.steps[0].verb, plan.steps[0].ref),
        (plan.steps[1].verb, plan.steps[1].ref.name),
    ]
    assert plan.steps[1].whole["spec"]["selector"] == {"app": "web"}
    assert isinstance(plan.then, Settled)


def test_it_is_kept_while_the_primary_serves_nobody() -> None:
    there = world(a_primary(ready=0), a_route(), *on_standin(), resting(), a_standin())

    plan = planned(done(), there)

    assert "canary down" not in [step.why for step in plan.steps]
    assert isinstance(plan.then, Wait)


def test_the_primary_gets_the_manifests_nodes_and_the_canarys_size() -> None:
    where = {"spec": {"template": {"spec": {"nodeSelector": {"node-type": "on-demand"}}}}}
    target = laid_over(resting(), where)
    revision = Scene(trying(), found(target)).target_revision
    there = found(target, a_standin(replicas=5, ready=5, revision=revision), weight=60)

    (step,) = planned(trying(60, promote=True, revision=revision), there).steps

    assert (step.ref, step.why) == (PRIMARY, "promotion")
    assert step.whole["spec"]["replicas"] == 5
    pods = step.whole["spec"]["template"]
    assert pods["spec"]["nodeSelector"] == {"node-type": "on-demand"}
    assert pods["metadata"]["labels"] == {"app": "web-primary"}


@pytest.mark.parametrize("is_there", [True, False])
def test_its_autoscaler_is_a_copy_of_the_targets_which_sleeps(is_there: bool) -> None:
    source = a_scaler()
    twin = hpa.standin(source, REF)
    running = trying(20, autoscaler=HPA)
    there = found(resting(), a_standin(), source, *([owned(twin)] if is_there else []), weight=20)

    steps = [s for s in planned(running, there).steps if s.ref.name == "web-canary"]

    assert [s.whole["spec"]["scaleTargetRef"]["name"] for s in steps] == (
        [] if is_there else ["web-canary"]
    )
    there = without_settling(found(resting(), a_standin(), source, owned(twin)))
    ends = [s for s in planned(done(autoscaler=HPA), there).steps if s.verb == "delete"]
    assert ["HorizontalPodAutoscaler", "Deployment"] == [step.ref.kind for step in ends]


def test_a_scaled_object_of_the_target_stays_paused() -> None:
    source = keda.paused(a_scaled_object())
    reference = AutoscalerRef(kind="ScaledObject", name="web-so")

    steps = planned(trying(autoscaler=reference), found(resting(), source)).steps

    (made,) = [s.whole for s in steps if s.ref.name == "web-so-canary"]
    assert keda.PAUSED not in made["metadata"].get("annotations", {})
    assert made["spec"]["scaleTargetRef"]["name"] == "web-canary"
    assert "autoscaler resumed" not in [s.why for s in steps]


def test_a_baseline_is_as_large_as_the_canary() -> None:
    there = found(resting(), a_standin(replicas=4, ready=4))

    (made,) = [s.whole for s in planned(trying(baseline=True), there).steps if "baseline" in s.why]

    assert made["spec"]["replicas"] == 4


HELMS = {"kind": "Helm", "name": "x", "uid": "y", "controller": True}


@pytest.mark.parametrize("owners", [[], [HELMS]])
def test_a_workload_of_the_users_that_has_the_name_is_refused(owners: list[Obj]) -> None:
    theirs = a_standin()
    theirs["metadata"]["ownerReferences"] = owners

    with pytest.raises(Refusal, match="web-canary"):
        planned(trying(), found(resting(), theirs))
    assert [] == whys(done(), found(resting(), theirs, is_narrow=False))


def test_one_of_an_earlier_canary_is_waited_for() -> None:
    leftover = a_standin()
    leftover["metadata"]["ownerReferences"][0]["uid"] = "another"

    plan = planned(trying(), found(resting(), leftover))

    assert isinstance(plan.then, Wait)
    assert "earlier Canary" in plan.then.why


def test_a_canary_that_is_deleted_takes_its_share_back_before_s_leads_to_all_pods() -> None:
    """S selects the target's label, which the stand-in's pods have, too."""
    release = wish(release=True, canary="as-is", canary_pods=SPOT)
    there = found(resting(2), a_standin(), weight=20)

    plan = planned(release, there)
    assert ["routes 100/0"] == [step.why for step in plan.steps]
    assert isinstance(plan.then, Wait)

    theirs = the_services("target")
    theirs[2]["spec"]["selector"] = {"app": "web-primary"}
    there = world(a_primary(), a_route(), *theirs, resting(2), a_standin())
    assert ["canary down", "apex service back"] == whys(release, without_settling(there))


def test_with_a_broken_primary_it_goes_with_its_canary() -> None:
    release = wish(release=True, canary="as-is", canary_pods=SPOT)
    broken = world(a_primary(ready=0), a_route(100), *on_standin(), resting(2), a_standin())

    assert "canary down" not in whys(release, broken)


def test_a_daemon_set_rests_by_its_own_node_selector() -> None:
    made = a_deployment(image=NEW_IMAGE)
    target = {
        **made,
        "kind": "DaemonSet",
        "spec": {"selector": made["spec"]["selector"], "template": made["spec"]["template"]},
    }
    reference = ObjectRef(api_version="apps/v1", kind="DaemonSet", name="web")
    primary = {**a_primary(), "kind": "DaemonSet"}
    intent = trying(target=reference, selector=APP)
    there = without_settling(world(target, primary, a_route(), *on_standin()))
    intent = trying(target=reference, selector=APP, revision=Scene(intent, there).target_revision)

    deployments = [s for s in planned(intent, there).steps if s.ref.kind == "DaemonSet"]

    assert [("web-canary", "canary up"), ("web", "canary down")] == [
        (s.ref.name, s.why) for s in deployments if s.why.startswith("canary")
    ]
    pods = deployments[0].whole["spec"]["template"]["spec"]
    assert pods["nodeSelector"] == {"node-type": "spot"}


def test_a_plan_looks_at_it() -> None:
    assert STANDIN in needs(trying())
    assert Ref("autoscaling/v2", "HorizontalPodAutoscaler", "shop", "web-canary") in needs(
        trying(autoscaler=HPA)
    )
