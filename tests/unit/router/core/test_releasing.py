"""Putting everything back (reference 2.17)."""

from __future__ import annotations

import msgspec
from tests.builders import an_exposure
from tests.unit.router.core.scenes import (
    APEX,
    OLD_IMAGE,
    ROUTE,
    TARGET,
    a_primary,
    a_route,
    a_target,
    owned,
    planned,
    the_services,
    wish,
    world,
)
from tests.unit.router.meshes.test_nginx import an_ingress

from serinus.events import Intent, ObjectRef, Routes
from serinus.events.canary import AutoscalerRef
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Live
from serinus.router.core.releasing import orphans
from serinus.router.core.steps import Settled, Wait, World
from serinus.router.meshes import kuma, nginx, traefik
from serinus.router.scalers import keda

RELEASE = wish(release=True, canary="as-is")


def parked(ready: int = 0, replicas: int = 0) -> Obj:
    return a_target(image=OLD_IMAGE, ready=ready, replicas=replicas)


def test_the_target_runs_at_the_primarys_size_before_anything_is_moved() -> None:
    found = world(parked(), a_primary(replicas=5, ready=5), a_route(), *the_services("target"))

    step = planned(RELEASE, found).steps[0]

    assert (TARGET, 5) == (step.ref, step.whole["spec"]["replicas"])


def test_a_paused_autoscaler_lets_the_target_come_back() -> None:
    """2.17 no. 2: KEDA would scale the target to zero again."""
    scaled: Obj = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "web-so", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"name": "web"}},
    }
    found = world(parked(), a_primary(), a_route(), *the_services("target"), keda.paused(scaled))
    reference = AutoscalerRef(kind="ScaledObject", name="web-so")

    steps = planned(wish(release=True, canary="as-is", autoscaler=reference), found).steps

    assert ["autoscaler resumed", "target back"] == [step.why for step in steps[:2]]
    assert keda.PAUSED not in steps[0].whole["metadata"]["annotations"]


def test_nothing_is_moved_to_a_target_that_is_not_ready() -> None:
    found = world(parked(replicas=2, ready=1), a_primary(), a_route(), *taken())

    plan = planned(RELEASE, found)

    assert () == plan.steps
    assert isinstance(plan.then, Wait)
    text = "canary not ready during finalizing: canary deployment web.shop not ready: "
    assert plan.then.why.startswith(text)


def taken() -> list[Obj]:
    """The Services, the apex being the user's own and on the primary."""
    found = the_services()
    del found[2]["metadata"]["ownerReferences"]
    return found


def test_the_users_service_gets_its_selector_back_and_the_primary_is_kept_for_a_while() -> None:
    found = world(parked(replicas=2, ready=2), a_primary(), a_route(), *taken())

    plan = planned(RELEASE, found)

    (step,) = plan.steps
    assert (APEX, {"app": "web"}) == (step.ref, step.whole["spec"]["selector"])
    assert isinstance(plan.then, Wait)
    assert 3.0 == plan.then.after_s


def test_it_is_over_when_proxies_have_followed() -> None:
    found = world(parked(replicas=2, ready=2), a_primary(), a_route(), *the_services())

    plan = planned(RELEASE, found)

    assert ((), Settled()) == (plan.steps, plan.then)


def test_a_users_route_is_as_it_was_and_ours_routes_to_the_end() -> None:
    mine: Obj = {
        "apiVersion": traefik.API_VERSION,
        "kind": traefik.KIND,
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "9"},
        "spec": {"weighted": {"services": [{"name": "web", "port": 80, "weight": 1}]}},
    }
    (route,) = traefik.render(RELEASE.exposure, Routes(), Live({ROUTE: mine}))
    found = world(parked(replicas=2, ready=2), a_primary(), route, *the_services())

    (step,) = planned(RELEASE, found).steps

    assert ("routes back", mine) == (step.why, step.whole)


def test_without_a_target_there_is_nothing_to_save() -> None:
    """A namespace that is being deleted must not hang on a finalizer."""
    exposure = msgspec.structs.replace(RELEASE.exposure, selector=None)
    workload = msgspec.structs.replace(RELEASE.workload, selector=None)
    intent = msgspec.structs.replace(RELEASE, exposure=exposure, workload=workload)

    assert Settled() == planned(intent, world()).then


def test_a_parked_target_without_a_primary_wakes_with_one_pod() -> None:
    step = planned(RELEASE, world(parked(), a_route(), *the_services())).steps[0]

    assert 1 == step.whole["spec"]["replicas"]


def over_an_ingress(*extra: Obj) -> tuple[Intent, World]:
    """A Canary on nginx that is being deleted; its canary Ingress is there."""
    ingress = ObjectRef(api_version="networking.k8s.io/v1", kind="Ingress", name="public")
    exposure = an_exposure("nginx", ingress=ingress)
    sources = [an_ingress()]
    routes = Routes(primary=50, canary=50)
    live = Live({ref_of(obj): obj for obj in sources})
    (made,) = nginx.render(exposure, routes, live)
    target = parked(ready=2, replicas=2)
    found = world(target, a_primary(), *sources, owned(made), *the_services("target"), *extra)
    return wish(release=True, canary="as-is", exposure=exposure), found


def test_what_lies_over_the_users_route_goes_when_the_target_serves() -> None:
    """The user's Ingress leads to S, and S to the target again."""
    intent, found = over_an_ingress()

    steps = planned(intent, found).steps

    assert [("delete", "public-canary")] == [(s.verb, s.ref.name) for s in steps]


def test_what_somebody_else_owns_is_not_deleted() -> None:
    intent, found = over_an_ingress()
    ref = ref_of(an_ingress())
    canary = msgspec.structs.replace(ref, name="public-canary")
    foreign = found.live.get(canary)
    assert foreign is not None
    foreign["metadata"]["ownerReferences"][0]["uid"] = "another"

    assert () == planned(intent, found).steps


def test_only_what_nobody_would_collect_outlives_a_canary_as_an_orphan() -> None:
    kuma_wish = wish(exposure=an_exposure("kuma"))
    (route,) = kuma.render(kuma_wish.exposure, Routes(), Live())

    assert [route] == orphans(kuma_wish, Live({ref_of(route): route}))
    assert [] == orphans(kuma_wish, Live())
    assert [] == orphans(wish(), Live({ref_of(a_route()): a_route()}))
