"""The order of steps: capacity before traffic, traffic before teardown, every prefix safe."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.builders import APP, REF, an_exposure, laid_over
from tests.unit.router.core.scenes import (
    APEX,
    NEW,
    OLD,
    OLD_IMAGE,
    PRIMARY,
    ROUTE,
    TARGET,
    a_baseline,
    a_primary,
    a_route,
    a_target,
    at_rest,
    at_work,
    exposed,
    planned,
    the_services,
    whys,
    wish,
    without_settling,
    world,
)
from tests.unit.router.meshes.test_nginx import an_ingress

from serinus.events import Intent, ObjectRef, Routes
from serinus.events.canary import AutoscalerRef
from serinus.kube.readiness import readiness
from serinus.kube.refs import Obj, Ref, owner_reference
from serinus.kube.revision import revised, template_hash
from serinus.router import services
from serinus.router.core.objects import LIVE_REVISION, ORIGINAL, PROMOTED_REVISION, Refusal
from serinus.router.core.plan import next_step, report, walk
from serinus.router.core.scene import Scene, needs
from serinus.router.core.steps import Settled, Wait, World, Write, after
from serinus.router.meshes.catalog import MESHES
from serinus.router.meshes.gatewayapi import V1
from serinus.router.scalers import keda
from serinus.router.workloads import deployment


def at_first(**fields: Any) -> World:
    """Only the user's Deployment, ready."""
    return world(a_target(image=OLD_IMAGE), **fields)


def start(**fields: Any) -> Any:
    return wish(revision="", configs=None, canary="parked", **fields)


# --- in order ------------------------------------------------------------------------------------


def test_initialising_makes_backends_then_the_primary_and_waits_for_it() -> None:
    plan = planned(start(), at_first())

    assert ["canary service", "primary service", "primary"] == [s.why for s in plan.steps]
    assert isinstance(plan.then, Wait)
    assert plan.then.why.startswith("web-primary.shop not ready: ")


def test_traffic_comes_to_a_ready_primary_and_the_target_is_parked_last() -> None:
    found = world(a_target(image=OLD_IMAGE), a_primary(), *the_services()[:2])

    plan = planned(start(), found)

    assert ["apex service", "routes 100/0"] == [s.why for s in plan.steps]
    assert Wait("the canary is kept until proxies have followed the routes", after_s=3.0) == (
        plan.then
    )
    assert ["canary down"] == whys(
        start(), world(a_target(), a_primary(), a_route(), *the_services())
    )


def test_skipping_the_analysis_does_not_wait_for_the_primary_but_never_ends_service() -> None:
    found = world(a_target(image=OLD_IMAGE), a_primary(ready=0), *the_services()[:2])

    plan = planned(start(wait_ready=False), without_settling(found))

    assert ["apex service", "routes 100/0"] == [s.why for s in plan.steps]
    assert Wait("web-primary.shop has no available pod; the canary is kept") == plan.then


def test_a_release_begins_with_capacity() -> None:
    plan = planned(wish(20), at_rest())

    assert ["canary up"] == [s.why for s in plan.steps]
    assert isinstance(plan.then, Wait)
    assert plan.then.why.startswith("canary deployment web.shop not ready: ")


def test_a_step_is_one_write() -> None:
    plan = planned(wish(40), at_work(20))

    assert (["routes 60/40"], Settled()) == ([s.why for s in plan.steps], plan.then)


def test_a_rollback_takes_the_share_first_and_the_pods_when_proxies_have_followed() -> None:
    intent = wish(0, canary="parked")

    plan = planned(intent, at_work(40))

    assert ["routes 100/0"] == [s.why for s in plan.steps]
    assert isinstance(plan.then, Wait)
    assert plan.then.after_s == 3.0
    assert ["canary down"] == whys(intent, at_work(0))


def test_a_canary_that_lost_its_pods_gets_no_more_than_it_has() -> None:
    crashed = world(a_target(ready=0), a_primary(), a_route(20), *the_services())

    assert [] == whys(wish(40), crashed)
    assert ["routes 90/10"] == whys(wish(10), crashed)


