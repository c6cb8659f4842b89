"""When a canary is looked at, what is told, and how patient the router is."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.builders import APP, REF, a_canary, a_config_map, laid_over
from tests.unit.hands import Hands
from tests.unit.router.cluster import Router, a_router
from tests.unit.router.core.scenes import (
    APEX,
    NEW,
    OLD,
    OLD_IMAGE,
    PRIMARY,
    ROUTE,
    TARGET,
    a_primary,
    a_route,
    a_target,
    exposed,
    the_services,
    wish,
)
from tests.unit.router.core.test_standins import STANDIN, a_standin, on_standin, trying
from tests.unit.router.meshes.test_nginx import an_ingress

from serinus.events import CanaryRef, ObjectRef
from serinus.events.canary import AutoscalerRef, Undo
from serinus.kube.configs import checksum
from serinus.kube.errors import Denied, Invalid, Unreachable
from serinus.kube.refs import Obj, Ref, owner_reference, ref_of
from serinus.kube.revision import template_hash
from serinus.router.core import floors
from serinus.router.core.capacity import ANNOUNCED_S, FOLLOWED_S, LONGEST_S
from serinus.router.core.plan import next_step
from serinus.router.core.scene import Scene
from serinus.router.core.steps import Next
from serinus.router.executor import SERVICE_LABEL, SLICES
from serinus.router.scalers import hpa
from serinus.router.workloads import deployment
from serinus.router.workloads.primary import Making

pytestmark = pytest.mark.looptime


def in_release(weight: int = 0, **target: Any) -> list[Obj]:
    return [a_target(**target), a_primary(), a_route(weight), *the_services()]


def using_config(name: str) -> Obj:
    target = a_target()
    sources = [{"configMapRef": {"name": name}}]
    target["spec"]["template"]["spec"]["containers"][0]["envFrom"] = sources
    return target


def replicas(router: Router) -> int:
    return int(router.cluster.objects[TARGET]["spec"]["replicas"])


def shares(router: Router) -> list[int]:
    services = router.cluster.objects[ROUTE]["spec"]["weighted"]["services"]
    return [service["weight"] for service in services]


# --- looking -------------------------------------------------------------------------------------


async def test_an_intent_is_carried_out_and_told() -> None:
    async with a_router(*in_release(), settle_s=0.0) as router:
        await router.take(wish(20))

        assert [("apply", "TraefikService/web")] == router.asked()
        assert (True, 80, 20, wish(20).id, NEW) == (
            router.last.settled,
            router.last.primary_weight,
            router.last.canary_weight,
            router.last.intent,
            router.last.revision,
        )


async def test_a_canary_in_its_place_costs_no_request() -> None:
    async with a_router(*in_release(20)) as router:
        await router.take(wish(20), for_s=600.0)

        assert [] == router.asked()
        assert [True] == [news.settled for news in router.news]


async def test_the_same_news_is_told_once() -> None:
    async with a_router(*in_release(20)) as router:
        await router.take(wish(20))
        await router.take(wish(20, version="1001", stamp=1.0))
        router.cluster.edit(TARGET, metadata={"annotations": {"x": "1"}})
        await asyncio.sleep(1.0)

        assert 1 == len(router.news)


async def test_pods_that_become_ready_are_acted_on_when_proxies_have_had_time() -> None:
    async with a_router(*in_release(ready=0)) as router:
        await router.take(wish(20))
        assert "canary deployment web.shop not ready" in router.last.waiting
        assert [100] == shares(router)

        router.cluster.edit(TARGET, status={"availableReplicas": 2})
        await asyncio.sleep(ANNOUNCED_S - 0.1)
        assert [100] == shares(router)
        await asyncio.sleep(0.2)

        assert [80, 20] == shares(router)
        assert router.last.settled


def announced(*ready: bool) -> Obj:
    """The EndpointSlice of S-canary, with pods that are ready or not."""
    meta = {"name": "web-canary-x", "namespace": "shop", "labels": {SERVICE_LABEL: "web-canary"}}
    endpoints = [
        {"addresses": [f"10.0.0.{n}"], "conditions": {"ready": one}} for n, one in enumerate(ready)
    ]
    api_version, kind = SLICES
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, "endpoints": endpoints}


async def test_pods_that_are_announced_get_their_first_requests_when_proxies_have_followed() -> (
    None
):
    """One question; none for the shares after it."""
    async with a_router(*in_release(ready=0), announced(False, False)) as router:
        await router.take(wish(20))
        router.cluster.put(announced(True, True))
        router.cluster.edit(TARGET, status={"availableReplicas": 2})
        await asyncio.sleep(FOLLOWED_S - 0.1)
        assert [100] == shares(router)
        await asyncio.sleep(0.2)
        assert [80, 20] == shares(router)
        await router.take(wish(40))
        assert [60, 40] == shares(router)

        assert 1 == router.cluster.lists("EndpointSlice")


async def test_pods_that_are_not_announced_yet_are_asked_about_again_ever_later() -> None:
    """At 0, 0.2, 0.6 and 1.4 s, however often something changes in between."""
    async with a_router(*in_release(ready=0), announced()) as router:
        await router.take(wish(20))
        router.cluster.edit(TARGET, status={"availableReplicas": 2})
        for n in range(10):
            router.cluster.edit(TARGET, metadata={"annotations": {"x": str(n)}})
            await asyncio.sleep(0.1)
        assert "deployment web.shop gets requests when proxies know its pods" == router.last.waiting
        router.cluster.put(announced(True, True))
        await asyncio.sleep(0.5)
        assert [100] == shares(router)
        await asyncio.sleep(0.2)

        assert [80, 20] == shares(router)
        assert 4 == router.cluster.lists("EndpointSlice")


async def test_pods_that_nobody_announces_get_their_requests_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with a_router(*in_release(ready=0), announced(True, False)) as router:
        await router.take(wish(20))
        router.cluster.edit(TARGET, status={"availableReplicas": 2})
        await asyncio.sleep(LONGEST_S - 0.1)
        assert [100] == shares(router)
        await asyncio.sleep(0.2)

        assert [80, 20] == shares(router)
        assert 5 == router.cluster.lists("EndpointSlice")
        (warning,) = [one for one in caplog.records if one.message == "requests may be lost"]
        assert "Service web-canary announces 1 of 2 ready pods" == vars(warning)["reason"]


async def test_a_canary_that_served_before_a_restart_gets_its_requests_at_once() -> None:
    since = {"type": "Available", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"}
    target, *rest = in_release()
    target["status"]["conditions"] = [since]
    async with a_router(target, *rest, announced()) as router:
        await router.take(wish(20))

        assert [80, 20] == shares(router)
        assert 0 == router.cluster.lists("EndpointSlice")


async def test_a_canary_made_ready_by_a_revision_before_is_asked_about_again() -> None:
    """Its pods are others, at other addresses."""
    async with a_router(*in_release(), announced(True, True)) as router:
        await router.take(wish(0), for_s=60.0)
        router.cluster.edit(TARGET, status={"updatedReplicas": 1})
        await router.take(wish(20))
        assert [100] == shares(router)
        router.cluster.edit(TARGET, status={"updatedReplicas": 2})
        await asyncio.sleep(FOLLOWED_S + 0.1)

        assert [80, 20] == shares(router)
        assert 1 == router.cluster.lists("EndpointSlice")


async def test_an_edited_route_is_put_back_at_once() -> None:
    async with a_router(*in_release(20)) as router:
        await router.take(wish(20))

        router.cluster.put(a_route(90))
        await asyncio.sleep(0.1)

        assert [80, 20] == shares(router)


async def test_the_newest_intent_counts_even_while_an_older_one_is_being_worked_on() -> None:
    async with a_router(*in_release(), settle_s=0.0) as router:
        router.desks.take(wish(20))
        router.desks.take(wish(40))
        await asyncio.sleep(0.5)

        assert [60, 40] == shares(router)
        assert wish(40).id == router.last.intent


async def test_an_intent_of_an_outdated_view_replaces_nothing() -> None:
    """Two analyzers may be awake; the one that fell behind does not move traffic."""
    async with a_router(*in_release(), settle_s=0.0) as router:
        await router.take(wish(40, stamp=20.0))
        await router.take(wish(20, stamp=10.0))

        assert [60, 40] == shares(router)


async def test_a_canary_of_the_same_name_begins_anew() -> None:
    """Its status is empty, so that its intent looks older; what the other one planned is off."""
    again = CanaryRef(REF.namespace, REF.name, "another-uid")
    async with a_router(*in_release()) as router:
        await router.take(wish(0, canary="parked", stamp=1.0), for_s=2.0)
        await router.take(msgspec.structs.replace(wish(0, stamp=0.0), canary=again), for_s=5.0)

        assert (1, 2) == (len(router.desks), replicas(router))
        assert "belongs to an earlier Canary" in router.last.waiting


async def test_canaries_are_worked_on_side_by_side() -> None:
    """One that cannot go on keeps no other one waiting."""
    async with a_router(*in_release()) as router:
        other = CanaryRef("shop", "other", "u2")
        stuck = msgspec.structs.replace(wish(20, mesh="istoi"), canary=other)
        router.desks.take(stuck)
        await router.take(wish(20))

        assert {"other": "UnknownMesh", "web": ""} == {
            news.canary.name: news.refused for news in router.news
        }


# --- parking -------------------------------------------------------------------------------------


async def test_the_canary_is_kept_as_long_as_proxies_take_to_follow() -> None:
    async with a_router(*in_release(40)) as router:
        await router.take(wish(0, canary="parked"), for_s=2.9)
        assert ([100], 2, False) == (shares(router), replicas(router), router.last.settled)

        await asyncio.sleep(0.2)

        assert (0, True) == (replicas(router), router.last.settled)


async def test_what_is_tidied_up_later_keeps_nobody_waiting() -> None:
    """The primary's autoscaler is held for two minutes more, and the canary is settled all the
    same."""
    reference = AutoscalerRef(kind="HorizontalPodAutoscaler", name="web")
    source = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 9,
        },
    }
    twin = floors.held(hpa.primary(source, reference, REF), 2, hpa)
    ref = ref_of(twin)
    async with a_router(*in_release(0), source, twin) as router:
        await router.take(wish(0, canary="parked", autoscaler=reference), for_s=5.0)
        assert router.last.settled
        assert 2 == hpa.least(router.cluster.objects[ref])

        await asyncio.sleep(120.0)

        assert 1 == hpa.least(router.cluster.objects[ref])


async def test_after_a_restart_proxies_are_given_their_time_again() -> None:
    """When the routes were changed died with the process."""
    async with a_router(*in_release(0)) as router:
        await router.take(wish(0, canary="parked"), for_s=2.9)
        assert 2 == replicas(router)
        await asyncio.sleep(0.2)
        assert 0 == replicas(router)


async def test_after_a_restart_what_the_bus_knows_already_is_not_told_again() -> None:
    """Intervals count from the first time that routes were told to be true."""
    async with a_router(*in_release(20)) as before:
        await before.take(wish(20))
        told = before.last
        async with a_router(*in_release(20), broker=before.broker) as after:
            await after.take(wish(20), for_s=30.0)
            assert told == after.last

            await after.take(wish(40))
            assert wish(40).id == after.last.intent


async def test_a_bus_that_lost_its_memory_is_told_again() -> None:
    """An analyzer that starts later would wait for ever for what nobody says again."""
    async with a_router(*in_release(20)) as router:
        await router.take(wish(20))
        router.broker.lose_everything()
        await asyncio.sleep(0.5)

        assert [True] == [news.settled for news in router.news]


async def test_of_several_replicas_each_works_on_its_own_canaries() -> None:
    """The newest intent of the others is kept, so a hand-over asks nobody anything."""
    hands = Hands()
    async with a_router(*in_release(0), share=hands, settle_s=0.0) as router:
        await router.take(wish(40, stamp=2.0))
        await router.take(wish(20, stamp=1.0))
        assert ([], []) == (router.asked(), router.news)

        hands.give("shop/web")
        await asyncio.sleep(0.5)
        assert [60, 40] == shares(router)

        hands.give()
        router.cluster.put(a_route(90))
        await asyncio.sleep(60.0)
        assert (0, 10) == (len(router.desks), shares(router)[0])

        hands.give("shop/web")
        await asyncio.sleep(0.5)
        assert [60, 40] == shares(router)


async def test_an_edit_of_the_route_starts_the_wait_anew() -> None:
    async with a_router(*in_release(40)) as router:
        await router.take(wish(0, canary="parked"), for_s=2.0)
        router.cluster.put(a_route(10))
        await asyncio.sleep(2.0)
        assert 2 == replicas(router)
        await asyncio.sleep(1.2)
        assert 0 == replicas(router)


async def test_a_canary_that_somebody_wakes_is_let_until_there_is_another_intent() -> None:
    async with a_router(*in_release(0)) as router:
        await router.take(wish(0, canary="parked"), for_s=5.0)
        router.cluster.edit(TARGET, spec={"replicas": 2})
        await asyncio.sleep(60.0)
        assert 2 == replicas(router)

        await router.take(wish(0, canary="parked", progress_deadline_s=60), for_s=60.0)

        assert 0 == replicas(router)


async def test_the_same_wish_parks_again_after_another_one() -> None:
    async with a_router(*in_release(0)) as router:
        await router.take(wish(0, canary="parked"), for_s=5.0)
        await router.take(wish(0, canary="running"), for_s=5.0)
        assert 0 < replicas(router)

        await router.take(wish(0, canary="parked"), for_s=5.0)

        assert 0 == replicas(router)


async def test_the_operator_may_set_the_settling_time() -> None:
    async with a_router(*in_release(40), settle_s=0.0) as router:
        await router.take(wish(0, canary="parked"), for_s=0.1)

        assert 0 == replicas(router)


# --- refusals and errors -------------------------------------------------------------------------


async def test_a_refusal_is_a_fact_and_is_told_once() -> None:
    async with a_router(*in_release(20)) as router:
        diverged = wish(20, promote=True, revision="s1-something")
        await router.take(diverged)
        router.cluster.edit(TARGET, metadata={"annotations": {"x": "1"}})
        await asyncio.sleep(60.0)

        assert ["Diverged"] == [fact.reason for fact in router.refusals]
        assert router.last.error == router.refusals[0].why
        assert ("Diverged", False) == (router.last.refused, router.last.settled)
        assert [] == router.asked()

        await router.take(wish(40, promote=True, revision="s1-something"))
        assert ["Diverged", "Diverged"] == [fact.reason for fact in router.refusals]
        assert 2 == len({fact.id for fact in router.refusals})


async def test_what_was_refused_is_done_once_its_reason_is_gone() -> None:
    newer = in_release(20, image="example.test/web:3")
    async with a_router(*newer) as router:
        await router.take(wish(20, promote=True))
        assert "Diverged" == router.last.refused

        router.cluster.put(a_target())
        await asyncio.sleep(0.1)

        assert [("patch", "Deployment/web-primary")] == router.asked()


@pytest.mark.parametrize(
    ("error", "text", "again_after_s"),
    [
        (Unreachable("the API server is away"), "the API server is away", 1.0),
        (Denied("not allowed"), "TraefikService web.shop update error: not allowed", 30.0),
        (Invalid("wrong value"), "TraefikService web.shop update error: wrong value", 30.0),
    ],
)
async def test_an_error_is_told_in_full_and_tried_again_in_its_time(
    error: Exception, text: str, again_after_s: float
) -> None:
    async with a_router(*in_release(), settle_s=0.0) as router:
        router.cluster.failures = [error]
        await router.take(wish(20), for_s=again_after_s - 0.1)
        assert (text, False, [100]) == (router.last.error, router.last.settled, shares(router))

        await asyncio.sleep(0.2)

        assert ([80, 20], "") == (shares(router), router.last.error)


async def test_an_api_server_that_stays_away_is_asked_ever_more_rarely() -> None:
    async with a_router(*in_release()) as router:
        router.cluster.failures = [Unreachable("away") for _ in range(1000)]
        await router.take(wish(20), for_s=600.0)

        assert 10 < len(router.asked()) < 20


async def test_patience_is_measured_anew_after_success_and_with_each_intent() -> None:
    async with a_router(*in_release()) as router:
        for weight in (20, 40):
            router.cluster.failures = [Unreachable("away") for _ in range(5)]
            await router.take(wish(weight), for_s=300.0)
            assert [100 - weight, weight] == shares(router)
        router.cluster.failures = [Unreachable("away") for _ in range(1000)]
        await router.take(wish(60), for_s=600.0)

        router.cluster.failures = [Unreachable("away")]
        await router.take(wish(80), for_s=1.5)
        assert [20, 80] == shares(router)
        router.cluster.failures = [Unreachable("away")]
        router.cluster.put(a_route(90))
        await asyncio.sleep(1.5)

        assert [20, 80] == shares(router)


async def test_a_target_that_is_missing_is_an_error_and_no_refusal() -> None:
    """Somebody is about to create it."""
    nowhere = msgspec.structs.replace(exposed(), selector=None)
    async with a_router() as router:
        await router.take(wish(0, exposure=nowhere, selector=None))

        assert "deployment web.shop not found" == router.last.error
        assert [] == router.refusals


async def test_a_bug_about_one_canary_is_told_and_keeps_the_others_going(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with a_router(*in_release(), settle_s=0.0) as router:
        router.cluster.failures = [KeyError("metadata")]
        await router.take(wish(20), for_s=0.5)
        assert "metadata" in router.last.error
        await asyncio.sleep(1.0)

        assert [80, 20] == shares(router)
    assert "converging failed" in caplog.text


async def test_a_mesh_that_is_not_installed_is_named() -> None:
    async with a_router(a_target(), a_primary(), *the_services()) as router:
        router.cluster.unserved = {"TraefikService"}
        await router.take(wish(0))

        assert "the API server does not serve TraefikService" in router.last.error


async def test_a_mesh_that_gets_installed_is_used_soon() -> None:
    async with a_router(a_target(), a_primary(), *the_services()) as router:
        router.cluster.unserved = {"TraefikService"}
        await router.take(wish(0), for_s=60.0)
        router.cluster.unserved = set()
        await asyncio.sleep(30.0)

        assert router.last.settled


async def test_nothing_is_done_before_all_that_is_there_was_listed() -> None:
    """An empty list looks like an empty cluster, in which everything is to be made."""
    async with a_router(*in_release(20)) as router:
        router.cluster.hidden = {"TraefikService"}
        await router.take(wish(20), for_s=20.0)
        assert ([], "no list of TraefikService yet") == (router.asked(), router.last.error)

        router.cluster.hidden = set()
        await asyncio.sleep(30.0)

        assert ([], True) == (router.asked(), router.last.settled)


async def test_a_write_that_lost_a_race_is_planned_anew_from_the_newest_object() -> None:
    async with a_router(*in_release(40)) as router:
        await router.take(wish(40))
        router.cluster.silent_edit(TARGET, spec={"replicas": 3})
        await router.take(wish(0, canary="parked"), for_s=5.0)

        assert [("apply", "TraefikService/web")] == router.asked()[:1]
        assert (0, True) == (replicas(router), router.last.settled)


async def test_the_copies_of_a_promotion_are_written_once() -> None:
    """A change of the primary in the middle has the plan made anew, not the copies."""
    target = using_config("a")
    config = a_config_map("a", {"x": "2"})
    revision = template_hash(target["spec"]["template"])
    intent = wish(60, promote=True, revision=revision, configs={"configmap/a": checksum(config)})
    async with a_router(target, config, a_primary(), a_route(60), *the_services()) as router:
        router.cluster.failures_of = {("patch", "Deployment/web-primary"): [Unreachable("away")]}
        await router.take(intent, for_s=5.0)

        asked = router.asked()
        assert 1 == asked.count(("create", "ConfigMap/a-primary"))
        assert 2 == asked.count(("patch", "Deployment/web-primary"))
        assert revision == router.last.primary_revision


async def test_a_config_that_changed_under_a_promotion_is_read_again_for_the_next_intent() -> None:
    target = using_config("a")
    revision = template_hash(target["spec"]["template"])
    old, new = (a_config_map("a", {"x": x}) for x in "23")
    async with a_router(target, old, a_primary(), a_route(60), *the_services()) as router:
        router.cluster.latency_s = 0.2
        wanted = {"promote": True, "revision": revision}
        await router.take(wish(60, configs={"configmap/a": checksum(old)}, **wanted), for_s=0.3)
        router.cluster.put(new)
        await router.take(wish(60, configs={"configmap/a": checksum(new)}, **wanted), for_s=5.0)

        assert ([], revision) == (router.refusals, router.last.primary_revision)
        copied = router.cluster.objects[Ref("v1", "ConfigMap", "shop", "a-primary")]
        assert {"x": "3"} == copied["data"]


async def test_what_could_not_be_told_is_told_later() -> None:
    async with a_router(*in_release(), settle_s=0.0) as router:
        router.broker.disconnect()
        await router.take(wish(20))
        assert ([80, 20], []) == (shares(router), router.news)

        router.broker.reconnect()
        await asyncio.sleep(30.0)

        assert router.last.settled


# --- deleted canaries, quarrels ------------------------------------------------------------------


async def test_an_intent_that_outlived_its_canary_makes_nothing() -> None:
    async with a_router(a_target(image=OLD_IMAGE)) as router:
        router.cluster.remove(Ref("flagger.app/v1beta1", "Canary", "shop", "web"))
        await router.take(wish(0, revision="", canary="parked"), for_s=60.0)

        assert [("get", "Canary/web")] == router.asked()
        assert 0 == len(router.desks)
        assert [] == router.news


async def test_what_is_collected_with_its_canary_is_not_made_again() -> None:
    async with a_router(*in_release(20)) as router:
        await router.take(wish(20))
        router.cluster.remove(Ref("flagger.app/v1beta1", "Canary", "shop", "web"))
        for ref in (ROUTE, PRIMARY):
            router.cluster.remove(ref)
        await asyncio.sleep(60.0)

        assert ROUTE not in router.cluster.objects
        assert PRIMARY not in router.cluster.objects
        assert 0 == len(router.desks)


async def test_two_controllers_at_odds_do_not_melt_the_api(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody who undoes our weights at once, for ten minutes, is answered ever more slowly."""
    looks: list[Scene] = []

    def counted(scene: Scene) -> Next:
        looks.append(scene)
        return next_step(scene)

    monkeypatch.setattr("serinus.router.desks.next_step", counted)
    async with a_router(*in_release(20)) as router:
        await router.take(wish(20))
        router.cluster.rivals = {ROUTE: a_route(90)}

        router.cluster.put(a_route(90))
        await asyncio.sleep(600.0)

        assert len(router.asked()) < 25
        assert len(looks) < 100
        assert "keeps being changed by somebody else" in router.last.waiting


