"""How the primary comes to be and what it may be given."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import APP, REF, a_config_map
from tests.unit.router.core.scenes import (
    NEW,
    NEW_IMAGE,
    OLD,
    OLD_IMAGE,
    PRIMARY,
    a_primary,
    a_route,
    a_target,
    at_work,
    planned,
    the_services,
    whys,
    wish,
    world,
)

from serinus.events import Intent
from serinus.events.canary import AutoscalerRef, Placement, Undo
from serinus.kube.configs import checksum
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.kube.revision import template_hash
from serinus.router.core import floors
from serinus.router.core.objects import (
    AUTOSCALER,
    PROMOTED_CONFIGS,
    PROMOTED_REVISION,
    STALE_CONFIGS,
    Refusal,
)
from serinus.router.core.promotion import undone
from serinus.router.core.scene import Scene
from serinus.router.core.steps import Options, Read, Settled, Wait, World, Write, after
from serinus.router.scalers import hpa
from serinus.router.scalers.catalog import SCALERS
from serinus.router.workloads import deployment
from serinus.router.workloads import primary as workloads
from serinus.router.workloads.primary import Making

PARKED = {"canary": "parked"}


def image_of(workload: Obj) -> str:
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])


def using(*names: str, **fields: Any) -> Obj:
    """A target that reads these ConfigMaps."""
    sources = [{"configMapRef": {"name": name}} for name in names]
    container = {"name": "web", "image": NEW_IMAGE, "envFrom": sources}
    return a_target(spec={"template": {"spec": {"containers": [container]}}}, **fields)


def revision_of(target: Obj) -> str:
    return template_hash(target["spec"]["template"])


# --- the first time ------------------------------------------------------------------------------


def test_a_missing_primary_is_made_from_the_target() -> None:
    plan = planned(wish(revision="", **PARKED), world(a_target(), *the_services()))

    (step,) = plan.steps
    assert ("create", PRIMARY) == (step.verb, step.ref)
    assert NEW_IMAGE == image_of(step.whole)
    assert NEW == step.whole["metadata"]["annotations"][PROMOTED_REVISION]


def test_a_missing_primary_is_never_made_from_what_nobody_has_judged() -> None:
    """Deleted in mid-release: making it again would promote the canary."""
    plan = planned(wish(20, initialise=False), world(a_target(), a_route(20), *the_services()))

    assert () == plan.steps
    assert Wait("web-primary.shop not found", error=True) == plan.then


def test_a_missing_primary_waits_for_the_decision_about_a_newer_revision() -> None:
    with pytest.raises(Refusal) as refused:
        planned(wish(revision=OLD, **PARKED), world(a_target(), *the_services()))

    assert "Diverged" == refused.value.reason


def test_configs_come_before_the_primary_that_needs_them() -> None:
    target = using("a", "b")
    intent = wish(revision="", configs=None, **PARKED)
    first = planned(intent, world(target, *the_services()))
    assert Read(("configmap/a", "configmap/b")) == first.then

    contents: dict[str, Obj | None] = {
        "configmap/a": a_config_map("a", {"x": "1"}),
        "configmap/b": a_config_map(
            "b", {}, metadata={"annotations": {"flagger.app/config-tracking": "disabled"}}
        ),
    }
    steps = planned(intent, world(target, *the_services(), contents=contents)).steps

    assert ["copy of configmap/a", "primary"] == [step.why for step in steps]
    container = steps[1].whole["spec"]["template"]["spec"]["containers"][0]
    assert ["a-primary", "b"] == [s["configMapRef"]["name"] for s in container["envFrom"]]


def test_a_missing_config_is_told_in_flaggers_words() -> None:
    """TRACE config-missing."""
    found = world(using("a"), *the_services(), contents={"configmap/a": None})

    plan = planned(wish(revision="", configs=None, **PARKED), found)

    text = "configmap a.shop get query error"
    why = (
        f"createPrimaryDeployment failed: GetTargetConfigs failed: {text}: {text}: "
        'configmaps "a" not found'
    )
    assert isinstance(plan.then, Wait)
    assert (why, True) == (plan.then.why, plan.then.error)
    assert plan.then.after_s is not None, "contents are not watched: only time brings a look"


def test_a_missing_optional_config_does_not_matter() -> None:
    target = using("a")
    sources = target["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    sources[0]["configMapRef"]["optional"] = True
    found = world(target, *the_services(), contents={"configmap/a": None})

    assert ["primary"] == whys(wish(revision="", configs=None, **PARKED), found)


def test_without_tracking_no_config_is_read_or_copied() -> None:
    found = world(using("a"), *the_services(), options=Options(config_tracking=False))

    assert ["primary"] == whys(wish(revision="", configs=None, **PARKED), found)


# --- a primary that somebody else made -----------------------------------------------------------


def theirs(**fields: Any) -> Obj:
    """A primary of Flagger's that runs what the target runs."""
    found = a_primary(**fields)
    del found["metadata"]["annotations"]
    return found


