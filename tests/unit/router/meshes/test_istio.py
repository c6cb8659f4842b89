"""VirtualServices and DestinationRules; what is written is in golden/istio."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import REF, an_exposure

from serinus.events import Cookies, Exposure, ObjectRef, Routes
from serinus.events.canary import HttpMatch, ServiceSpec, SessionAffinity, StringMatch
from serinus.kube.refs import Obj, owner_reference, ref_of
from serinus.router.core.objects import ORIGINAL, Gone, Live, NotYet, Refusal
from serinus.router.meshes import istio

INSIDER = HttpMatch(headers={"x-canary": StringMatch(exact="insider")})


def exposed(**service: Any) -> Exposure:
    return an_exposure("istio", service=ServiceSpec(**{"port": 80, **service}))


EXPOSURE = exposed()


def live(*objects: Obj) -> Live:
    return Live({ref_of(obj): obj for obj in objects})


def route_of(routes: Routes, exposure: Exposure = EXPOSURE, over: Live | None = None) -> Obj:
    """The VirtualService, the last of three objects."""
    return istio.render(exposure, routes, over or Live())[-1]


def weights(http: Obj) -> list[tuple[str, int]]:
    return [(d["destination"]["host"], d["weight"]) for d in http["route"]]


def mine(**metadata: Any) -> Obj:
    """A VirtualService of the user's."""
    return {
        "apiVersion": istio.API_VERSION,
        "kind": istio.KIND,
        "metadata": {"name": "web", "namespace": "shop", **metadata},
        "spec": {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]},
    }


def test_policies_come_before_the_route_that_leads_to_them() -> None:
    found = istio.render(EXPOSURE, Routes(), Live())

    assert [
        ("DestinationRule", "web-canary"),
        ("DestinationRule", "web-primary"),
        ("VirtualService", "web"),
    ] == [(obj["kind"], obj["metadata"]["name"]) for obj in found]


def test_a_traffic_policy_that_is_gone_from_the_manifest_goes() -> None:
    """Joined with the old one, pieces of both would hold."""
    before = istio.render(exposed(traffic_policy={"tls": {"mode": "DISABLE"}}), Routes(), Live())

    after = istio.render(EXPOSURE, Routes(), live(*before))

    assert [{"host": "web-canary"}, {"host": "web-primary"}] == [obj["spec"] for obj in after[:2]]


@pytest.mark.parametrize(
    ("hosts", "written"),
    [
        ((), ["web"]),
        (("web.example.com",), ["web.example.com", "web"]),
        (("web",), ["web"]),
        (("*",), ["*"]),
    ],
)
def test_the_service_itself_is_always_routed(hosts: tuple[str, ...], written: list[str]) -> None:
    assert written == route_of(Routes(), exposed(hosts=hosts))["spec"]["hosts"]


@pytest.mark.parametrize("given", [{"hosts": ("a",)}, {"gateways": ("g",)}])
def test_delegation_with_hosts_or_gateways_is_refused(given: Any) -> None:
    text = "VirtualService web.shop cannot have hosts and gateways when delegation enabled"
    with pytest.raises(Refusal, match=text):
        route_of(Routes(), exposed(delegation=True, **given))


def test_delegation_takes_hosts_and_gateways_away() -> None:
    before = route_of(Routes())

    after = route_of(Routes(), exposed(delegation=True), live(before))

    assert [] == after["spec"]["hosts"]
    assert "gateways" not in after["spec"]


def test_ab_requests_that_do_not_match_stay_on_the_primary() -> None:
    exposure = msgspec.structs.replace(EXPOSURE, match=(INSIDER,))

    matched, rest = route_of(Routes(primary=0, canary=100), exposure)["spec"]["http"]

    assert [("web-primary", 0), ("web-canary", 100)] == weights(matched)
    assert [("web-primary", 100)] == weights(rest)
    assert "match" not in rest


