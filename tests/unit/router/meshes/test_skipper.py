"""Canary Ingresses, as Skipper reads them and as Flagger wrote them."""

from __future__ import annotations

import msgspec
import pytest
from tests.builders import an_exposure
from tests.unit.router.meshes.recorded import Recorded, recorded
from tests.unit.router.meshes.test_nginx import a_rule, an_ingress, live

from serinus.events import ObjectRef, Routes
from serinus.events.canary import HttpMatch, StringMatch
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, NotYet, Refusal
from serinus.router.meshes import skipper

EXPOSURE = an_exposure(
    "skipper", ingress=ObjectRef(api_version="networking.k8s.io/v1", kind="Ingress", name="public")
)
HALF = Routes(primary=50, canary=50)


def rendered(routes: Routes, *objects: Obj) -> Obj:
    (found,) = skipper.render(EXPOSURE, routes, live(*(objects or [an_ingress()])))
    return found


def predicate(ingress: Obj) -> str:
    return str(ingress["metadata"]["annotations"][skipper.PREDICATE])


@pytest.mark.parametrize("case", recorded("skipper.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    (found,) = skipper.render(case.exposure, case.routes, case.live)

    if case.routes.canary == 0:
        # Flagger leaves the Ingress on until the first step has been taken back.
        case.object["metadata"]["annotations"][skipper.PREDICATE] = skipper.OFF
    assert case.object == found


def test_an_ingress_without_annotations_is_no_reason_to_stop() -> None:
    """BUG 13: Flagger ends with a panic; the same for a rule with a host only."""
    found = rendered(HALF, an_ingress({"host": "b.test"}, a_rule("web")))

    assert "Weight(100)" == predicate(found)
    assert {"host": "b.test"} == found["spec"]["rules"][0]


def test_a_path_to_the_service_leads_to_both_and_others_stay() -> None:
    paths = rendered(HALF, an_ingress(a_rule("web", "other")))["spec"]["rules"][0]["http"]["paths"]

    names = [(p["path"], p["backend"]["service"]["name"]) for p in paths]
    assert [("/web", "web-primary"), ("/web", "web-canary"), ("/other", "other")] == names


def test_predicates_of_the_user_stay_behind_ours() -> None:
    source = an_ingress(annotations={skipper.PREDICATE: 'Method("GET")'})

    assert 'Weight(100) && Method("GET")' == predicate(rendered(HALF, source))
    assert 'False() && Method("GET")' == predicate(rendered(Routes(), source))


def test_requests_that_do_not_match_are_left_to_the_users_ingress() -> None:
    match = HttpMatch(
        headers={"x-canary": StringMatch(exact='in"side'), "b": StringMatch(regex="^1$")},
        query_params={"beta": StringMatch(exact="a.b")},
    )
    routes = Routes(primary=0, canary=100, match=(match,))

    found = rendered(routes)

    assert (
        'Weight(100) && HeaderRegexp("b", "^1$") && Header("x-canary", "in\\"side") && '
        'QueryParam("beta", "^a\\\\.b$")'
    ) == predicate(found)
    assert routes == skipper.observe(EXPOSURE, routes, live(found))


def test_two_alternatives_are_refused() -> None:
    """Predicates of one Ingress must all hold."""
    match = tuple(HttpMatch(headers={name: StringMatch(exact="1")}) for name in "ab")

    with pytest.raises(Refusal, match="skipper can test one alternative"):
        rendered(Routes(primary=0, canary=100, match=match))


@pytest.mark.parametrize("weights", ["", "{", "[1]", '{"web-primary": 1}', '{"a": "b"}'])
def test_an_ingress_without_our_weights_routes_nothing_yet(weights: str) -> None:
    found = rendered(HALF)
    found["metadata"]["annotations"][skipper.WEIGHTS] = weights

    assert isinstance(skipper.observe(EXPOSURE, Routes(), live(found)), NotYet)


def test_an_ingress_that_is_not_there_routes_nothing_yet() -> None:
    nowhere = msgspec.structs.replace(EXPOSURE, ingress=None)

    assert isinstance(skipper.observe(EXPOSURE, Routes(), live()), NotYet)
    assert isinstance(skipper.observe(nowhere, Routes(), live()), NotYet)


def test_the_canary_ingress_goes_before_the_canary_does() -> None:
    """It leads to the primary, which goes with the Canary."""
    found = rendered(HALF)

    assert (Gone(ref_of(found), shadows=True),) == skipper.release(EXPOSURE, live(found))


def test_weights_that_the_user_gave_to_others_on_the_path_keep_their_proportion() -> None:
    theirs = '{"web": 1, "other": 3}'
    source = an_ingress(annotations={skipper.WEIGHTS: theirs})

    found = rendered(Routes(primary=80, canary=20), source)

    weights = '{"other":300,"web-canary":20,"web-primary":80}'
    assert weights == found["metadata"]["annotations"][skipper.WEIGHTS]
    wanted = Routes(primary=80, canary=20)
    assert wanted == skipper.observe(EXPOSURE, Routes(), live(found))


def test_another_kind_of_route_is_refused() -> None:
    exposure = msgspec.structs.replace(EXPOSURE, route=ObjectRef(kind="HTTPRoute", name="public"))

    with pytest.raises(Refusal, match="routeRef on skipper names a Ingress"):
        skipper.render(exposure, HALF, live(an_ingress()))