def test_requests_are_not_moved_to_a_primary_without_pods_while_the_canary_has_some() -> None:
    dead = [a_primary(ready=0), a_route(40), *the_services()]

    assert [] == whys(wish(0), world(a_target(), *dead))
    assert ["routes 100/0"] == whys(wish(0), world(a_target(ready=0), *dead))


def test_a_deleted_route_comes_back_for_a_canary_that_serves_everybody() -> None:
    """After a failed promotion the primary is not ready, and none of its pods is needed."""
    broken = [a_primary(ready=0), *the_services()]

    assert ["routes 0/100"] == whys(wish(100), world(a_target(), *broken))
    assert [] == whys(wish(60), world(a_target(), *broken))


def test_an_edited_route_gets_the_weights_of_the_intent() -> None:
    """BUG 5: never 100/0 by itself."""
    route = a_route(20)
    route["spec"]["weighted"]["services"][1]["weight"] = 100

    (step,) = planned(wish(20), world(a_target(), a_primary(), route, *the_services())).steps

    weights = [s["weight"] for s in step.whole["spec"]["weighted"]["services"]]
    assert [80, 20] == weights


def test_everything_in_place_is_settled_and_nothing_is_written() -> None:
    plan = planned(wish(20), at_work(20))

    assert ((), Settled()) == (plan.steps, plan.then)


def test_on_hold_nothing_is_written_and_the_truth_is_told() -> None:
    """BUG in 2.16: a suspended canary is frozen, not forgotten."""
    intent = wish(60, hold=True)
    scene = Scene(intent, at_work(20))

    found = next_step(scene)

    assert Wait("on hold: nothing is changed") == found
    assert (False, 20) == (report(scene, found).settled, report(scene, found).canary_weight)
    assert Settled() == next_step(Scene(wish(20, hold=True), at_work(20)))


def test_a_canary_that_somebody_woke_after_it_was_parked_is_let() -> None:
    """Reference 3.5: a GitOps tool that applies replicas must not be fought."""
    woken = world(a_target(image=OLD_IMAGE), a_primary(), a_route(), *the_services())
    intent = wish(0, revision=OLD, canary="parked")

    assert ["canary down"] == whys(intent, woken)
    assert [] == whys(intent, world(*objects_of(woken), was_parked=True))


def objects_of(found: World) -> list[Obj]:
    refs = (TARGET, PRIMARY, ROUTE, APEX, *(services.ref_for(exposed(), r) for r in SECONDARY))
    return [obj for ref in refs if (obj := found.live.get(ref)) is not None]


SECONDARY: tuple[services.Role, ...] = ("primary", "canary")


def test_a_target_with_a_newer_revision_is_not_parked_under_it() -> None:
    """It would be woken again at once."""
    newer = world(a_target(), a_primary(), a_route(), *the_services())

    plan = planned(wish(0, revision=OLD, canary="parked"), newer)

    assert () == plan.steps
    assert isinstance(plan.then, Wait)


def test_a_route_that_vanished_comes_back_with_its_weights() -> None:
    found = world(a_target(), a_primary(), *the_services())

    (step,) = planned(wish(20), found).steps

    assert ("routes 80/20", None) == (step.why, step.live)
    assert [owner_reference(REF)] == step.ours["metadata"]["ownerReferences"]


def test_applying_again_keeps_the_owner_that_was_applied_before() -> None:
    """Server-side apply gives up what is no longer in what is applied."""
    (step,) = planned(wish(40), at_work(20)).steps

    assert [owner_reference(REF)] == step.ours["metadata"]["ownerReferences"]


def test_a_service_in_use_moves_to_a_primary_that_proxies_have_had_time_to_learn_of() -> None:
    """Pods are ready before every proxy knows their addresses: a route to none is an error."""
    objects = (a_target(), a_primary(), *the_services("target"))
    fresh = planned(wish(), world(*objects, serving_s=1.0))
    assert ((), 2.0) == (fresh.steps, fresh.then.after_s)
    assert "apex service" == whys(wish(), world(*objects, serving_s=3.0))[0]


