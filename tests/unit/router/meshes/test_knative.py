"""Traffic of Knative Services, as Knative reads it and as Flagger wrote it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import an_exposure

from serinus.events import ObjectRef, Routes
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import LIVE_REVISION, Live, NotYet, Refusal
from serinus.router.meshes import knative

EXPOSURE = an_exposure(
    "knative",
    service=None,
    route=ObjectRef(api_version=knative.API_VERSION, kind="Service", name="web"),
)


def a_service(latest: str = "web-00001", **fields: Any) -> Obj:
    return {
        "apiVersion": knative.API_VERSION,
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "generation": 2},
        "spec": {"template": {"spec": {"containers": [{"image": "example.test/web:1"}]}}},
        "status": {"latestCreatedRevisionName": latest},
        **fields,
    }


def live(*objects: Obj) -> Live:
    return Live({ref_of(obj): obj for obj in objects})


def rendered(routes: Routes, service: Obj) -> Obj:
    (found,) = knative.render(EXPOSURE, routes, live(service))
    return found


def newer(service: Obj) -> Obj:
    return {**service, "status": {"latestCreatedRevisionName": "web-00002"}}


def test_the_first_revision_is_the_live_one_and_gets_everything() -> None:
    """As Flagger initialises it; the template is not touched."""
    found = rendered(Routes(), a_service())

    assert "web-00001" == found["metadata"]["annotations"][LIVE_REVISION]
    assert [
        {"latestRevision": True, "percent": 0},
        {"revisionName": "web-00001", "percent": 100},
    ] == found["spec"]["traffic"]
    assert a_service()["spec"]["template"] == found["spec"]["template"]


def test_a_new_revision_gets_its_share_and_the_live_one_the_rest() -> None:
    found = rendered(Routes(primary=80, canary=20), newer(rendered(Routes(), a_service())))

    assert [
        {"latestRevision": True, "percent": 20},
        {"revisionName": "web-00001", "percent": 80},
    ] == found["spec"]["traffic"]
    seen = knative.observe(EXPOSURE, Routes(), live(found))
    assert Routes(primary=80, canary=20) == seen


@pytest.mark.parametrize(
    "status",
    [
        {"traffic": [{"latestRevision": True, "percent": 100, "revisionName": "web-00001"}]},
        {
            "conditions": [{"type": "RoutesReady", "status": "Unknown"}],
            "observedGeneration": 2,
        },
        {"conditions": [{"type": "RoutesReady", "status": "True"}], "observedGeneration": 1},
    ],
)
def test_traffic_counts_only_when_knative_reports_it(status: Obj) -> None:
    found = rendered(Routes(primary=80, canary=20), a_service())
    found["status"] |= status

    seen = knative.observe(EXPOSURE, Routes(), live(found))

    assert isinstance(seen, NotYet)
    assert Routes(primary=80, canary=20) == seen.routes


def test_reported_traffic_of_this_generation_counts() -> None:
    found = rendered(Routes(primary=80, canary=20), a_service())
    found["status"] |= {
        "observedGeneration": 2,
        "conditions": [{"type": "RoutesReady", "status": "True"}],
        "traffic": [
            {"latestRevision": True, "percent": 20, "revisionName": "web-00002"},
            {"latestRevision": False, "percent": 80, "revisionName": "web-00001"},
        ],
    }

    assert Routes(primary=80, canary=20) == knative.observe(EXPOSURE, Routes(), live(found))


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ([], "knative service web.shop get query error"),
        ([a_service(latest="")], "knative service web.shop has no revision yet"),
    ],
)
def test_a_service_that_cannot_be_split_yet_is_named(objects: list[Obj], said: str) -> None:
    with pytest.raises(Refusal, match=said) as refused:
        knative.render(EXPOSURE, Routes(), live(*objects))

    assert "" == refused.value.reason
    assert isinstance(knative.observe(EXPOSURE, Routes(), live(*objects)), NotYet)


@pytest.mark.parametrize("traffic", [None, [{"latestRevision": True, "percent": 100}]])
def test_releasing_gives_the_traffic_back(traffic: list[Obj] | None) -> None:
    """BUG 13: Flagger ends with a panic, and its finalizer stays for ever."""
    mine = a_service()
    if traffic is not None:
        mine["spec"]["traffic"] = traffic

    taken = rendered(Routes(primary=50, canary=50), rendered(Routes(), mine))

    assert (mine,) == knative.release(EXPOSURE, live(taken))
    assert () == knative.release(EXPOSURE, live(mine))