def test_a_primary_of_flaggers_is_adopted_without_a_rollout() -> None:
    parked = a_target(replicas=0, image=OLD_IMAGE)
    found = world(parked, theirs(), a_route(), *the_services())

    plan = planned(wish(revision=OLD, **PARKED), found)

    (step,) = plan.steps
    assert "primary adopted" == step.why
    assert theirs()["spec"] == step.whole["spec"]
    assert {PROMOTED_REVISION: OLD, PROMOTED_CONFIGS: "{}"} == (
        step.whole["metadata"]["annotations"]
    )
    assert Settled() == plan.then


def test_a_primary_that_runs_something_else_is_not_claimed() -> None:
    found = world(a_target(), theirs(), a_route(20), *the_services())

    assert [] == whys(wish(20), found)


# --- promotion -----------------------------------------------------------------------------------


def test_the_analysed_revision_is_promoted() -> None:
    plan = planned(wish(60, promote=True), at_work(60))

    (step,) = plan.steps
    assert ("promotion", NEW_IMAGE) == (step.why, image_of(step.whole))


def test_promotion_is_done_when_the_primary_runs_it() -> None:
    promoted = planned(wish(60, promote=True), at_work(60)).steps[0].whole
    ready = world(a_target(), promoted, a_route(60), *the_services())

    assert ((), Settled()) == (
        planned(wish(60, promote=True), ready).steps,
        planned(wish(60, promote=True), ready).then,
    )
    promoted["status"]["availableReplicas"] = 1
    plan = planned(
        wish(60, promote=True), world(a_target(), promoted, a_route(60), *the_services())
    )
    assert isinstance(plan.then, Wait)
    assert plan.then.why.startswith("web-primary.shop not ready: waiting for rollout to finish: ")


def test_what_was_not_analysed_is_not_promoted() -> None:
    """BUG 3: Flagger copies whatever the target is at copy time."""
    newer = a_target(image="example.test/web:3")
    found = world(newer, a_primary(), a_route(60), *the_services())

    with pytest.raises(Refusal) as refused:
        planned(wish(60, promote=True), found)

    assert "Diverged" == refused.value.reason
    assert NEW in refused.value.text


def test_nothing_is_promoted_without_a_decision_about_a_revision() -> None:
    with pytest.raises(Refusal, match="no revision was decided on"):
        planned(wish(60, promote=True, revision=""), at_work(60))


def with_config(promoted: str, now: dict[str, str] | None, **fields: Any) -> World:
    """A release of a target that uses one config, copied as `promoted` before."""
    primary = a_primary()
    primary["metadata"]["annotations"][PROMOTED_CONFIGS] = f'{{"configmap/a":"{promoted}"}}'
    contents = {"configmap/a": a_config_map("a", now) if now is not None else None}
    return world(
        using("a"), primary, a_route(60), *the_services(), contents=contents if fields else {}
    )


def promoting(analysed: dict[str, str]) -> Any:
    sum_ = checksum(a_config_map("a", analysed))
    revision = revision_of(using("a"))
    return wish(60, promote=True, revision=revision, configs={"configmap/a": sum_})


def test_a_config_that_did_not_change_is_neither_read_nor_copied() -> None:
    same = checksum(a_config_map("a", {"x": "1"}))

    plan = planned(promoting({"x": "1"}), with_config(same, {"x": "1"}))

    assert ["promotion"] == [step.why for step in plan.steps]
    container = plan.steps[0].whole["spec"]["template"]["spec"]["containers"][0]
    assert "a-primary" == container["envFrom"][0]["configMapRef"]["name"]


def test_a_config_that_changed_is_read_then_copied_before_the_primary_restarts() -> None:
    intent = promoting({"x": "2"})
    assert Read(("configmap/a",)) == planned(intent, with_config("old", {"x": "2"})).then

    plan = planned(intent, with_config("old", {"x": "2"}, read=True))

    assert ["copy of configmap/a", "promotion"] == [step.why for step in plan.steps]
    assert {"x": "2"} == plan.steps[0].whole["data"]