def test_a_users_route_moves_to_a_primary_that_proxies_have_had_time_to_learn_of() -> None:
    route = {"apiVersion": ROUTE.api_version, "kind": ROUTE.kind, "metadata": {"name": "web"}}
    route["metadata"] |= {"namespace": ROUTE.namespace, "resourceVersion": "9", "uid": "u"}
    route["spec"] = {"weighted": {"services": [{"name": "old", "port": 80}]}}
    objects = (a_target(), a_primary(), *the_services(), route)
    assert [] == whys(wish(), world(*objects, serving_s=1.0))
    assert ["routes 100/0"] == whys(wish(), world(*objects, serving_s=3.0))


def test_where_nobody_is_served_yet_nothing_waits_for_proxies() -> None:
    objects = (a_target(), a_primary(), *the_services()[:2])
    assert ["apex service", "routes 100/0"] == whys(wish(), world(*objects, serving_s=0.0))


def test_a_users_route_is_not_adopted() -> None:
    route = a_route(0)
    del route["metadata"]["ownerReferences"]

    (step,) = planned(wish(20), world(a_target(), a_primary(), route, *the_services())).steps

    assert "ownerReferences" not in step.ours["metadata"]


def test_what_a_users_route_was_is_noted_in_the_write_that_changes_it() -> None:
    """And of that very version: noted afterwards, it would be our own state that is noted."""
    route = a_route(0)
    del route["metadata"]["ownerReferences"]
    route["spec"] = {"weighted": {"services": [{"name": "web", "port": 80}]}}

    found = world(a_target(), a_primary(), route, *the_services())
    (step,) = planned(wish(20), found).steps

    assert ORIGINAL in step.ours["metadata"]["annotations"]
    assert "9" == step.ours["metadata"]["resourceVersion"]
    (again,) = planned(wish(40), world(*objects_of(after(found, step)))).steps
    assert ORIGINAL in again.ours["metadata"]["annotations"], "an apply without it would remove it"
    assert "resourceVersion" not in again.ours["metadata"]