async def test_a_quarrel_long_ago_is_forgotten() -> None:
    async with a_router(*in_release(20)) as router:
        await router.take(wish(20))
        for _ in range(20):
            for _ in range(2):
                router.cluster.put(a_route(90))
                await asyncio.sleep(0.1)
                assert [80, 20] == shares(router)
            await asyncio.sleep(200.0)


async def test_what_nobody_collects_goes_with_a_canary_that_is_on_hold() -> None:
    """A suspended one is deleted: all but its TrafficRoute is collected, and nothing is made."""
    intent = wish(mesh="kuma", hold=True)
    route = a_route(mesh="kuma")
    del route["metadata"]["ownerReferences"]
    async with a_router(a_target(), a_primary(), route, *the_services()) as router:
        await router.take(intent)
        assert [] == router.asked()

        router.cluster.remove(ref_of(a_canary()))
        for gone in (PRIMARY, *map(ref_of, the_services())):
            router.cluster.remove(gone)
        await asyncio.sleep(1.0)

        assert ("delete", "TrafficRoute/web") in router.asked()
        assert 0 == len(router.desks)


async def test_what_the_primary_ran_is_read_once_and_only_of_its_own_controller() -> None:
    making = Making(canary=REF, selector=APP, revision=OLD)
    template = deployment.primary(a_target(image=OLD_IMAGE), making)["spec"]["template"]
    promoted = deployment.promoted(a_primary(), a_target(), replace(making, revision=NEW))
    sets = [a_replica_set("mine", template, "uid-of-web-primary"), a_replica_set("x", {}, "other")]
    parked = a_target(replicas=0, ready=0)
    async with a_router(parked, promoted, a_route(), *the_services(), *sets) as router:
        await router.take(wish(canary="parked", undo=Undo(revision=OLD, configs={})))

        found = router.cluster.objects[PRIMARY]
        assert OLD_IMAGE == found["spec"]["template"]["spec"]["containers"][0]["image"]
        assert [("patch", "Deployment/web-primary")] == router.asked()
        assert 1 == router.cluster.lists("ReplicaSet")