def test_a_mirror_goes_to_the_weighted_route_and_ends_with_it() -> None:
    before = route_of(Routes(mirror=True, mirror_weight=40))
    (http,) = before["spec"]["http"]
    assert ({"host": "web-canary"}, {"value": 40}) == (http["mirror"], http["mirrorPercentage"])
    assert Routes(mirror=True) == istio.observe(EXPOSURE, Routes(), live(before))

    (again,) = route_of(Routes(), over=live(before))["spec"]["http"]

    assert {"route"} == again.keys()


def test_who_has_a_cookie_stays_where_it_says() -> None:
    settings = SessionAffinity(cookie_name="c", primary_cookie_name="p", max_age=60)
    cookies = Cookies(settings=settings, canary="c=abc", primary="p=xyz", primary_max_age_s=10)
    routes = Routes(primary=70, canary=30, cookies=cookies)

    found = route_of(routes)
    held, kept, weighted = found["spec"]["http"]

    assert [{"headers": {"Cookie": {"regex": ".*c.*abc.*"}}}] == held["match"]
    assert [("web-primary", 0), ("web-canary", 100)] == weights(held)
    assert [("web-primary", 100), ("web-canary", 0)] == weights(kept)
    given = [d["headers"]["response"]["add"]["Set-Cookie"] for d in weighted["route"]]
    assert ["p=xyz; Max-Age=10", "c=abc; Max-Age=60"] == given
    assert routes == istio.observe(EXPOSURE, routes, live(found))


def test_connections_have_weights_and_nothing_else() -> None:
    tcp = exposed(app_protocol="TCP", match=(HttpMatch(port=80),))
    before = route_of(Routes())

    spec = route_of(Routes(primary=50, canary=50), tcp, live(before))["spec"]

    assert "http" not in spec
    assert [("web-primary", 50), ("web-canary", 50)] == weights(spec["tcp"][0])
    ab = msgspec.structs.replace(tcp, match=(INSIDER,))
    for exposure, routes in ((ab, Routes()), (tcp, Routes(mirror=True))):
        with pytest.raises(Refusal, match="appProtocol tcp is split by weight only"):
            route_of(routes, exposure)


def test_repairing_a_route_keeps_the_weights_of_the_moment() -> None:
    """BUG of 4.2: Flagger writes 100/0 whenever anything in the object differs."""
    edited = route_of(Routes(primary=70, canary=30))
    edited["spec"]["hosts"] = ["web", "foreign.example.com"]

    again = route_of(Routes(primary=70, canary=30), over=live(edited))

    assert ["web"] == again["spec"]["hosts"]
    assert [("web-primary", 70), ("web-canary", 30)] == weights(again["spec"]["http"][0])


def test_an_edited_route_without_a_cookie_of_the_primary_is_repaired() -> None:
    """BUG of 4.3: with primaryCookieName unset Flagger ignores every route that has a match."""
    cookies = Cookies(settings=SessionAffinity(cookie_name="c"), canary="c=abc")
    routes = Routes(primary=70, canary=30, cookies=cookies)
    right = route_of(routes)
    edited = msgspec.json.decode(msgspec.json.encode(right))
    edited["spec"]["http"][0]["route"][0]["weight"] = 50

    assert right["spec"] == route_of(routes, over=live(edited))["spec"]


@pytest.mark.parametrize("http", [[], [{"route": [{"destination": {"host": "web"}}]}]])
def test_a_route_that_names_neither_backend_is_not_there_yet(http: list[Obj]) -> None:
    found = route_of(Routes())
    found["spec"]["http"] = http

    text = "VirtualService web.shop does not contain routes for web-primary and web-canary"
    assert NotYet(text) == istio.observe(EXPOSURE, Routes(), live(found))


