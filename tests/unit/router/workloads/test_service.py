"""Services as targets: two copies, and the routes between them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import REF
from tests.unit.router.core.scenes import a_route, planned, whys, wish, world

from serinus.events import ObjectRef
from serinus.kube.refs import Obj
from serinus.kube.revision import revised, template_hash
from serinus.router.core.objects import PROMOTED_REVISION, Refusal
from serinus.router.workloads import service
from serinus.router.workloads.primary import Making

TARGET = ObjectRef(api_version="v1", kind="Service", name="web")


def outside(host: str = "v1.example.com", **meta: Any) -> Obj:
    """The target of the recorded run target-service-istio."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, **meta},
        "spec": {
            "type": "ExternalName",
            "externalName": host,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}],
        },
    }


def inside(version: str = "v1", address: str = "10.0.0.1") -> Obj:
    return {
        **outside(),
        "spec": {
            "type": "ClusterIP",
            "selector": {"version": version},
            "ports": [{"name": "http", "port": 80}],
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": ["IPv4"],
        },
    }


def hash_of(target: Obj) -> str:
    return template_hash(revised(target), kind="Service")


def making(target: Obj) -> Making:
    return Making(canary=REF, revision=hash_of(target))


def live(obj: Obj, address: str = "") -> Obj:
    """An object as the API server has it."""
    obj["metadata"] |= {"uid": f"uid-of-{obj['metadata']['name']}", "resourceVersion": "9"}
    if address:
        obj["spec"] |= {"clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"]}
    return obj


def intent(weight: int = 0, target: Obj | None = None, **fields: Any) -> Any:
    revision = hash_of(target or outside())
    return wish(weight, target=TARGET, selector=None, configs=None, revision=revision, **fields)


def copies(promoted: Obj, now: Obj) -> list[Obj]:
    return [live(service.primary(promoted, making(promoted))), live(service.canary(now, None, REF))]


def test_a_new_service_gets_two_copies_and_a_route() -> None:
    """TRACE target-service-istio."""
    steps = planned(intent(canary="parked"), world(outside())).steps

    assert ["web-canary", "web-primary", "web"] == [step.ref.name for step in steps]
    assert outside()["spec"] == steps[0].whole["spec"] == steps[1].whole["spec"]
    assert {"app": "web"} == steps[1].whole["metadata"]["labels"]
    assert REF.uid == steps[0].whole["metadata"]["ownerReferences"][0]["uid"]


def test_the_users_service_is_never_written() -> None:
    found = world(outside("v2.example.com"))

    steps = planned(intent(canary="parked", target=outside("v2.example.com")), found).steps

    assert "web-canary" == steps[0].ref.name
    assert not [step for step in steps if step.live]


def test_a_service_with_addresses_is_copied_without_them() -> None:
    """11.3 no. 32: with `clusterIPs` in it the API server refused every copy."""
    steps = planned(intent(canary="parked", target=inside()), world(inside())).steps

    assert [{"type", "selector", "ports"}] * 2 == [step.whole["spec"].keys() for step in steps[:2]]


def test_copies_keep_their_own_addresses_and_settle() -> None:
    copy = live(service.canary(inside(), None, REF), "10.0.0.7")

    changed = service.canary(inside("v2"), copy, REF)

    assert ("v2", "10.0.0.7") == (
        changed["spec"]["selector"]["version"],
        changed["spec"]["clusterIP"],
    )
    assert changed == service.canary(inside("v2"), changed, REF)


def test_a_headless_service_has_headless_copies() -> None:
    headless = inside(address="None")

    assert "None" == service.canary(headless, None, REF)["spec"]["clusterIP"]


def test_node_ports_are_each_services_own() -> None:
    target = inside()
    target["spec"] |= {
        "type": "NodePort",
        "ports": [{"name": "http", "port": 80, "nodePort": 30001}],
    }
    copy = service.canary(target, None, REF)
    assert "nodePort" not in copy["spec"]["ports"][0]

    live(copy, "10.0.0.7")["spec"]["ports"][0]["nodePort"] = 30002

    assert copy == service.canary(target, copy, REF)


def test_the_canarys_copy_changes_only_while_it_has_no_share() -> None:
    old, new = outside(), outside("v2.example.com")
    objects = (*copies(old, old), new)

    assert [] == whys(intent(40, target=old, canary="running"), world(*objects, a_route(40)))
    restarted = intent(0, target=new, canary="running")
    assert ["routes 100/0", "canary service"] == whys(restarted, world(*objects, a_route(40)))


def test_promotion_leads_the_primary_where_the_target_leads() -> None:
    old, new = outside(), outside("v2.example.com")
    found = world(*copies(old, new), new, a_route(50))

    (step,) = planned(intent(50, target=new, canary="running", promote=True), found).steps

    assert ("web-primary", "v2.example.com") == (step.ref.name, step.whole["spec"]["externalName"])
    assert hash_of(new) == step.whole["metadata"]["annotations"][PROMOTED_REVISION]
    owners = [owner["uid"] for owner in step.whole["metadata"]["ownerReferences"]]
    assert [REF.uid] == owners


def test_a_primary_that_somebody_else_made_is_adopted() -> None:
    primary, canary = copies(outside(), outside())
    del primary["metadata"]["annotations"]

    assert ["primary adopted"] == whys(intent(), world(primary, canary, outside(), a_route()))


def test_a_service_of_another_name_is_refused() -> None:
    odd = ObjectRef(api_version="v1", kind="Service", name="shop")

    with pytest.raises(Refusal, match="the name of the Service that is the target"):
        planned(wish(target=odd, selector=None), world())
