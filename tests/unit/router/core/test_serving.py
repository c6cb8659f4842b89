"""Since when pods serve, and what was heard of their addresses."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.router.core.scenes import a_primary, a_route, a_target, at_work, the_services, wish
from tests.unit.router.core.scenes import world as a_world

from serinus.kube.refs import Obj
from serinus.router.core.scene import Scene
from serinus.router.core.serving import Serving, ready_pods
from serinus.router.core.steps import Addresses, World


def a_scene(**target: Any) -> Scene:
    objects = (a_target(**target), a_primary(), a_route(), *the_services())
    return Scene(wish(20), a_world(*objects))


def told(serving: Serving, now: float) -> World:
    return serving.told(at_work(), now)


def endpoint(name: str, ready: bool | None = True, address: str = "10.0.0.1") -> Obj:
    conditions = {} if ready is None else {"ready": ready}
    return {"addresses": [address], "conditions": conditions, "targetRef": {"uid": name}}


def a_slice(*endpoints: Obj) -> Obj:
    return {"kind": "EndpointSlice", "endpoints": list(endpoints) or None}


def test_who_serves_is_timed_from_when_it_was_first_seen() -> None:
    serving = Serving()
    serving.see(a_scene(ready=0), 10.0)
    serving.see(a_scene(), 12.0)
    serving.see(a_scene(), 13.0)
    found = told(serving, 15.0)
    assert (5.0, 3.0) == (found.serving_s, found.canary_serving_s)


def test_a_canary_serves_with_all_the_pods_that_it_waits_for() -> None:
    """Pods of the revision before are none of them."""
    serving = Serving()
    serving.see(a_scene(), 10.0)
    serving.hear(2, 10.0)
    replaced = a_scene(status={"updatedReplicas": 1})
    assert replaced.canary_serves
    serving.see(replaced, 12.0)
    serving.see(a_scene(), 14.0)
    found = told(serving, 15.0)
    assert (1.0, None) == (found.canary_serving_s, found.addresses)


def test_what_was_before_the_first_look_the_cluster_knows() -> None:
    since = {"type": "Available", "status": "True", "lastTransitionTime": "1970-01-01T00:01:00Z"}
    serving = Serving()
    serving.see(a_scene(status={"conditions": [since]}), 10.0, first_at=70.0)
    assert 9.0 == told(serving, 10.0).canary_serving_s


def test_answers_are_counted_and_timed() -> None:
    serving = Serving()
    assert told(serving, 10.0).addresses is None
    serving.hear(0, 10.0)
    serving.hear(2, 11.0)
    assert Addresses(2, times=2, ago_s=0.5) == told(serving, 11.5).addresses


@pytest.mark.parametrize(
    ("slices", "pods"),
    [
        ([], None),
        ([a_slice()], 0),
        ([a_slice(endpoint("a"), endpoint("b", ready=False))], 1),
        ([a_slice(endpoint("a", ready=None))], 1),
        ([a_slice(endpoint("a")), a_slice(endpoint("b"))], 2),
        ([a_slice(endpoint("a")), a_slice(endpoint("a", address="fd00::1"))], 1),
        ([a_slice({"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]})], 2),
    ],
)
def test_pods_are_counted_once_when_they_are_ready(slices: list[Obj], pods: int | None) -> None:
    assert pods == ready_pods(slices)
