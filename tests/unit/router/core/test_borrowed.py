"""Rules of a user's route: shared for a while, and given back whatever was edited meanwhile."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from tests.builders import an_exposure

from serinus.events import Cookies, Exposure, ObjectRef, Routes
from serinus.events.canary import HttpMatch, SessionAffinity, StringMatch
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.router.core import borrowed
from serinus.router.core.borrowed import both
from serinus.router.core.gatewayrules import GatewayRules
from serinus.router.core.objects import Live, NotYet, Refusal

REF = Ref("gateway.networking.k8s.io/v1", "HTTPRoute", "shop", "public")
EXPOSURE = an_exposure(route=ObjectRef(kind="HTTPRoute", name="public"))
RULES = GatewayRules("HTTPRoute", has_percent=True)
INSIDER = HttpMatch(headers={"x-canary": StringMatch(exact="insider")})
SPLIT = Routes(primary=80, canary=20)


def backend(name: str, **more: Any) -> Obj:
    return {"name": name, "port": 80, **more}


def a_route(*rules: list[Obj], **metadata: Any) -> Obj:
    """A route of the user's with these backends per rule."""
    return {
        "apiVersion": REF.api_version,
        "kind": REF.kind,
        "metadata": {"name": REF.name, "namespace": REF.namespace, **metadata},
        "spec": {"hostnames": ["a.test"], "rules": [{"backendRefs": list(r)} for r in rules]},
    }


def live(obj: Obj) -> Live:
    return Live({ref_of(obj): obj})


def shared(route: Obj, routes: Routes = SPLIT, exposure: Exposure = EXPOSURE) -> Obj:
    return borrowed.render(exposure, routes, live(route), REF, RULES)


def released(route: Obj) -> Obj | None:
    return borrowed.released(EXPOSURE, live(route), REF, RULES)


def seen(route: Obj, routes: Routes = SPLIT, exposure: Exposure = EXPOSURE) -> Routes | NotYet:
    return borrowed.observe(exposure, routes, live(route), REF, RULES)


def weights(rule: Obj) -> list[tuple[str, int]]:
    return [(b["name"], b["weight"]) for b in rule["backendRefs"]]


def test_one_entry_becomes_two_and_the_rest_is_as_it_was() -> None:
    theirs = a_route([backend("web", weight=7)], [backend("other")], labels={"l": "1"})

    found = shared(theirs)

    mine, others = found["spec"]["rules"]
    assert [("web-primary", 80), ("web-canary", 20)] == weights(mine)
    assert {"backendRefs": [backend("other")]} == others
    assert {"l": "1"} == found["metadata"]["labels"]
    assert ["a.test"] == found["spec"]["hostnames"]


def test_beside_other_backends_the_proportions_are_kept() -> None:
    theirs = a_route([backend("other", weight=1), backend("web", weight=3)])

    (rule,) = shared(theirs)["spec"]["rules"]

    assert [("other", 100), ("web-primary", 240), ("web-canary", 60)] == weights(rule)


def test_ab_requests_get_a_rule_of_their_own_before_it() -> None:
    exposure = msgspec.structs.replace(EXPOSURE, match=(INSIDER,))
    theirs = a_route([backend("web")])
    theirs["spec"]["rules"][0]["name"] = "all"
    routes = Routes(primary=0, canary=100, match=(INSIDER,))

    found = shared(theirs, routes, exposure)
    matched, rest = found["spec"]["rules"]

    assert ("all-canary", "all") == (matched["name"], rest["name"])
    assert [("web-canary", 100), ("web-primary", 0)] == weights(matched)
    assert [("web-primary", 100), ("web-canary", 0)] == weights(rest)
    assert "matches" not in rest
    assert routes == seen(found, routes, exposure)
    assert theirs == released(found)


def test_conditions_come_on_top_of_what_the_rule_asks_for() -> None:
    header = {"type": "Exact", "name": "x-env", "value": "prod"}
    special = {"headers": [{"type": "Exact", "name": "x-canary", "value": "1"}]}

    assert {"headers": [special["headers"][0], header]} == both({"headers": [header]}, special)
    assert special == both({"headers": [{**special["headers"][0], "value": "2"}]}, special)
    assert {"headers": {"a": 1, "b": 2}} == both({"headers": {"a": 1}}, {"headers": {"b": 2}})
    with pytest.raises(Refusal, match="both the route and analysis"):
        both({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}})


def test_what_others_edit_meanwhile_stays_and_so_does_the_way_back() -> None:
    theirs = a_route([backend("web", weight=1, filters=[])], [backend("other")])
    found = shared(theirs)
    found["spec"]["hostnames"] = ["b.test"]
    found["spec"]["rules"].insert(0, {"backendRefs": [backend("new")]})
    found["metadata"]["annotations"]["theirs"] = "1"

    again = shared(found, Routes(primary=50, canary=50))
    given = released(again)

    assert [("web-primary", 50), ("web-canary", 50)] == weights(again["spec"]["rules"][1])
    wanted = a_route([backend("new")], [backend("web", weight=1, filters=[])], [backend("other")])
    wanted["spec"]["hostnames"] = ["b.test"]
    wanted["metadata"]["annotations"] = {"theirs": "1"}
    assert wanted == given