async def test_what_cannot_be_undone_is_refused_with_the_reason() -> None:
    making = Making(canary=REF, selector=APP, revision=NEW)
    promoted = deployment.promoted(a_primary(), a_target(), making)
    parked = a_target(replicas=0, ready=0)
    async with a_router(parked, promoted, a_route(), *the_services()) as router:
        await router.take(wish(canary="parked", undo=Undo(revision=OLD, configs={})))

        assert ("Lost", False) == (router.last.refused, router.last.settled)
        assert ["Lost"] == [refusal.reason for refusal in router.refusals]
        assert [] == router.asked()


def a_replica_set(name: str, template: Obj, owner: str) -> Obj:
    owners = [{"kind": "Deployment", "name": "web-primary", "uid": owner, "controller": True}]
    labels = a_primary()["spec"]["selector"]["matchLabels"]
    meta = {"name": name, "namespace": "shop", "labels": labels, "ownerReferences": owners}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {**meta, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"template": template},
    }


# --- a Canary that is gone -----------------------------------------------------------------------


async def test_a_service_whose_canary_is_deleted_runs_on_as_it_was_before() -> None:
    """11.3 no. 16: Flagger leaves no pod of it, and a Service of the user's that leads nowhere."""
    mine = the_services("target")
    parked = a_target(replicas=0, ready=0, image=OLD_IMAGE)
    async with a_router(parked, a_primary(ready=3, replicas=3), a_route(), *mine) as router:
        await router.take(wish(revision=OLD, canary="parked"), for_s=60.0)
        assert {"app": "web-primary"} == router.cluster.objects[APEX]["spec"]["selector"]
        router.asked()

        router.cluster.remove(ref_of(a_canary()))
        for gone in (PRIMARY, ROUTE, *map(ref_of, mine[:2])):
            router.cluster.remove(gone)
        await asyncio.sleep(1.0)

        assert 0 < replicas(router)
        assert {"app": "web"} == router.cluster.objects[APEX]["spec"]["selector"]
        assert 0 == len(router.desks)
        assert all(verb in ("get", "patch") for verb, _ in router.asked())