def test_a_route_that_the_canary_only_refers_to_is_patched_not_applied() -> None:
    """An apply would claim whole lists of which a few entries are ours."""
    own = ObjectRef(api_version=V1.api_version, kind="HTTPRoute", name="public")
    route = {
        "apiVersion": own.api_version,
        "kind": own.kind,
        "metadata": {"name": own.name, "namespace": "shop"},
        "spec": {"rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
    }
    intent = wish(20, exposure=an_exposure("gatewayapi:v1", route=own))

    (step,) = planned(intent, world(a_target(), a_primary(), route, *the_services())).steps

    assert ("patch", route) == (step.verb, step.live)


def test_what_is_rendered_beside_the_users_route_is_made_in_sight_of_it() -> None:
    """Istio's DestinationRules were never applied where the VirtualService was the user's."""
    own = ObjectRef(api_version="networking.istio.io/v1beta1", kind="VirtualService", name="public")
    route = {
        "apiVersion": own.api_version,
        "kind": own.kind,
        "metadata": {"name": own.name, "namespace": "shop"},
        "spec": {"http": [{"route": [{"destination": {"host": "web"}}]}]},
    }
    intent = wish(20, exposure=an_exposure("istio", route=own))

    steps = planned(intent, world(a_target(), a_primary(), route, *the_services())).steps

    assert ["apply", "apply", "patch"] == [step.verb for step in steps]


def test_a_route_of_no_namespace_is_not_owned() -> None:
    """An owner in a namespace would make the API server collect it at once."""
    found = world(a_target(), a_primary(), *the_services())

    (step,) = planned(wish(20, exposure=an_exposure("kuma")), found).steps

    assert ("apply", "") == (step.verb, step.ref.namespace)
    assert "ownerReferences" not in step.ours["metadata"]


def test_what_is_only_read_may_be_anybodys() -> None:
    """The user's Ingress may be made by an operator; the canary's may not."""
    ingress = ObjectRef(api_version="networking.k8s.io/v1", kind="Ingress", name="public")
    exposure = an_exposure("nginx", ingress=ingress)
    owner = {"kind": "Site", "name": "x", "uid": "1", "controller": True}
    source = an_ingress(ownerReferences=[owner])
    found = world(a_target(), a_primary(), source, *the_services())

    assert ["routes 80/20"] == whys(wish(20, exposure=exposure), found)

    source["metadata"]["name"] = "public-canary"
    with pytest.raises(Refusal, match="belongs to Site x"):
        planned(wish(20, exposure=exposure), world(source, *the_services()))


def test_without_a_target_requests_still_go_where_they_should() -> None:
    found = world(a_primary(), a_route(40), *the_services())

    plan = planned(wish(0), found)

    assert ["routes 100/0"] == [s.why for s in plan.steps]
    assert Wait("deployment web.shop not found", error=True) == plan.then


def test_a_gateway_that_has_not_accepted_the_route_keeps_a_promotion_waiting() -> None:
    route = a_route(60, mesh="gatewayapi:v1")
    route["metadata"]["generation"] = 2
    accepted = {"type": "Accepted", "status": "True", "observedGeneration": 1}
    route["status"] = {"parents": [{"parentRef": {"name": "gateway"}, "conditions": [accepted]}]}
    found = world(a_target(), a_primary(), route, *the_services())

    plan = planned(wish(60, mesh="gatewayapi:v1", promote=True), found)

    assert () == plan.steps
    assert isinstance(plan.then, Wait)
    assert "is not ready (status: True, observed generation: 1, current generation: 2)" in (
        plan.then.why
    )


# --- what is in the way --------------------------------------------------------------------------


def owned_by(obj: Obj, **owner: Any) -> Obj:
    boss = {"kind": "Rollout", "name": "boss", "uid": "u", "controller": True, **owner}
    obj["metadata"]["ownerReferences"] = [boss]
    return obj


@pytest.mark.parametrize("which", [a_primary, a_route])
def test_an_object_of_somebody_else_is_refused(which: Any) -> None:
    with pytest.raises(Refusal, match="belongs to Rollout boss: rename one of the two") as refused:
        planned(wish(20), world(a_target(), owned_by(which())))

    assert "Foreign" == refused.value.reason


def test_a_service_of_another_canary_is_refused_and_one_of_an_operator_is_used() -> None:
    (_, _, apex) = the_services("target")
    other = {"kind": "Canary", "name": "other"}

    with pytest.raises(Refusal, match="belongs to Canary other"):
        planned(wish(20), world(a_target(), owned_by(dict(apex), **other)))
    assert [] != whys(wish(20), world(a_target(), owned_by(apex)))


@pytest.mark.parametrize(
    "metadata",
    [
        {"deletionTimestamp": "2027-01-15T08:00:00Z"},
        {"ownerReferences": [{**owner_reference(REF), "uid": "of an earlier one"}]},
    ],
)
def test_what_is_being_deleted_is_waited_for(metadata: Obj) -> None:
    plan = planned(wish(20), world(a_target(), a_primary(metadata=metadata)))

    assert () == plan.steps
    assert isinstance(plan.then, Wait)
    assert "being deleted" in plan.then.why


def test_a_target_that_never_rolls_out_is_told_about() -> None:
    target = a_target(spec={"updateStrategy": {"type": "OnDelete"}})
    target["kind"] = "DaemonSet"
    intent = wish(20)
    daemon = type(intent.workload.target)(api_version="apps/v1", kind="DaemonSet", name="web")

    plan = planned(wish(20, target=daemon), world(target))

    assert isinstance(plan.then, Wait)
    assert plan.then.error
    assert intent.workload.target.kind == "Deployment"


# --- every prefix of every plan ------------------------------------------------------------------

weights = st.sampled_from([0, 1, 20, 50, 100])
pods = st.sampled_from([(0, 0), (2, 0), (2, 1), (2, 2)])


@st.composite
def worlds(draw: Any, mesh: str) -> World:
    """Any live state: objects missing, half ready, edited, of either revision."""
    replicas, ready = draw(pods)
    image = draw(st.sampled_from([OLD_IMAGE, "example.test/web:2", "example.test/web:3"]))
    objects = [a_target(image=image, replicas=replicas, ready=ready)]
    there = st.sampled_from([True, True, True, False])
    if draw(there):
        replicas, ready = draw(pods)
        objects.append(a_primary(replicas=replicas, ready=ready))
    if draw(there):
        objects += the_services(draw(st.sampled_from(["primary", "target"])))
    if mesh != "kubernetes" and draw(there):
        objects.append(a_route(draw(weights), mesh=mesh))
    return world(
        *objects, unchanged_s=draw(st.sampled_from([0.0, 60.0])), was_parked=draw(st.booleans())
    )


@st.composite
def wishes(draw: Any, mesh: str) -> Any:
    weight = draw(weights) if mesh != "kubernetes" else 0
    return wish(
        weight,
        mesh=mesh,
        revision=draw(st.sampled_from(["", OLD, NEW])),
        promote=draw(st.booleans()),
        canary=draw(st.sampled_from(["running", "parked", "as-is"])),
        initialise=draw(st.booleans()),
        hold=draw(st.sampled_from([False, False, False, True])),
        release=draw(st.sampled_from([False, False, False, True])),
    )


class Sight:
    """What an auditor sees in a world: who serves, and who gets requests."""

    def __init__(self, mesh: str, found: World) -> None:
        live = found.live
        self.target, self.primary = live.get(TARGET), live.get(PRIMARY)
        self.target_serves = bool(self.target and deployment.available(self.target))
        self.primary_serves = bool(self.primary and deployment.available(self.primary))
        apex = live.get(APEX)
        self.apex_on_primary = bool(
            apex and apex["spec"]["selector"] == services.selects("primary", APP)
        )
        seen = MESHES[mesh].mesh.observe(exposed(mesh), Routes(), live)
        self.routes = seen if isinstance(seen, Routes) else None


def check(mesh: str, intent: Any, before: World, step: Write) -> None:
    """What must be true of one write, whatever it is for."""
    old, new = Sight(mesh, before), Sight(mesh, after(before, step))
    event(step.why)
    share = old.routes.canary if old.routes else 0
    if new.routes and mesh != "kubernetes":
        assert 100 == new.routes.primary + new.routes.canary
        if new.routes.canary > share:
            assert old.target_serves, "a share for a canary that cannot serve"
        if old.routes and new.routes.canary < share:
            assert old.primary_serves or not old.target_serves, "requests moved to nobody"
    if step.ref == TARGET and new.target and deployment.is_parked(new.target):
        assert share == 0, "teardown before traffic"
        assert old.apex_on_primary, "teardown below the apex"
        assert old.primary_serves or not old.target_serves, "the last pods that serve"
        assert before.unchanged_s >= 3.0, "teardown before proxies have followed"
    if new.apex_on_primary and not old.apex_on_primary:
        assert old.primary is not None
        ready = readiness(old.primary, threshold=100, deadline_s=600)
        assert "ready" == ready.state, "the apex moved to a primary that is not ready"
    if step.ref == APEX and not new.apex_on_primary and old.apex_on_primary:
        assert intent.release
        assert old.target_serves, "the apex moved to a target that cannot serve"
    if step.ref == PRIMARY and step.why in ("primary", "promotion"):
        assert old.target is not None
        runs = template_hash(old.target["spec"]["template"])
        assert intent.revision in ("", runs), "a revision that was not decided on"
        assert intent.workload.promote or intent.workload.initialise
    assert not intent.hold


@pytest.mark.parametrize("mesh", ["traefik", "gatewayapi:v1", "kubernetes"])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_every_prefix_of_every_plan_is_safe(mesh: str, data: st.DataObject) -> None:
    intent, found = data.draw(wishes(mesh)), data.draw(worlds(mesh))
    try:
        steps = list(walk(intent, found))
    except Refusal as refusal:
        event(f"refused: {refusal.reason}")
        return

    for before, step in steps:
        check(mesh, intent, before, step)


@pytest.mark.parametrize("mesh", ["traefik", "gatewayapi:v1", "kubernetes"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_plan_that_was_carried_out_has_nothing_left_to_write(
    mesh: str, data: st.DataObject
) -> None:
    intent, found = data.draw(wishes(mesh)), data.draw(worlds(mesh))
    try:
        first = planned(intent, found)
    except Refusal:
        return
    for step in first.steps:
        found = after(found, step)

    again = planned(intent, found)

    assert () == again.steps
    if first.steps:
        assert first.then == again.then


def test_a_step_writes_one_object_that_the_plan_may_look_at() -> None:
    written: set[Ref] = {s.ref for s in planned(start(), at_first()).steps}

    assert written <= set(needs(start()))


# --- KEDA holds on to what it scales --------------------------------------------------------------

SCALED = AutoscalerRef(kind="ScaledObject", name="web-so")


def a_scaled_object() -> Obj:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "web-so", "namespace": "shop", "annotations": {"team": "shop"}},
        "spec": {"scaleTargetRef": {"name": "web"}, "minReplicaCount": 3},
    }


def the_scalers(*, paused: bool) -> list[Obj]:
    source = a_scaled_object()
    twin = keda.primary(source, SCALED, REF)
    return [keda.paused(source) if paused else source, twin]


def test_a_paused_autoscaler_is_resumed_before_the_canary_is_woken() -> None:
    found = world(
        a_target(replicas=0, ready=0),
        a_primary(),
        a_route(),
        *the_services(),
        *the_scalers(paused=True),
    )

    steps = planned(wish(0, canary="running", autoscaler=SCALED), found).steps

    assert ["autoscaler resumed", "canary up"] == [step.why for step in steps]
    assert 3 == steps[1].whole["spec"]["replicas"]


def test_an_autoscaler_is_paused_only_when_no_request_reaches_the_canary() -> None:
    """Pausing scales the canary to zero, so it waits for what parking waits for."""
    intent = wish(0, canary="parked", autoscaler=SCALED, revision=NEW)
    objects = (a_target(), a_primary(), a_route(), *the_services())
    awake, paused = the_scalers(paused=False), the_scalers(paused=True)

    assert [] == whys(intent, world(*objects, *awake, unchanged_s=0.0))
    assert ["autoscaler paused"] == whys(intent, world(*objects, *awake))
    assert ["canary down"] == whys(intent, world(*objects, *paused))


def test_a_parked_canary_of_an_autoscaler_at_work_is_parked_for_good() -> None:
    """KEDA would wake it at its next look."""
    intent = wish(0, canary="parked", autoscaler=SCALED, revision=NEW)
    objects = (a_primary(), a_route(), *the_services(), *the_scalers(paused=False))

    assert ["autoscaler paused"] == whys(intent, world(a_target(replicas=0, ready=0), *objects))


# --- Knative: one object is target, primary and route --------------------------------------------


def a_knative_service(live: str = "", latest: str = "web-00001", **annotations: str) -> Obj:
    if live:
        annotations[LIVE_REVISION] = live
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "resourceVersion": "9",
            "annotations": annotations,
        },
        "spec": {"template": {"spec": {"containers": [{"image": latest}]}}},
        "status": {"latestCreatedRevisionName": latest, "latestReadyRevisionName": latest},
    }