def test_a_manifest_that_is_applied_anew_is_shared_anew() -> None:
    found = shared(a_route([backend("web", weight=5)]))
    anew = copy.deepcopy(found)
    anew["spec"] = a_route([backend("web", weight=9)], [backend("x"), backend("web")])["spec"]

    still = seen(anew)
    again = shared(anew)

    assert NotYet("HTTPRoute public.shop still leads to web itself") == still
    assert SPLIT == seen(again)
    given = released(again)
    assert given is not None
    assert anew["spec"] == given["spec"]


def test_without_its_note_a_route_is_given_back_by_what_can_be_read() -> None:
    found = shared(
        a_route([backend("web")], [backend("other", weight=1), backend("web", weight=3)])
    )
    for note in (None, "not JSON"):
        annotations = {} if note is None else {borrowed.note_key(EXPOSURE): note}
        lost = {**found, "metadata": {**found["metadata"], "annotations": annotations}}

        given = released(lost)

        assert given is not None
        alone, beside = given["spec"]["rules"]
        assert [backend("web")] == alone["backendRefs"]
        assert [("other", 1), ("web", 3)] == weights(beside)


def test_a_weight_that_others_edit_is_theirs() -> None:
    found = shared(a_route([backend("other", weight=1), backend("web", weight=3)]))
    found["spec"]["rules"][0]["backendRefs"][0]["weight"] = 500

    again = shared(found)
    given = released(again)

    assert found["spec"] == again["spec"]
    assert given is not None
    assert [("other", 5), ("web", 3)] == weights(given["spec"]["rules"][0])


def test_rules_that_do_not_agree_are_not_believed() -> None:
    found = shared(a_route([backend("web")], [backend("x", weight=1), backend("web", weight=1)]))
    found["spec"]["rules"][0]["backendRefs"][1]["weight"] = 60

    assert isinstance(seen(found), NotYet)
    assert "do not agree" in getattr(seen(found), "why", "")


def test_several_canaries_share_one_route() -> None:
    other = msgspec.structs.replace(EXPOSURE, name="api")
    theirs = a_route([backend("web")], [backend("api", weight=2), backend("web", weight=1)])

    first = shared(theirs)
    second = borrowed.render(other, Routes(primary=50, canary=50), live(first), REF, RULES)
    again = shared(second)

    assert second["spec"] == again["spec"], "neither takes the other's for its own"
    assert again == shared(again)
    later = borrowed.render(other, Routes(primary=10, canary=90), live(again), REF, RULES)
    assert later["spec"] == shared(later)["spec"], "nor puts back what was noted of it"
    assert SPLIT == seen(second)
    kept = borrowed.released(other, live(later), REF, RULES)
    assert kept is not None
    assert theirs == released(kept)


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (a_route([backend("other")]), "backend web not found in HTTPRoute public"),
        (a_route(), "backend web not found"),
        (a_route([backend("web", namespace="elsewhere")]), "backend web not found"),
        (a_route([backend("web", kind="ServiceImport", group="x")]), "backend web not found"),
        ({**a_route(), "spec": None}, "backend web not found"),
    ],
)
def test_a_route_that_does_not_lead_to_the_service_is_refused(route: Obj, text: str) -> None:
    with pytest.raises(Refusal, match=text):
        shared(route)
    assert isinstance(seen(route), NotYet)
    assert route == released(route)


def test_a_route_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refusal, match="not found"):
        borrowed.render(EXPOSURE, SPLIT, Live(), REF, RULES)
    assert borrowed.released(EXPOSURE, Live(), REF, RULES) is None
    assert NotYet("HTTPRoute public.shop does not exist yet") == borrowed.observe(
        EXPOSURE, SPLIT, Live(), REF, RULES
    )


def test_cookies_need_a_route_of_ours() -> None:
    cookies = Cookies(settings=SessionAffinity(cookie_name="c"))

    with pytest.raises(Refusal, match="session affinity needs a route of its own"):
        shared(a_route([backend("web")]), Routes(cookies=cookies))


def test_a_reference_to_another_meshs_route_is_refused() -> None:
    borrowed.check_kind(EXPOSURE, "the Gateway API", ("HTTPRoute", "GRPCRoute"))
    borrowed.check_kind(an_exposure(), "istio", ("VirtualService",))
    with pytest.raises(Refusal, match="routeRef on istio names a VirtualService, not a HTTPRoute"):
        borrowed.check_kind(EXPOSURE, "istio", ("VirtualService",))


def test_a_note_fits_into_the_name_of_an_annotation() -> None:
    exposure = an_exposure(name="x" * 62)

    assert 63 == len(borrowed.note_key(exposure).partition("/")[2])