async def test_it_gets_the_size_of_its_primary_while_that_is_still_there() -> None:
    parked = a_target(replicas=0, ready=0, image=OLD_IMAGE)
    services = the_services()
    async with a_router(parked, a_primary(ready=3, replicas=3), a_route(), *services) as router:
        await router.take(wish(revision=OLD, canary="parked"))

        router.cluster.remove(ref_of(a_canary()))
        router.cluster.remove(ref_of(services[0]))
        await asyncio.sleep(1.0)

        assert 3 == replicas(router)


async def test_what_went_before_we_came_is_left_as_it_is() -> None:
    """Its intent is still on the bus; whoever scaled the target to zero since meant it."""
    parked = a_target(replicas=0, ready=0, image=OLD_IMAGE)
    async with a_router(parked) as router:
        router.cluster.remove(ref_of(a_canary()))
        await router.take(wish(revision=OLD, canary="parked"))

        assert 0 == replicas(router)
        assert [("get", "Canary/web")] == router.asked()


async def test_a_canary_on_its_way_out_gives_back_in_its_own_order() -> None:
    """revertOnDeletion: capacity first, and only then the traffic."""
    parked = a_target(replicas=0, ready=0, image=OLD_IMAGE)
    services = the_services()
    async with a_router(parked, a_primary(), a_route(), *services) as router:
        await router.take(wish(revision=OLD, canary="parked"))

        leaving = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}
        router.cluster.edit(ref_of(a_canary()), metadata=leaving)
        router.cluster.remove(ref_of(services[0]))
        await asyncio.sleep(1.0)

        assert 0 == replicas(router)