@pytest.mark.parametrize("now", [{"x": "3"}, None])
def test_a_config_that_is_not_the_analysed_one_stops_the_promotion(
    now: dict[str, str] | None,
) -> None:
    with pytest.raises(Refusal) as refused:
        planned(promoting({"x": "2"}), with_config("old", now, read=True))

    assert "Diverged" == refused.value.reason
    assert "configmap a.shop" in refused.value.text


def test_a_promotion_of_configs_only_restarts_the_primary() -> None:
    """TRACE config-change-configmap: the pod template changes by its id alone."""
    promoted = planned(wish(60, promote=True), at_work(60)).steps[0].whole
    sums = {"configmap/a": checksum(a_config_map("a", {"x": "2"}))}
    found = world(
        a_target(),
        promoted,
        a_route(60),
        *the_services(),
        contents={"configmap/a": a_config_map("a", {"x": "2"})},
    )

    steps = planned(wish(60, promote=True, configs=sums), found).steps

    assert ["copy of configmap/a", "promotion"] == [step.why for step in steps]
    before = promoted["spec"]["template"]["metadata"]["annotations"]["flagger-id"]
    after = steps[1].whole["spec"]["template"]["metadata"]["annotations"]["flagger-id"]
    assert before != after


def test_a_template_pushed_meanwhile_is_told_before_its_pods_are_waited_for() -> None:
    """It may never become ready, and somebody took its share away: nobody would hear of it."""
    pushed = a_target(image="example.test/web:3", ready=0)
    edited = world(pushed, a_primary(), a_route(20), *the_services())

    with pytest.raises(Refusal) as refused:
        planned(wish(60, promote=True), edited)

    assert "Diverged" == refused.value.reason


def test_a_promoted_primary_runs_where_it_is_told_to() -> None:
    placement = Placement(node_selector={"node-type": "on-demand"})
    intent = wish(60, promote=True, primary_pods=placement)

    (step,) = planned(intent, at_work(60)).steps

    pods = step.whole["spec"]["template"]["spec"]
    assert {"node-type": "on-demand"} == pods["nodeSelector"]
    assert "tolerations" not in pods
    assert NEW == step.whole["metadata"]["annotations"][PROMOTED_REVISION]


# --- the autoscaler ------------------------------------------------------------------------------

REFERENCE = AutoscalerRef(kind="HorizontalPodAutoscaler", name="web")


def a_scaler(maximum: int = 4) -> Obj:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": maximum},
    }


def test_the_primary_gets_an_autoscaler_that_follows_at_promotions_only() -> None:
    """TRACE hpa-istio: a change of the target's waits for the next promotion."""
    twin = hpa.primary(a_scaler(), REFERENCE, REF)
    objects = [a_target(), a_primary(), a_route(60), *the_services()]

    found = world(*objects, a_scaler())
    assert ["autoscaler noted", "autoscaler"] == whys(wish(60, autoscaler=REFERENCE), found)
    changed = world(*objects, a_scaler(9), twin)
    assert [] == whys(wish(60, autoscaler=REFERENCE), changed)
    assert ["autoscaler", "promotion"] == whys(
        wish(60, promote=True, autoscaler=REFERENCE), changed
    )


def scaled(size: int, canary: int, *, share: int = 60, maximum: int = 20, held: int = 0) -> World:
    """In mid-release: so many pods on both sides, `held` of them kept on the primary's."""
    twin = floors.held(hpa.primary(a_scaler(maximum), REFERENCE, REF), held, hpa)
    target = a_target(replicas=canary, ready=canary)
    primary = a_primary(replicas=size, ready=size)
    return world(target, primary, a_route(share), *the_services(), a_scaler(maximum), twin)


def least(step: Write) -> tuple[int, str]:
    annotations = step.whole["metadata"].get("annotations", {})
    return step.whole["spec"]["minReplicas"], annotations.get(floors.LEAST, "")


def test_the_primary_keeps_its_size_from_the_canarys_first_pod_on() -> None:
    """It would lose pods with every step, and need them all at once on a rollback."""
    steps = planned(wish(0, autoscaler=REFERENCE), scaled(8, 0, share=0)).steps

    assert ["canary up", "autoscaler"] == [step.why for step in steps]
    assert (8, "2") == least(steps[1])