def knative_wish(weight: int = 0, service: Obj | None = None, **fields: Any) -> Intent:
    target = ObjectRef(api_version="serving.knative.dev/v1", kind="Service", name="web")
    exposure = an_exposure("knative", service=None, selector=None, route=target)
    revision = template_hash(revised(service or a_knative_service()), kind="Service")
    defaults: dict[str, Any] = {"exposure": exposure, "target": target, "selector": None}
    return wish(weight, **{**defaults, "revision": revision, **fields})


def test_a_knative_service_is_initialised_in_place() -> None:
    """Its first revision is the live one; nothing is created."""
    steps = planned(knative_wish(canary="parked"), world(a_knative_service())).steps

    assert [("patch", "primary adopted"), ("patch", "routes 100/0")] == [
        (step.verb, step.why) for step in steps
    ]
    annotations = steps[-1].whole["metadata"]["annotations"]
    assert "web-00001" == annotations[LIVE_REVISION]
    assert PROMOTED_REVISION in annotations


def test_a_new_revision_of_knative_gets_its_share_only_when_it_is_ready() -> None:
    service = a_knative_service("web-00001", "web-00002", **{PROMOTED_REVISION: "s1-old"})
    service["status"]["latestReadyRevisionName"] = "web-00001"

    waiting = planned(knative_wish(20, service), world(service))

    assert isinstance(waiting.then, Wait)
    assert "revision web-00002 is not ready" in waiting.then.why
    service["status"]["latestReadyRevisionName"] = "web-00002"
    assert ["routes 80/20"] == whys(knative_wish(20, service), world(service))