# --- a stand-in -----------------------------------------------------------------------------------


async def test_a_target_that_is_woken_beside_its_stand_in_rests_once_in_a_step() -> None:
    """A manifest with replicas is applied again and again: we do not fight it, and no request is
    for its pods."""
    running = trying(20, stamp=1.0)
    objects = [*on_standin(), a_primary(), a_route(20), a_standin(), a_target(ready=0, replicas=2)]
    async with a_router(*objects) as router:
        await router.take(running, for_s=10.0)
        assert replicas(router) == 0

        router.cluster.edit(TARGET, spec={"replicas": 2})
        await asyncio.sleep(60.0)
        assert replicas(router) == 2
        assert router.last.settled

        await router.take(trying(40, stamp=2.0), for_s=10.0)
        assert replicas(router) == 0


@pytest.mark.parametrize("mesh", ["traefik", "nginx"])
async def test_what_has_to_go_before_a_canary_does_goes_while_that_is_on_its_way_out(
    mesh: str,
) -> None:
    """Nothing is made for a Canary that is being deleted; what would outlive it is deleted."""
    leaving = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}
    over = laid_over(an_ingress(), {"metadata": {"name": "public-canary"}})
    over["metadata"]["ownerReferences"] = [owner_reference(REF)]
    objects = [a_target(), a_primary(), *on_standin()]
    objects += [a_standin(), a_route()] if mesh == "traefik" else [an_ingress(), over]
    exposure = replace(exposed(mesh), ingress=ObjectRef(kind="Ingress", name="public"))
    async with a_router(*objects) as router:
        router.cluster.edit(ref_of(a_canary()), metadata=leaving)
        await router.take(wish(canary="as-is", release=True, exposure=exposure), for_s=30.0)

        gone = STANDIN if mesh == "traefik" else ref_of(over)
        assert gone not in router.cluster.objects
        assert router.last.settled