def test_a_new_primary_keeps_the_size_it_was_made_with_until_it_serves() -> None:
    """Nobody asks anything of it before S leads to it, and then everybody does."""
    note = {"annotations": {AUTOSCALER: "HorizontalPodAutoscaler/web"}}
    target = a_target(replicas=8, ready=8)
    primary = a_primary(replicas=8, ready=3, metadata=note)
    found = world(target, primary, *the_services(apex="target"), a_scaler(20))

    steps = planned(wish(0, canary="parked", autoscaler=REFERENCE), found).steps

    assert ["autoscaler"] == [step.why for step in steps]
    assert (8, "2") == least(steps[0])


def test_a_primary_at_its_least_size_has_nothing_to_keep() -> None:
    assert ["canary up"] == whys(wish(0, autoscaler=REFERENCE), scaled(2, 0, share=0))


def test_the_size_that_is_kept_is_the_one_that_served_everybody() -> None:
    assert [] == whys(wish(60, autoscaler=REFERENCE), scaled(9, 4, held=8))
    assert [] == whys(wish(60, autoscaler=REFERENCE), scaled(5, 4, held=8))


def test_the_primary_has_room_for_everybody_before_it_is_promoted() -> None:
    """More people came meanwhile: of 12 pods the canary's 9 bear 60 percent."""
    found = scaled(6, 9, held=6)

    plan = planned(wish(60, promote=True, autoscaler=REFERENCE), found)

    assert ["autoscaler", "promotion"] == [step.why for step in plan.steps]
    assert (15, "2") == least(plan.steps[0])
    assert 15 == plan.steps[1].whole["spec"]["replicas"]
    assert isinstance(plan.then, Wait)


def test_a_promotion_is_not_done_while_the_primary_is_smaller_than_it_is_kept() -> None:
    found = scaled(6, 9, held=6)
    intent = wish(60, promote=True, autoscaler=REFERENCE)
    for step in planned(intent, found).steps:
        found = after(found, step)
    small = found.live.get(PRIMARY)
    assert small is not None
    small = {**small, "spec": {**small["spec"], "replicas": 9}}
    found = msgspec.structs.replace(found, live=found.live.with_(PRIMARY, small))

    plan = planned(intent, found)

    assert Wait("web-primary.shop is scaled up to 15 for everybody") == plan.then


def test_the_primary_is_not_given_more_than_its_autoscaler_may() -> None:
    found = scaled(3, 7, maximum=4)

    steps = planned(wish(60, promote=True, autoscaler=REFERENCE), found).steps

    assert ["autoscaler", "promotion"] == [step.why for step in steps]
    assert (4, 4) == (least(steps[0])[0], steps[1].whole["spec"]["replicas"])


def test_what_the_target_says_of_its_sizes_is_what_the_primary_goes_back_to() -> None:
    found = scaled(8, 4, held=8)
    changed = a_scaler(20)
    changed["spec"]["minReplicas"] = 3
    found = msgspec.structs.replace(found, live=found.live.with_(ref_of(changed), changed))

    steps = planned(wish(60, promote=True, autoscaler=REFERENCE), found).steps

    assert (8, "3") == least(steps[0])


def test_the_primary_is_let_go_when_everybodys_load_has_been_measured() -> None:
    intent = wish(0, canary="parked", autoscaler=REFERENCE)
    resting = scaled(8, 0, share=0, held=8)

    soon = planned(intent, msgspec.structs.replace(resting, unchanged_s=100.0))
    later = planned(intent, msgspec.structs.replace(resting, unchanged_s=120.0))

    assert ((), Settled(after_s=20.0)) == (soon.steps, soon.then)
    assert ["autoscaler freed"] == [step.why for step in later.steps]
    assert (2, "") == least(later.steps[0])
    assert later.then == Settled()


def test_a_missing_autoscaler_is_told_and_keeps_no_request_waiting() -> None:
    plan = planned(wish(20, autoscaler=REFERENCE), at_work(0))

    assert ["routes 80/20"] == [step.why for step in plan.steps]
    assert Wait("HorizontalPodAutoscaler web.shop not found") == plan.then


NOTED = {"HorizontalPodAutoscaler/web": "web", "ScaledObject/web-so": "web-so"}


def once_scaled(note: str, *scalers: Obj, share: int = 0, parked: bool = True) -> World:
    """The primary has nine pods by an autoscaler that was made from the noted one."""
    size = {"replicas": 0, "ready": 0} if parked else {"replicas": 3, "ready": 3}
    primary = a_primary(replicas=9, ready=9, metadata={"annotations": {AUTOSCALER: note}})
    return world(a_target(**size), primary, a_route(share), *the_services(), *scalers)