def test_a_promotion_on_knative_names_the_analysed_revision_and_moves_traffic_to_it() -> None:
    before = a_knative_service("web-00001", "web-00002", **{PROMOTED_REVISION: "s1-old"})
    (step,) = planned(knative_wish(60, before), world(before)).steps

    steps = planned(knative_wish(60, before, promote=True), world(step.whole)).steps

    assert ["promotion", "routes 40/60"] == [one.why for one in steps]
    traffic = steps[-1].whole["spec"]["traffic"]
    assert ["web-00002", 40] == [traffic[1]["revisionName"], traffic[1]["percent"]]


def test_another_template_than_the_analysed_one_is_not_promoted_on_knative() -> None:
    service = a_knative_service("web-00001", "web-00003", **{PROMOTED_REVISION: "s1-old"})
    analysed = a_knative_service("web-00001", "web-00002")
    (step,) = planned(knative_wish(60, service), world(service)).steps

    with pytest.raises(Refusal, match="was decided on"):
        planned(knative_wish(60, analysed, promote=True), world(step.whole))


# --- the baseline ---------------------------------------------------------------------------------


def comparing(weight: int = 0, **fields: Any) -> Intent:
    return wish(weight, canary="running", baseline=True, **fields)


def test_a_baseline_comes_once_there_is_a_primary_and_before_requests_move() -> None:
    parked = a_target(replicas=0, ready=0)
    found = world(parked, a_primary(), a_route(), *the_services())

    assert ["canary up", "baseline up"] == whys(comparing(), found)
    assert ["baseline up", "routes 80/20"] == whys(comparing(20), at_work())
    assert ["canary service", "primary service", "primary"] == [
        why for why in whys(comparing(initialise=True, revision="", configs=None), at_first())
    ][:3]


