"""Releases of StatefulSets: one workload, a border that moves, and nobody who is sent to nobody."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import a_service, an_exposure
from tests.unit.router.core.statefulsets import ROUTE, SET, Stage, at_rest, wish

from serinus.events import Intent, ServiceSpec
from serinus.events.canary import HttpMatch, StringMatch, Undo
from serinus.kube.partition import PARKED, REVISION_LABEL, parts
from serinus.kube.refs import Ref
from serinus.router.core.objects import PROMOTED_REVISION, Live, Refusal
from serinus.router.core.releasing import left_behind
from serinus.router.core.steps import Settled, Wait, World

OLD, NEW, NEWER, STUCK = (f"example.test/web:{tag}" for tag in ("1", "2", "3", "stuck"))


def border(stage: Stage) -> int:
    return parts(stage.target).partition


def released(share: int = 0, size: int = 3, image: str = NEW) -> Stage:
    """In mid-release, with all that this share needs."""
    stage = at_rest(size)
    stage.push(image)
    stage.settle(wish(stage, share))
    stage.writes.clear()
    return stage


def test_initialising_notes_what_runs_and_stops_the_next_template() -> None:
    stage = Stage()
    before = list(stage.pods.values())

    stage.settle(wish(stage, canary="parked", revision=""))

    assert border(stage) == PARKED
    noted = stage.target["metadata"]["annotations"][PROMOTED_REVISION]
    assert noted == stage.revision
    assert list(stage.pods.values()) == before
    assert len(stage.behind("web")) == len(stage.behind("web-primary")) == 3


def test_a_users_service_is_narrowed_without_losing_a_pod() -> None:
    stage = Stage()
    stage.objects[Ref("v1", "Service", "shop", "web")] = a_service()

    stage.settle(wish(stage, canary="parked", revision=""))

    assert len(stage.behind("web")) == 3
    assert "apex service" in stage.writes


def test_a_set_in_its_own_rollout_is_waited_for() -> None:
    stage = Stage()
    stage.push(NEW)
    stage.control()

    stage.step(wish(stage, canary="parked", revision=""))
    stage.work(wish(stage, canary="parked", revision=""))

    assert stage.why == "statefulset web.shop runs two revisions: let its own rollout end first"
    assert border(stage) == 0


def test_a_parked_set_lets_no_template_through() -> None:
    stage = at_rest()
    stage.push(NEW)

    while stage.control():
        pass
    del stage.pods[1]
    stage.control()

    assert stage.images == [OLD] * 3


def test_the_canary_is_one_pod_before_it_gets_any_share() -> None:
    stage = released()

    assert stage.images == [OLD, OLD, NEW]
    assert (stage.share, len(stage.behind("web"))) == (0, 2)
    assert [pod.image for pod in stage.behind("web-canary")] == [NEW]


def test_pods_and_share_grow_in_turn() -> None:
    """Neither side ever bears more than it would with one pod less."""
    stage = released(size=5)

    stage.settle(wish(stage, 60))

    assert stage.writes == [
        "routes 75/25",
        "canary grows",
        "routes 50/50",
        "canary grows",
        "routes 40/60",
    ]
    assert isinstance(stage.look(wish(stage, 60)), Settled)


def test_an_audience_gets_one_pod() -> None:
    stage = released(size=5)
    match = (HttpMatch(headers={"x-insider": StringMatch(exact="yes")}),)

    def asked(share: int) -> Intent:
        intent = wish(stage, share, exposure=an_exposure("istio", match=match))
        return msgspec.structs.replace(
            intent, routes=msgspec.structs.replace(intent.routes, match=match)
        )

    stage.work(asked(100))

    assert parts(stage.target).canary_wanted == 1


def test_a_promotion_is_open_to_every_pod_while_they_are_replaced() -> None:
    stage = released(40)
    intent = wish(stage, 40, promote=True)

    stage.work(intent)
    assert border(stage) == 0
    assert len(stage.behind("web")) == len(stage.behind("web-primary")) == 3

    stage.settle(intent)
    assert stage.images == [NEW] * 3
    assert border(stage) == PARKED
    assert stage.target["metadata"]["annotations"][PROMOTED_REVISION] == stage.revision
    selector = stage.objects[Ref("v1", "Service", "shop", "web")]["spec"]["selector"]
    assert selector[REVISION_LABEL] == "web-2"
    stage.settle(wish(stage))
    stage.settle(wish(stage, canary="parked"))
    assert stage.share == 0


def test_a_rollback_takes_the_share_then_the_border_then_the_pods() -> None:
    stage = released(60, size=5)
    stage.unchanged_s = 0.0
    back = wish(stage, canary="parked")
    stage.work(back)
    assert (stage.writes, stage.images[-1]) == (["routes 100/0"], NEW)

    stage.unchanged_s = 60.0
    stage.settle(back)
    assert stage.writes[1:] == ["canary down", "pod back", "pod back", "pod back"]
    assert stage.images == [OLD] * 5
    assert isinstance(stage.look(back), Settled)


def test_pods_go_back_one_at_a_time_and_broken_ones_first() -> None:
    stage = released(60, size=5)
    stage.pods[4].ready = False
    stage.report()
    back = wish(stage, canary="parked")
    stage.work(back)

    assert 4 not in stage.pods
    assert {2, 3} <= stage.pods.keys()
    assert stage.why == "statefulset web.shop goes back one pod at a time"


def test_two_broken_pods_do_not_wait_for_each_other() -> None:
    stage = released(60, size=5, image=NEW)
    for n in (3, 4):
        stage.pods[n].ready = False
        stage.pods[n].image = STUCK
    stage.report()

    stage.settle(wish(stage, canary="parked"))

    assert stage.images == [OLD] * 5


def test_a_broken_pod_of_the_promoted_revision_is_waited_for() -> None:
    """Two members less at one time may be one too many."""
    stage = released(60, size=5)
    stage.pods[0].ready = False
    stage.report()
    back = wish(stage, canary="parked")
    stage.work(back)

    assert set(stage.pods) == set(range(5))
    assert stage.why.endswith("one pod at a time")


def test_a_pod_that_was_not_made_yet_keeps_no_broken_one_from_going_back() -> None:
    """The set was scaled up: the controller makes no pod above one that is not ready."""
    stage = halfway(STUCK)
    stage.scale(6)

    stage.settle(wish(stage, canary="parked"))

    assert stage.images == [OLD] * 6


def halfway(image: str) -> Stage:
    """A promotion whose last pod, which runs this, is not ready yet."""
    stage = released(40, size=4)
    intent = wish(stage, 40, promote=True)
    stage.work(intent)
    while stage.images[0] != NEW:
        stage.ready()
        stage.control()
    stage.pods[0].image = image
    return stage


@pytest.mark.parametrize("gone", [ROUTE, Ref("v1", "Service", "shop", "web")])
def test_what_somebody_deleted_in_mid_rollback_is_made_while_pods_go_back(gone: Ref) -> None:
    """It would wait for pods that wait for it: they go back once requests go where they should."""
    stage = halfway(STUCK)
    del stage.objects[gone]

    stage.settle(wish(stage, canary="parked"))

    assert stage.images == [OLD] * 4
    assert gone in stage.objects


def test_a_newer_template_in_mid_promotion_is_held_back_at_once() -> None:
    stage = released(40)
    intent = wish(stage, 40, promote=True)
    stage.work(intent)
    stage.control()
    stage.push(NEWER)

    with pytest.raises(Refusal, match="was decided on"):
        stage.work(intent)

    assert stage.writes[-3:] == ["held back", "routes 100/0", "canary service"]


def test_what_a_promotion_left_halfway_goes_back_before_another_canary_starts() -> None:
    stage = released(40, size=4)
    intent = wish(stage, 40, promote=True)
    stage.work(intent)
    for _ in range(2):
        stage.control()
        stage.ready()
    assert stage.images == [OLD, NEW, NEW, NEW]
    stage.push(NEWER)

    stage.settle(wish(stage))

    assert stage.images == [OLD, OLD, OLD, NEWER]
    assert [pod.image for pod in stage.behind("web")] == [OLD] * 3


def test_somebody_who_lets_a_template_through_is_stopped() -> None:
    stage = at_rest()
    stage.push(NEW)
    found = stage.target
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    stage.objects[SET] = {**found, "spec": {**found["spec"], "updateStrategy": strategy}}
    stage.control()

    stage.settle(wish(stage, canary="parked"))

    assert border(stage) == PARKED
    assert stage.images == [OLD] * 3


def test_more_pods_do_not_make_a_larger_canary() -> None:
    stage = released(20)
    stage.scale(5)

    stage.settle(wish(stage, 20))

    assert stage.images == [OLD] * 4 + [NEW]


def test_fewer_pods_keep_a_canary() -> None:
    stage = released(20, size=5)
    stage.scale(3)

    stage.settle(wish(stage, 20))

    assert stage.images == [OLD, OLD, NEW]
    assert stage.share == 20


def test_a_set_that_shrinks_to_one_pod_sends_nobody_to_none() -> None:
    stage = released(20, size=2)
    stage.scale(1)
    stage.settle(wish(stage, 20))

    assert (stage.images, stage.share) == ([OLD], 0)
    assert stage.why.endswith("has pods for 0 of 20 percent")


def test_a_canary_that_never_gets_ready_gets_no_share() -> None:
    stage = released(20, image=STUCK)

    assert (stage.share, stage.images) == (0, [OLD, OLD, STUCK])
    assert "not ready" in stage.why


def test_releasing_opens_the_services_before_the_border() -> None:
    stage = released(40)
    intent = wish(stage, canary="as-is", release=True)
    while stage.step(intent):
        assert len(stage.behind("web")) >= 2

    assert border(stage) == 0
    assert stage.writes[-1] == "target back"
    assert len(stage.behind("web")) == 3


def test_a_set_without_services_of_ours_is_released_too() -> None:
    """The user's Service selects again what it did."""
    stage = Stage()
    stage.objects[Ref("v1", "Service", "shop", "web")] = a_service()
    stage.settle(wish(stage, canary="parked", revision=""))

    stage.work(wish(stage, canary="as-is", release=True))

    selector = stage.objects[Ref("v1", "Service", "shop", "web")]["spec"]["selector"]
    assert selector == {"app": "web"}