@pytest.mark.parametrize(
    ("condition", "counts"),
    [
        ({"type": "Reconciled", "status": "True", "observedGeneration": 2}, True),
        ({"type": "Reconciled", "status": "True", "observedGeneration": "2"}, True),
        ({"type": "Reconciled", "status": "True"}, True),
        ({"type": "Reconciled", "status": "True", "observedGeneration": 1}, False),
        ({"type": "Reconciled", "status": "False", "observedGeneration": 2}, False),
        ({"type": "PassedValidation", "status": "False"}, True),
    ],
)
def test_a_control_plane_that_reports_is_believed(condition: Obj, counts: bool) -> None:
    found = route_of(Routes(primary=80, canary=20))
    found["metadata"]["generation"] = 2
    found["status"] = {"conditions": [condition]}

    seen = istio.observe(EXPOSURE, Routes(), live(found))

    routes = Routes(primary=80, canary=20)
    assert routes == (seen if counts else getattr(seen, "routes", None))


def test_a_users_route_is_handed_back_with_labels_and_annotations() -> None:
    """TRACE of 4.3: Flagger gives back the spec alone."""
    theirs = mine(labels={"l": "1"}, annotations={"owner": "me"})
    taken = route_of(Routes(primary=80, canary=20), over=live(theirs))
    assert "web-primary" in str(taken["spec"])

    assert [theirs] == list(istio.release(EXPOSURE, live(taken)))


def test_the_original_is_also_noted_where_flagger_looks() -> None:
    taken = route_of(Routes(), over=live(mine()))["metadata"]["annotations"]

    noted = msgspec.json.decode(taken["flagger.kubernetes.io/original-configuration"])

    assert mine()["spec"] == noted
    assert ORIGINAL in taken


def test_what_flagger_took_over_is_handed_back() -> None:
    spec = '{"hosts":["web"],"http":[{"route":[{"destination":{"host":"web"}}]}]}'
    taken = route_of(Routes())
    taken["metadata"]["annotations"]["flagger.kubernetes.io/original-configuration"] = spec

    stepped = route_of(Routes(primary=80, canary=20), over=live(taken))

    assert [mine()] == list(istio.release(EXPOSURE, live(stepped)))
    assert [mine()] == list(istio.release(EXPOSURE, live(taken)))


def test_what_is_ours_goes() -> None:
    made = istio.render(EXPOSURE, Routes(), Live())
    for obj in made:
        obj["metadata"]["ownerReferences"] = [owner_reference(REF)]

    assert [Gone(ref_of(obj)) for obj in made] == list(istio.release(EXPOSURE, live(*made)))


def test_without_a_service_there_is_nothing_to_route() -> None:
    with pytest.raises(Refusal, match="is needed with Istio"):
        istio.render(an_exposure("istio", service=None), Routes(), Live())


def test_a_route_of_the_users_is_shared_where_it_is() -> None:
    """Everything else in it is theirs; policies are made as ever."""
    public = mine() | {"metadata": {"name": "public", "namespace": "shop"}}
    exposure = an_exposure("istio", route=ObjectRef(kind="VirtualService", name="public"))
    routes = Routes(primary=80, canary=20)

    *policies, route = istio.render(exposure, routes, live(public))

    assert ["web-canary", "web-primary"] == [obj["metadata"]["name"] for obj in policies]
    assert [("web-primary", 80), ("web-canary", 20)] == weights(route["spec"]["http"][0])
    assert ["web"] == route["spec"]["hosts"]
    assert routes == istio.observe(exposure, routes, live(*policies, route))
    assert public == list(istio.release(exposure, live(route)))[-1]
    route["metadata"]["generation"] = 2
    route["status"] = {"conditions": [{"type": "Reconciled", "status": "False"}]}
    assert isinstance(istio.observe(exposure, routes, live(route)), NotYet)


def test_a_reference_to_something_else_is_refused() -> None:
    exposure = an_exposure("istio", route=ObjectRef(kind="HTTPRoute", name="public"))

    with pytest.raises(Refusal, match="names a VirtualService, not a HTTPRoute"):
        istio.render(exposure, Routes(), Live())
