"""HTTPRoutes, as the Gateway API defines them and as Flagger wrote them."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from tests.builders import an_exposure
from tests.unit.router.meshes.recorded import Recorded, recorded

from serinus.events import Cookies, Exposure, ObjectRef, Routes
from serinus.events.canary import (
    GatewayRef,
    HeaderOperations,
    Headers,
    HttpMatch,
    MirrorBackendRef,
    ServiceSpec,
    SessionAffinity,
    StaticMirror,
    StringMatch,
)
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet, Refusal
from serinus.router.meshes.gatewayapi import V1, V1BETA1, GatewayApi

GATEWAY = GatewayRef(name="gateway", namespace="ingress")


def exposed(mesh: str = "gatewayapi:v1", **service: Any) -> Exposure:
    spec = ServiceSpec(**{"port": 80, "gateway_refs": (GATEWAY,), **service})
    return an_exposure(mesh, service=spec)


EXPOSURE = exposed()


def rendered(routes: Routes, exposure: Exposure = EXPOSURE, mesh: GatewayApi = V1) -> Obj:
    (found,) = mesh.render(exposure, routes, Live())
    return found


def reported(route: Obj, *, generation: int = 2, **parent: Any) -> Live:
    """The route with a generation and one parent's report."""
    accepted = {"type": "Accepted", "status": "True", "observedGeneration": generation}
    accepted |= parent.pop("accepted", {})
    reference = {"name": "gateway", "namespace": "ingress", **parent}
    route["metadata"]["generation"] = generation
    route["status"] = {"parents": [{"parentRef": reference, "conditions": [accepted]}]}
    return Live({ref_of(route): route})