def test_without_a_mesh_one_pod_is_judged_and_then_all_are_replaced() -> None:
    plain = an_exposure("kubernetes", service=ServiceSpec(port=80), needs=())
    stage = Stage()
    stage.settle(wish(stage, canary="parked", revision="", exposure=plain))
    stage.push(NEW)

    stage.settle(wish(stage, exposure=plain))
    assert stage.images == [OLD, OLD, NEW]

    stage.settle(wish(stage, exposure=plain, promote=True))
    assert stage.images == [NEW] * 3


def test_what_was_live_before_is_not_given_back_by_itself() -> None:
    """The controller makes pods of two revisions only: putting the template back makes it one."""
    stage = at_rest()

    with pytest.raises(Refusal) as refused:
        stage.work(wish(stage, canary="parked", undo=Undo(revision="s1-0000000000")))

    assert refused.value.reason == "Lost"
    assert stage.writes == []


def test_what_is_live_already_is_judged_where_it_runs() -> None:
    """A reset: the live revision is rolled out again, and every pod has it."""
    stage = at_rest()

    stage.settle(wish(stage, 40))
    stage.settle(wish(stage, 40, promote=True))

    assert stage.writes == ["routes 60/40"]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), size=st.integers(2, 5))
def test_whatever_happens_in_whatever_order_somebody_serves_and_it_ends(
    data: st.DataObject, size: int
) -> None:
    """Releases, rollbacks and newer templates in the middle of everything.

    S and S-canary lead to ready pods while they get requests, and S never to a revision that was
    not judged, but for the moment between a push in mid-promotion and the router's next look. Of
    its own accord nobody takes a second pod away.
    """
    stage = at_rest(size)
    judged = {OLD}
    tags = iter(range(2, 100))
    for _ in range(data.draw(st.integers(1, 4), label="releases")):
        image = f"example.test/web:{next(tags)}"
        stage.push(image)
        share = data.draw(st.sampled_from([20, 50, 100]), label="share")
        wishes = [wish(stage), wish(stage, share)]
        ends = data.draw(st.sampled_from(["promoted", "rolled back", "left"]), label="end")
        if ends == "promoted":
            wishes += [wish(stage, share, promote=True), wish(stage), wish(stage, canary="parked")]
        elif ends == "rolled back":
            wishes += [wish(stage, canary="parked")]
        for intent in wishes:
            if intent.workload.promote:
                judged.add(image)
            whole = data.draw(st.booleans(), label="in full")
            if whole or ends != "left":
                play(stage, intent, data, judged, until_rest=True)
            else:
                play(stage, intent, data, judged, until_rest=False)
    stage.settle(wish(stage, canary="parked"))
    assert len(set(stage.images)) == 1
    assert len(stage.behind("web")) == size


