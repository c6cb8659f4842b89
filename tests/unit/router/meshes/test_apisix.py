"""ApisixRoutes, as APISIX's controller reads them and as Flagger wrote them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import an_exposure
from tests.unit.router.meshes.recorded import Recorded, recorded

from serinus.events import ObjectRef, Routes
from serinus.events.canary import HttpMatch, StringMatch
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet, Refusal
from serinus.router.meshes import apisix

EXPOSURE = an_exposure(
    "apisix",
    route=ObjectRef(api_version=apisix.API_VERSION, kind=apisix.KIND, name="public"),
)
HALF = Routes(primary=50, canary=50)


def a_rule(service: str = "web", **fields: Any) -> Obj:
    backend = {"serviceName": service, "servicePort": 80}
    return {"name": service, "match": {"paths": ["/*"]}, "backends": [backend], **fields}


def a_route(*rules: Obj) -> Obj:
    return {
        "apiVersion": apisix.API_VERSION,
        "kind": apisix.KIND,
        "metadata": {"name": "public", "namespace": "shop"},
        "spec": {"http": list(rules)},
    }


def live(*objects: Obj) -> Live:
    return Live({ref_of(obj): obj for obj in objects})


def rendered(routes: Routes, *objects: Obj) -> Obj:
    (found,) = apisix.render(EXPOSURE, routes, live(*(objects or [a_route(a_rule())])))
    return found


@pytest.mark.parametrize("case", recorded("apisix.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    (found,) = apisix.render(case.exposure, case.routes, case.live)

    assert case.object == found


def test_every_rule_to_the_service_is_split_and_no_other() -> None:
    source = a_route(a_rule(), a_rule("other"), a_rule(name="second"))

    rules = rendered(HALF, source)["spec"]["http"]

    assert ["web", "second"] == [rule["name"] for rule in rules]


def test_the_same_controller_serves_both() -> None:
    source = a_route(a_rule())
    source["spec"]["ingressClassName"] = "public"

    assert "public" == rendered(HALF, source)["spec"]["ingressClassName"]


def test_what_else_a_backend_says_holds_for_both() -> None:
    rule = a_rule()
    rule["backends"][0] |= {"resolveGranularity": "service", "subset": "eu"}

    backends = rendered(HALF, a_route(rule))["spec"]["http"][0]["backends"]

    assert [("service", "eu")] * 2 == [(b["resolveGranularity"], b["subset"]) for b in backends]


def test_requests_that_do_not_match_are_left_to_the_users_route() -> None:
    first = HttpMatch(headers={"x-canary": StringMatch(exact="insider")})
    second = HttpMatch(query_params={"beta": StringMatch(regex="^1$")})
    own = {"subject": {"scope": "Cookie", "name": "c"}, "op": "Equal", "value": "1"}
    source = a_route(a_rule(match={"paths": ["/*"], "exprs": [own]}))
    routes = Routes(primary=0, canary=100, match=(first, second))

    one, two = rendered(routes, source)["spec"]["http"]

    header = {"subject": {"scope": "Header", "name": "x-canary"}, "op": "Equal", "value": "insider"}
    query = {"subject": {"scope": "Query", "name": "beta"}, "op": "RegexMatch", "value": "^1$"}
    assert [own, header] == one["match"]["exprs"]
    assert [own, query] == two["match"]["exprs"]
    assert ["web", "web-2"] == [one["name"], two["name"]]


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        (
            [],
            "apisix route public.shop get query error: "
            'apisixroutes.apisix.apache.org "public" not found',
        ),
        ([a_route()], "backend web not found in ApisixRoute public"),
        ([a_route(a_rule("other"))], "backend web not found in ApisixRoute public"),
        (
            [a_route(a_rule(backends=[{"serviceName": s} for s in ("web", "old")]))],
            "ApisixRoute public rule web must have web as its only backend",
        ),
    ],
)
def test_a_route_that_does_not_fit_is_named(objects: list[Obj], said: str) -> None:
    with pytest.raises(Refusal) as refused:
        apisix.render(EXPOSURE, Routes(), live(*objects))

    assert ("Route", said) == (refused.value.reason, refused.value.text)


def test_without_a_reference_it_says_what_is_missing() -> None:
    exposure = msgspec.structs.replace(EXPOSURE, route=None)

    assert isinstance(apisix.observe(exposure, Routes(), Live()), NotYet)
    assert () == apisix.release(exposure, Live())
    with pytest.raises(Refusal, match=r"apisix needs spec\.routeRef"):
        apisix.render(exposure, Routes(), Live())


def test_a_backend_without_a_weight_counts_as_apisix_counts_it() -> None:
    """BUG 13: Flagger ends with a panic."""
    found = rendered(Routes(primary=0, canary=100))
    del found["spec"]["http"][0]["backends"][0]["weight"]

    assert HALF == apisix.observe(EXPOSURE, Routes(), live(found))


@pytest.mark.parametrize("spec", [{}, {"http": []}, {"http": [{"backends": [{}]}]}])
def test_a_route_without_our_services_routes_nothing_yet(spec: Obj) -> None:
    found = rendered(HALF) | {"spec": spec}

    assert isinstance(apisix.observe(EXPOSURE, Routes(), live(found)), NotYet)


def test_a_route_counts_only_when_the_controller_accepted_it() -> None:
    found = rendered(HALF)
    refused = {"type": "Accepted", "status": "False", "message": "no such plugin"}
    found["status"] = {"conditions": [refused]}

    seen = apisix.observe(EXPOSURE, Routes(), live(found))

    assert isinstance(seen, NotYet)
    assert seen.why.endswith("no such plugin")
    assert HALF == seen.routes


def test_the_canary_route_goes_before_the_canary_does() -> None:
    """Its priority is higher than the user's, and it leads to the primary."""
    found = rendered(HALF)

    assert (Gone(ref_of(found), shadows=True),) == apisix.release(EXPOSURE, live(found))


def test_a_mirror_is_one_plugin_more() -> None:
    source = a_route(a_rule("web"))
    source["spec"]["http"][0]["plugins"] = [{"name": "prometheus", "enable": True}]

    found = rendered(Routes(mirror=True, mirror_weight=40), source)

    theirs, ours = found["spec"]["http"][0]["plugins"]
    assert ("prometheus", "proxy-mirror") == (theirs["name"], ours["name"])
    host = "http://web-canary.shop.svc.cluster.local:80"
    assert {"host": host, "sample_ratio": 0.4} == ours["config"]
    assert ours["enable"]

    source["spec"]["http"][0]["plugins"] = [ours]
    with pytest.raises(Refusal, match="has a mirror of its own"):
        rendered(Routes(mirror=True), source)