@pytest.mark.parametrize("case", recorded("gatewayapi.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    mesh = {"gatewayapi:v1": V1, "gatewayapi:v1beta1": V1BETA1}[case.mesh]

    (found,) = mesh.render(case.exposure, case.routes, Live())

    assert case.object == found


def test_without_a_gateway_it_says_what_is_missing() -> None:
    exposure = exposed(gateway_refs=())

    with pytest.raises(Refusal, match="GatewayRefs must be specified when using Gateway API"):
        V1.render(exposure, Routes(), Live())


def test_headers_of_one_match_are_written_in_one_order() -> None:
    """BUG 33: Flagger writes them in random order and takes a changed order for drift."""
    names = ["x-c", "x-a", "x-d", "x-b"]
    match = HttpMatch(headers={name: StringMatch(exact="1") for name in names})

    rule = rendered(Routes(), exposed(match=(match,)))["spec"]["rules"][0]

    assert sorted(names) == [header["name"] for header in rule["matches"][0]["headers"]]


def test_repairing_a_route_keeps_the_weights_of_the_moment() -> None:
    """BUG 5: Flagger writes 100/0 whenever anything in the object differs."""
    route = rendered(Routes(primary=70, canary=30))
    route["spec"]["hostnames"] = ["edited.example.com"]

    (again,) = V1.render(EXPOSURE, Routes(primary=70, canary=30), Live({ref_of(route): route}))

    assert [70, 30] == [b["weight"] for b in again["spec"]["rules"][0]["backendRefs"]]
    assert "hostnames" not in again["spec"]


def test_a_mirror_ends_with_the_routes_that_asked_for_it() -> None:
    route = rendered(Routes(mirror=True))
    assert V1.observe(EXPOSURE, Routes(), Live({ref_of(route): route})) == Routes(mirror=True)

    (again,) = V1.render(EXPOSURE, Routes(), Live({ref_of(route): route}))

    assert "filters" not in again["spec"]["rules"][0]


def test_a_static_mirror_is_not_taken_for_the_canarys() -> None:
    audit = StaticMirror(backend_ref=MirrorBackendRef(name="audit", port=80))
    exposure = exposed(mirror=(audit,))
    route = rendered(Routes(), exposure)

    assert "audit" in str(route["spec"]["rules"][0]["filters"])
    assert Routes() == V1.observe(exposure, Routes(), Live({ref_of(route): route}))


def test_ab_requests_that_do_not_match_stay_on_the_primary() -> None:
    condition = HttpMatch(headers={"x-canary": StringMatch(exact="insider")})
    exposure = msgspec.structs.replace(EXPOSURE, match=(condition,))

    matched, rest = rendered(Routes(primary=0, canary=100), exposure)["spec"]["rules"]

    assert ["web-primary", "web-canary"] == [b["name"] for b in matched["backendRefs"]]
    assert [("web-primary", 100)] == [(b["name"], b["weight"]) for b in rest["backendRefs"]]


@pytest.mark.parametrize(
    "condition",
    [
        HttpMatch(source_labels={"app": "shop"}),
        HttpMatch(uri=StringMatch(prefix="/beta")),
        HttpMatch(headers={"a": StringMatch(exact="1")}, scheme=StringMatch(exact="https")),
    ],
)
def test_an_ab_condition_that_cannot_be_tested_is_refused(condition: HttpMatch) -> None:
    """Left out, it would send everybody to the canary."""
    exposure = msgspec.structs.replace(EXPOSURE, match=(condition,))

    with pytest.raises(Refusal, match="Gateway API can match by headers and queryParams"):
        V1.render(exposure, Routes(), Live())


def test_only_v1_has_timeouts_and_cors() -> None:
    service = {"timeout": "12s", "backend_timeout": "3s"}

    rule = rendered(Routes(), exposed(**service))["spec"]["rules"][0]
    older = rendered(Routes(), exposed(**service), V1BETA1)["spec"]["rules"][0]

    assert {"request": "12s", "backendRequest": "3s"} == rule["timeouts"]
    assert "timeouts" not in older


def test_a_sticky_canary_keeps_who_it_has_while_it_has_a_share() -> None:
    cookies = Cookies(settings=SessionAffinity(cookie_name="c"), canary="c=abc")

    sticky, weighted = rendered(Routes(primary=70, canary=30, cookies=cookies))["spec"]["rules"]

    assert [0, 100] == [b["weight"] for b in sticky["backendRefs"]]
    header = sticky["matches"][0]["headers"][0]
    assert ("Cookie", ".*c.*abc.*") == (header["name"], header["value"])
    assert [70, 30] == [b["weight"] for b in weighted["backendRefs"]]


def test_observing_sticky_rules_finds_the_weighted_one() -> None:
    settings = SessionAffinity(cookie_name="c", primary_cookie_name="p")
    cookies = Cookies(settings=settings, canary="c=abc", primary="p=xyz")
    routes = Routes(primary=70, canary=30, cookies=cookies)
    route = rendered(routes)

    assert routes == V1.observe(EXPOSURE, routes, Live({ref_of(route): route}))


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ({"observedGeneration": 1}, "(status: True, observed generation: 1, "),
        ({"status": "False"}, "(status: False, observed generation: 2, "),
        ({"type": "Other"}, "(status: , observed generation: 0, "),
    ],
)
def test_a_route_counts_only_when_its_gateway_accepted_it(accepted: Obj, said: str) -> None:
    live = reported(rendered(Routes(primary=80, canary=20)), accepted=accepted)

    seen = V1.observe(EXPOSURE, Routes(), live)

    text = f"HTTPRoute web.shop parent gateway is not ready {said}current generation: 2)"
    assert NotYet(text, Routes(primary=80, canary=20)) == seen


def test_an_accepted_route_is_what_it_says() -> None:
    live = reported(rendered(Routes(primary=80, canary=20)))

    assert Routes(primary=80, canary=20) == V1.observe(EXPOSURE, Routes(), live)


def test_a_parent_that_is_not_ours_is_not_waited_for() -> None:
    refused = {"status": "False"}
    live = reported(rendered(Routes()), name="another", accepted=refused)

    assert Routes() == V1.observe(EXPOSURE, Routes(), live)


def test_v1beta1_does_not_wait_for_the_gateway() -> None:
    exposure = exposed("gatewayapi:v1beta1")
    live = reported(rendered(Routes(), exposure, V1BETA1), accepted={"status": "False"})

    assert Routes() == V1BETA1.observe(exposure, Routes(), live)


def test_a_route_that_names_neither_backend_is_not_there_yet() -> None:
    route = rendered(Routes())
    route["spec"]["rules"][0]["backendRefs"] = [{"name": "web", "port": 80}]

    seen = V1.observe(EXPOSURE, Routes(), Live({ref_of(route): route}))

    assert isinstance(seen, NotYet)
    assert "does not contain routes for web-primary and web-canary" in seen.why