def play(
    stage: Stage, intent: Intent, data: st.DataObject, judged: set[str], *, until_rest: bool
) -> None:
    acts = [lambda: stage.step(intent), stage.control, stage.ready]
    idle = 0
    for turn in range(400):
        act = acts[turn % 3] if until_rest else acts[data.draw(st.integers(0, 2))]
        idle = 0 if act() else idle + 1
        check(stage, judged)
        if idle >= 3 or (not until_rest and turn > 12):
            return
    raise AssertionError(f"it never ends: {stage.why} {stage.writes[-8:]}")


def check(stage: Stage, judged: set[str]) -> None:
    serving = stage.behind("web")
    assert serving, f"nobody serves: {stage.images} {stage.writes[-5:]}"
    assert {pod.image for pod in serving} <= judged, f"not judged: {stage.images}"
    ready = sum(pod.ready for pod in stage.pods.values())
    assert ready >= parts(stage.target).size - 1, f"two away: {stage.images}"
    led = stage.objects[Ref("v1", "Service", "shop", "web-canary")]["spec"]["selector"]
    if stage.share and led[REVISION_LABEL] == stage.newest:
        assert stage.behind("web-canary") or ready < len(stage.pods), "nobody for the share"


def test_the_search_notices_a_border_that_is_lowered_before_s_is_open() -> None:
    """A search that nobody has seen fail is decoration."""
    stage = released(40)
    intent = wish(stage, 40, promote=True)
    stage.objects[SET] = {
        **stage.target,
        "spec": {
            **stage.target["spec"],
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        },
    }
    for _ in range(6):
        stage.control()
        stage.ready()
    with pytest.raises(AssertionError, match="nobody serves"):
        check(stage, {OLD, NEW})
    assert not isinstance(stage.look(intent), Wait)


def test_a_set_whose_canary_is_gone_is_left_as_it_is() -> None:
    """Nothing of it was collected, and its template may be one that nobody judged."""
    stage = released(20)
    live = Live(stage.objects)

    assert left_behind(wish(stage), World(live=live)) is None