def test_a_baseline_that_is_there_costs_nothing_and_is_as_large_as_the_canary() -> None:
    live = a_baseline(comparing())
    found = world(a_target(), a_primary(), a_route(20), *the_services(), live)
    grown = world(a_target(replicas=4, ready=4), a_primary(), a_route(20), *the_services(), live)

    assert [] == whys(comparing(20), found)
    (step,) = planned(comparing(20), grown).steps
    assert (step.why, step.whole["spec"]["replicas"]) == ("baseline up", 4)


@pytest.mark.parametrize(
    ("intent", "weight", "order"),
    [
        (
            wish(canary="parked"),
            20,
            ["routes 100/0", "baseline down"],
        ),
        (
            wish(20, canary="running", promote=True),
            20,
            ["promotion", "baseline down"],
        ),
    ],
)
def test_a_baseline_goes_after_the_requests_and_after_the_promotion(
    intent: Intent, weight: int, order: list[str]
) -> None:
    live = a_baseline(comparing())
    found = world(a_target(), a_primary(), a_route(weight), *the_services(), live)

    assert order == whys(intent, found)


def test_a_primary_that_runs_the_new_revision_needs_no_baseline_any_more() -> None:
    live = a_baseline(comparing())
    promoted = wish(20, canary="running", promote=True)
    (step,) = planned(promoted, at_work(20)).steps
    for ready, expected in ((0, []), (2, ["baseline down"])):
        there = laid_over(step.whole, {"status": a_primary(ready=ready)["status"]})
        found = world(a_target(), there, a_route(20), *the_services(), live)
        assert expected == whys(promoted, found)


def test_a_deployment_of_the_users_that_has_the_name_is_left_alone() -> None:
    live = a_baseline(comparing())
    live["metadata"]["ownerReferences"] = []
    found = world(a_target(), a_primary(), a_route(), *the_services(), live)

    assert "baseline down" not in whys(wish(canary="parked"), found)
    live["metadata"]["ownerReferences"] = [
        {"kind": "Helm", "name": "x", "uid": "other", "controller": True}
    ]
    with pytest.raises(Refusal, match="web-baseline"):
        planned(comparing(), found)


def test_a_baseline_on_its_way_out_is_waited_for_and_not_deleted_twice() -> None:
    live = a_baseline(comparing())
    live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = world(a_target(), a_primary(), a_route(), *the_services(), live)

    assert "baseline down" not in whys(wish(canary="parked"), found)
    waits = planned(comparing(), found).then
    assert isinstance(waits, Wait)
    assert "web-baseline.shop is being deleted" in waits.why