def test_a_percentage_is_mirrored_where_the_api_has_one() -> None:
    """Flagger mirrors every request whatever mirrorWeight says."""
    routes = Routes(mirror=True, mirror_weight=40)

    (found,) = rendered(routes)["spec"]["rules"][0]["filters"]
    (every,) = rendered(Routes(mirror=True))["spec"]["rules"][0]["filters"]
    (older,) = rendered(routes, mesh=V1BETA1)["spec"]["rules"][0]["filters"]

    assert 40 == found["requestMirror"]["percent"]
    assert "percent" not in every["requestMirror"]
    assert "percent" not in older["requestMirror"]


@pytest.mark.parametrize(
    ("service", "kind"),
    [
        ({}, "HTTPRoute"),
        ({"app_protocol": "grpc"}, "HTTPRoute"),
        ({"route_kind": "GRPCRoute"}, "GRPCRoute"),
        ({"app_protocol": "TCP"}, "TCPRoute"),
        ({"app_protocol": "tcp", "route_kind": "HTTPRoute"}, "HTTPRoute"),
        ({"route_kind": "TCPRoute"}, "TCPRoute"),
    ],
)
def test_the_manifest_chooses_the_kind_of_route(service: Any, kind: str) -> None:
    exposure = exposed(**service)
    routes = Routes(primary=70, canary=30)

    route = rendered(routes, exposure)

    assert kind == route["kind"]
    assert (ref_of(route),) == tuple(V1.needs(exposure))
    assert routes == V1.observe(exposure, routes, Live({ref_of(route): route}))


def test_other_kinds_need_v1() -> None:
    with pytest.raises(Refusal, match="TCPRoute needs provider gatewayapi:v1"):
        rendered(Routes(), exposed(app_protocol="tcp"), V1BETA1)


def test_calls_that_do_not_match_stay_on_the_primary() -> None:
    condition = HttpMatch(headers={"x-canary": StringMatch(exact="insider")})
    exposure = msgspec.structs.replace(exposed(route_kind="GRPCRoute"), match=(condition,))
    routes = Routes(primary=0, canary=100, match=(condition,))

    route = rendered(routes, exposure)
    matched, rest = route["spec"]["rules"]

    assert ["web-primary", "web-canary"] == [b["name"] for b in matched["backendRefs"]]
    assert [("web-primary", 100)] == [(b["name"], b["weight"]) for b in rest["backendRefs"]]
    assert "matches" not in rest
    assert routes == V1.observe(exposure, routes, Live({ref_of(route): route}))


@pytest.mark.parametrize(
    ("service", "routes"),
    [
        (
            {"route_kind": "GRPCRoute"},
            Routes(cookies=Cookies(settings=SessionAffinity(cookie_name="c"))),
        ),
        ({"app_protocol": "tcp"}, Routes(mirror=True)),
        (
            {"app_protocol": "tcp"},
            Routes(match=(HttpMatch(headers={"a": StringMatch(exact="1")}),)),
        ),
    ],
)
def test_what_a_kind_cannot_do_is_refused(service: Any, routes: Routes) -> None:
    with pytest.raises(Refusal, match=r"no session affinity|split by weight only"):
        rendered(routes, exposed(**service))


def test_a_refusal_of_the_gateway_names_the_kind() -> None:
    exposure = exposed(route_kind="GRPCRoute")
    live = reported(rendered(Routes(), exposure), accepted={"status": "False"})

    seen = V1.observe(exposure, Routes(), live)

    assert isinstance(seen, NotYet)
    assert seen.why.startswith("GRPCRoute web.shop parent gateway is not ready")


def test_a_route_of_the_users_is_shared_where_it_is() -> None:
    """It needs no gatewayRefs: the route has its parents already."""
    backend = {"group": "", "kind": "Service", "name": "web", "port": 80, "weight": 1}
    public: Obj = {
        "apiVersion": V1.api_version,
        "kind": "HTTPRoute",
        "metadata": {"name": "public", "namespace": "shop"},
        "spec": {"parentRefs": [{"name": "gateway", "namespace": "ingress"}]},
    }
    public["spec"]["rules"] = [{"backendRefs": [backend]}]
    exposure = an_exposure(route=ObjectRef(kind="HTTPRoute", name="public"))
    routes = Routes(primary=80, canary=20)

    (found,) = V1.render(exposure, routes, Live({ref_of(public): public}))

    shares = [(b["name"], b["weight"]) for b in found["spec"]["rules"][0]["backendRefs"]]
    assert [("web-primary", 80), ("web-canary", 20)] == shares
    assert routes == V1.observe(exposure, routes, reported(found))
    refused = reported(found, accepted={"status": "False"})
    assert isinstance(V1.observe(exposure, routes, refused), NotYet)
    (given,) = V1.release(exposure, Live({ref_of(found): found}))
    assert isinstance(given, dict)
    assert public["spec"] == given["spec"]