@pytest.mark.parametrize("note", NOTED)
def test_an_autoscaler_that_is_named_no_more_goes_and_the_primary_keeps_its_size(note: str) -> None:
    """Between runs at once; what it did for a stand-in goes with it."""
    (step,) = planned(wish(canary="parked"), once_scaled(note)).steps

    assert ("prune", "stale autoscaler") == (step.verb, step.why)
    name, row = NOTED[note], SCALERS[note.partition("/")[0]]
    assert step.stale == tuple(
        Ref(row.api_version, row.kind, "shop", f"{name}-{side}") for side in ("primary", "canary")
    )
    assert (9, "") == (step.whole["spec"]["replicas"], note_of(step.whole))


def test_in_mid_run_it_stays_and_a_promotion_leaves_the_primary_its_size() -> None:
    """The canary has as many pods as its share needs, and they are no measure for everybody."""
    found = once_scaled("HorizontalPodAutoscaler/web", share=60, parked=False)

    assert [] == whys(wish(60), found)
    (step,) = planned(wish(60, promote=True), found).steps

    assert ("promotion", 9) == (step.why, step.whole["spec"]["replicas"])
    assert "HorizontalPodAutoscaler/web" == note_of(step.whole)


def test_another_autoscaler_comes_when_the_one_before_it_is_gone() -> None:
    """Two would scale one primary against each other."""
    found = once_scaled("ScaledObject/web-so", a_scaler(), share=60, parked=False)
    assert [] == whys(wish(60, autoscaler=REFERENCE), found)

    found = once_scaled("ScaledObject/web-so", a_scaler())
    steps = whys(wish(canary="parked", autoscaler=REFERENCE), found)
    assert ["stale autoscaler", "autoscaler noted", "autoscaler"] == steps


def test_a_primary_is_made_with_a_note_of_its_autoscaler() -> None:
    found = world(a_target(), *the_services(), a_scaler())
    steps = planned(wish(revision="", autoscaler=REFERENCE, **PARKED), found).steps
    assert ["primary", "autoscaler"] == [step.why for step in steps]
    assert "HorizontalPodAutoscaler/web" == note_of(steps[0].whole)


def note_of(primary: Obj) -> str:
    return str(primary["metadata"]["annotations"].get(AUTOSCALER, ""))


# --- copies that nobody uses any more -------------------------------------------------------------


def with_stale(*, parked: bool = True, ready: int = 2) -> World:
    """The primary was given a revision that mounts nothing, after one that mounted `a`."""
    note = {PROMOTED_CONFIGS: '{"configmap/a":"1"}'}
    primary = a_primary(metadata={"annotations": note})
    found = world(a_target(), primary, a_route(), *the_services())
    promoted = planned(wish(promote=True, canary="running"), found).steps[0].whole
    promoted["status"] = a_primary(ready=ready)["status"]
    size = {"replicas": 0, "ready": 0} if parked else {}
    return world(a_target(**size), promoted, a_route(), *the_services())


def test_copies_that_the_primary_uses_no_more_go_when_the_release_is_over() -> None:
    """11.3 no. 15: stale copies stayed until the Canary was deleted."""
    assert [] == whys(wish(canary="running", promote=True), with_stale(parked=False))

    (step,) = planned(wish(canary="parked"), with_stale()).steps

    assert ("prune", (Ref("v1", "ConfigMap", "shop", "a-primary"),)) == (step.verb, step.stale)
    assert STALE_CONFIGS not in step.whole["metadata"]["annotations"]


def test_copies_stay_while_the_primary_is_not_ready() -> None:
    """Its older pods may still mount them."""
    assert [] == whys(wish(canary="parked"), with_stale(ready=1))


def test_a_config_that_is_used_again_is_not_stale() -> None:
    primary = workloads.promoted(
        a_primary(metadata={"annotations": {STALE_CONFIGS: "configmap/a secret/b"}}),
        a_target(),
        Making(canary=REF, selector=APP, revision=NEW, configs={"secret/b": "1"}),
        {},
    )

    assert ("configmap/a",) == workloads.stale_configs(primary)


# --- what was live before ------------------------------------------------------------------------


def kept(target: Obj, configs: dict[str, str] | None = None) -> Obj:
    """The ReplicaSet of a primary that was made from this target."""
    made = Making(canary=REF, selector=APP, revision="x", configs=configs or {})
    template = deployment.primary(target, made)["spec"]["template"]
    template["metadata"]["labels"]["pod-template-hash"] = "5f6d"
    return {"kind": "ReplicaSet", "metadata": {"name": "rs"}, "spec": {"template": template}}