def test_taking_a_cookie_back_keeps_to_one_modifier_of_response_headers() -> None:
    """The API refuses a second one."""
    response = Headers(response=HeaderOperations(add={"x-a": "1"}))
    settings = SessionAffinity(cookie_name="c")
    routes = Routes(cookies=Cookies(settings=settings, previous="c=old"))

    old, _ = rendered(routes, exposed(headers=response))["spec"]["rules"]

    (modifier,) = (f for f in old["filters"] if f["type"] == "ResponseHeaderModifier")
    added = [one["name"] for one in modifier["responseHeaderModifier"]["add"]]
    assert ["x-a", "Set-Cookie"] == added


SEVERAL = an_exposure(
    "gatewayapi:v1",
    ports={"metrics": 9090, "old": 7070},
    service=ServiceSpec(
        port=80,
        hosts=("a.test",),
        gateway_refs=(
            GatewayRef(name="public"),
            GatewayRef(group="", kind="Service", name="web", port=9090),
        ),
    ),
)


def test_each_port_that_parents_lead_to_has_a_route_of_its_own() -> None:
    routes = Routes(primary=80, canary=20)

    first, second = V1.render(SEVERAL, routes, Live())

    assert ["web", "web-9090"] == [obj["metadata"]["name"] for obj in (first, second)]
    assert ["public", "web"] == [obj["spec"]["parentRefs"][0]["name"] for obj in (first, second)]
    assert [[(80, 80), (80, 20)], [(9090, 80), (9090, 20)]] == [
        [(b["port"], b["weight"]) for b in obj["spec"]["rules"][0]["backendRefs"]]
        for obj in (first, second)
    ]
    found = Live({ref_of(obj): obj for obj in (first, second)})
    assert routes == V1.observe(SEVERAL, routes, found)
    gone = [Gone(ref_of(obj)) for obj in (first, second)]
    assert gone == list(V1.release(SEVERAL, found))


def test_routes_of_several_ports_count_when_all_of_them_say_the_same() -> None:
    before = list(V1.render(SEVERAL, Routes(), Live()))
    after = list(V1.render(SEVERAL, Routes(primary=80, canary=20), Live()))

    half = Live({ref_of(obj): obj for obj in (after[0], before[1])})

    seen = V1.observe(SEVERAL, Routes(), half)
    assert isinstance(seen, NotYet)
    assert ("do not agree" in seen.why, Routes(primary=80, canary=20)) == (True, seen.routes)
    none = V1.observe(SEVERAL, Routes(), Live({ref_of(after[0]): after[0]}))
    why = "HTTPRoute web-9090.shop does not exist yet"
    assert NotYet(why, Routes(primary=80, canary=20)) == none


def test_a_route_of_a_port_that_nobody_asks_for_any_more_must_not_keep_the_canarys_share() -> None:
    """Its pods are about to go."""
    routes = Routes(primary=80, canary=20)
    left = copy.deepcopy(list(V1.render(SEVERAL, routes, Live()))[1])
    left["metadata"]["name"] = "web-7070"
    made = V1.render(SEVERAL, routes, Live())
    found = Live({ref_of(obj): obj for obj in (*made, left)})

    seen = V1.observe(SEVERAL, routes, found)

    assert isinstance(seen, NotYet)
    assert "web-7070" in seen.why
    assert "delete it" in seen.why


def test_a_gateway_that_cannot_reach_our_backends_is_waited_for_and_not_the_users() -> None:
    missing = {"type": "ResolvedRefs", "status": "False", "observedGeneration": 2, "message": "no"}
    split = Routes(primary=80, canary=20)
    mine = copy.deepcopy(rendered(split))
    mine["metadata"]["generation"] = 2
    mine["status"] = {"parents": [{"parentRef": {"name": "gateway"}, "conditions": [missing]}]}

    seen = V1.observe(EXPOSURE, split, Live({ref_of(mine): mine}))

    assert isinstance(seen, NotYet)
    assert ("cannot reach its backends: no" in seen.why, split) == (True, seen.routes)
    theirs = an_exposure("gatewayapi:v1", route=ObjectRef(kind="HTTPRoute", name="web"))
    assert split == V1.observe(theirs, split, Live({ref_of(mine): mine}))