def undo_wish(revision: str = OLD, configs: dict[str, str] | None = None, **more: Any) -> Intent:
    undo = Undo(revision=revision, configs={} if configs is None else configs)
    return wish(undo=undo, **{**PARKED, **more})


def live_with_new(**fields: Any) -> World:
    """The new revision was promoted; its target is parked again."""
    making = Making(canary=REF, selector=APP, revision=NEW)
    primary = deployment.promoted(a_primary(), a_target(), making)
    target = a_target(replicas=0, ready=0)
    return world(target, primary, a_route(), *the_services(), **fields)


def test_an_undo_asks_for_what_the_primary_ran_and_writes_nothing_before_it_knows() -> None:
    plan = planned(undo_wish(), live_with_new())
    assert ((), Read(earlier=True)) == (plan.steps, plan.then)


def test_an_undo_gives_the_primary_the_template_of_that_revision_and_keeps_its_size() -> None:
    found = live_with_new(earlier=[kept(a_target()), kept(a_target(image=OLD_IMAGE))])

    (step,) = planned(undo_wish(), found).steps

    assert ("undo", PRIMARY, OLD_IMAGE) == (step.why, step.ref, image_of(step.whole))
    assert OLD == step.whole["metadata"]["annotations"][PROMOTED_REVISION]
    assert 2 == step.whole["spec"]["replicas"]
    assert "pod-template-hash" not in step.whole["spec"]["template"]["metadata"]["labels"]


def test_an_undo_is_done_when_the_primarys_pods_run_it() -> None:
    parked = a_target(replicas=0, ready=0)
    for ready, then in ((1, Wait), (2, Settled)):
        back = world(parked, a_primary(ready=ready), a_route(), *the_services())
        plan = planned(undo_wish(), back)
        assert ((), then) == (plan.steps, type(plan.then))


@pytest.mark.parametrize("earlier", [[], [kept(a_target())]])
def test_what_is_not_kept_any_more_cannot_be_given_back(earlier: list[Obj]) -> None:
    """revisionHistoryLimit is the user's, and what has another hash was not analysed."""
    with pytest.raises(Refusal) as refused:
        planned(undo_wish(), live_with_new(earlier=earlier))
    assert ("Lost", f"web-primary.shop keeps no template of {OLD} any more") == (
        refused.value.reason,
        refused.value.text,
    )


def test_an_undo_takes_the_configs_of_then_or_none() -> None:
    """Only together they were analysed; the source may hold again what it held then."""
    source = a_config_map("a", {"x": "1"})
    then = using("a")
    then["spec"]["template"]["spec"]["containers"][0]["image"] = OLD_IMAGE
    configs = {"configmap/a": checksum(source)}
    earlier = [kept(then, configs)]
    intent = undo_wish(revision_of(then), configs)

    assert Read(("configmap/a",)) == planned(intent, live_with_new(earlier=earlier)).then
    again = live_with_new(earlier=earlier, contents={"configmap/a": source})
    assert ["copy of configmap/a", "undo"] == whys(intent, again)
    other: dict[str, Obj | None] = {"configmap/a": a_config_map("a", {"x": "2"})}
    with pytest.raises(Refusal) as refused:
        planned(intent, live_with_new(earlier=earlier, contents=other))
    assert ("Lost", "configmap a.shop is not the one that was analysed") == (
        refused.value.reason,
        refused.value.text,
    )


def test_while_the_primary_is_broken_the_canary_keeps_the_traffic_until_it_is_back() -> None:
    """After a failed promotion."""
    making = Making(canary=REF, selector=APP, revision=NEW)
    broken = deployment.promoted(a_primary(ready=0), a_target(), making)
    earlier = [kept(a_target(image=OLD_IMAGE))]
    found = world(a_target(), broken, a_route(100), *the_services(), earlier=earlier)

    plan = planned(undo_wish(weight=100, canary="running"), found)

    assert ["undo"] == [step.why for step in plan.steps]
    assert isinstance(plan.then, Wait)


def test_kinds_that_keep_nothing_say_so() -> None:
    scene = Scene(undo_wish(), live_with_new())
    scene.earlier_kind = ""
    with pytest.raises(Refusal) as refused:
        undone(scene)
    assert "Lost" == refused.value.reason
