"""TraefikServices, as Traefik reads them and as Flagger wrote them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import an_exposure
from tests.unit.router.meshes.recorded import Recorded, recorded

from serinus.events import Cookies, Exposure, ObjectRef, Routes
from serinus.events.canary import (
    ExtraMetadata,
    HttpMatch,
    ServiceSpec,
    SessionAffinity,
    StringMatch,
)
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import LAST_APPLIED, Gone, Live, NotYet, Refusal
from serinus.router.meshes import traefik

EXPOSURE = an_exposure()


def live(obj: Obj) -> Live:
    return Live({ref_of(obj): obj})


def rendered(routes: Routes, over: Live | None = None) -> Obj:
    (found,) = traefik.render(EXPOSURE, routes, over or Live())
    return found


@pytest.mark.parametrize("case", recorded("traefik.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    (found,) = traefik.render(case.exposure, case.routes, Live())

    assert case.object == found


def test_a_canary_without_a_share_is_not_listed() -> None:
    services = rendered(Routes())["spec"]["weighted"]["services"]

    assert [("web-primary", 100)] == [(s["name"], s["weight"]) for s in services]


def test_a_third_backend_loses_the_share_that_nobody_ordered() -> None:
    found = rendered(Routes(primary=80, canary=20))
    found["spec"]["weighted"]["services"].append({"name": "other", "port": 80, "weight": 100})

    services = rendered(Routes(primary=80, canary=20), live(found))["spec"]["weighted"]["services"]

    assert ["web-primary", "web-canary"] == [s["name"] for s in services]


def test_sticky_settings_of_the_user_stay() -> None:
    found = rendered(Routes())
    found["spec"]["weighted"]["sticky"] = {"cookie": {"name": "mine"}}

    again = rendered(Routes(primary=50, canary=50), live(found))

    assert {"cookie": {"name": "mine"}} == again["spec"]["weighted"]["sticky"]


def test_weights_are_shares_of_their_sum() -> None:
    """100 and 100 is half and half to Traefik, whatever it was meant to be."""
    found = rendered(Routes(primary=80, canary=20))
    for service in found["spec"]["weighted"]["services"]:
        service["weight"] = 100

    seen = traefik.observe(EXPOSURE, Routes(), live(found))

    assert Routes(primary=50, canary=50) == seen


def test_a_missing_weight_is_one() -> None:
    found = rendered(Routes(primary=99, canary=1))
    del found["spec"]["weighted"]["services"][1]["weight"]

    assert Routes(primary=99, canary=1) == traefik.observe(EXPOSURE, Routes(), live(found))


def test_an_object_that_is_not_there_routes_nothing_yet() -> None:
    seen = traefik.observe(EXPOSURE, Routes(), Live())

    assert NotYet("TraefikService web.shop does not exist yet") == seen


@pytest.mark.parametrize("spec", [{}, {"weighted": {}}, {"mirroring": {"name": "x"}}])
def test_an_object_without_our_services_routes_nothing_yet(spec: Obj) -> None:
    found = rendered(Routes()) | {"spec": spec}

    seen = traefik.observe(EXPOSURE, Routes(), live(found))

    assert isinstance(seen, NotYet)
    assert "does not contain services for web-primary and web-canary" in seen.why


def test_apex_metadata_is_on_the_object() -> None:
    apex = ExtraMetadata(labels={"l": "apex"}, annotations={"a": "apex"})
    exposure = an_exposure(service=ServiceSpec(port=80, apex=apex))

    (found,) = traefik.render(exposure, Routes(), Live())

    assert {"l": "apex", "app": "web"} == found["metadata"]["labels"]
    assert "apex" == found["metadata"]["annotations"]["a"]


def test_a_users_own_object_is_handed_back_as_it_was() -> None:
    mine: Obj = {
        "apiVersion": traefik.API_VERSION,
        "kind": traefik.KIND,
        "metadata": {"name": "web", "namespace": "shop", "labels": {"mine": "1"}},
        "spec": {"weighted": {"services": [{"name": "web", "port": 80, "weight": 3}]}},
    }

    taken = rendered(Routes(primary=80, canary=20), live(mine))

    assert taken["spec"] != mine["spec"]
    assert (mine,) == tuple(traefik.release(EXPOSURE, live(taken)))


def test_an_object_of_ours_goes() -> None:
    found = rendered(Routes())

    assert (Gone(ref_of(found)),) == tuple(traefik.release(EXPOSURE, live(found)))


REFERRING = an_exposure(route=ObjectRef(kind="IngressRoute", name="public"))
INSIDER = HttpMatch(headers={"X-Canary": StringMatch(exact="insider")})


def an_ingress_route(*routes: Obj, **spec: Any) -> Obj:
    """The user's, to S and to somebody else."""
    default = (
        {"kind": "Rule", "match": "Host(`a.test`)", "services": [{"name": "web", "port": 80}]},
        {"kind": "Rule", "match": "Host(`b.test`)", "services": [{"name": "other", "port": 80}]},
    )
    return {
        "apiVersion": traefik.API_VERSION,
        "kind": "IngressRoute",
        "metadata": {
            "name": "public",
            "namespace": "shop",
            "labels": {"l": "1"},
            "annotations": {"kubernetes.io/ingress.class": "x", LAST_APPLIED: "{}"},
        },
        "spec": {"entryPoints": ["web"], "routes": list(routes or default), **spec},
    }


def beside(routes: Routes, source: Obj, exposure: Exposure = REFERRING) -> Obj:
    """Our IngressRoute, the last object."""
    return list(traefik.render(exposure, routes, live(source)))[-1]


def test_the_route_before_the_users_is_like_it_but_leads_to_the_split() -> None:
    source = an_ingress_route(tls={"secretName": "tls"})
    source["spec"]["routes"][0]["middlewares"] = [{"name": "auth"}]

    found = beside(Routes(primary=80, canary=20), source)

    (route,) = found["spec"]["routes"]
    assert "public-web-canary" == found["metadata"]["name"]
    assert {"kubernetes.io/ingress.class": "x"} == found["metadata"]["annotations"]
    assert (["web"], {"secretName": "tls"}) == (found["spec"]["entryPoints"], found["spec"]["tls"])
    assert ("Host(`a.test`)", 15, [{"name": "auth"}]) == (
        route["match"],
        route["priority"],
        route["middlewares"],
    )
    assert [{"name": "web", "namespace": "shop", "kind": "TraefikService"}] == route["services"]


def test_ab_requests_are_split_and_the_others_stay_on_the_primary() -> None:
    exposure = msgspec.structs.replace(REFERRING, match=(INSIDER,))
    routes = Routes(primary=0, canary=100, match=(INSIDER,))

    split, route = traefik.render(exposure, routes, live(an_ingress_route()))

    assert [("web-primary", 100)] == [
        (s["name"], s["weight"]) for s in split["spec"]["weighted"]["services"]
    ]
    (only,) = route["spec"]["routes"]
    assert "(Host(`a.test`)) && ((Header(`X-Canary`, `insider`)))" == only["match"]
    shares = [(s["name"], s["weight"]) for s in only["services"]]
    assert [("web-primary", 0), ("web-canary", 100)] == shares
    found = Live({ref_of(obj): obj for obj in (split, route)})
    assert routes == traefik.observe(exposure, routes, found)


def test_without_a_route_to_stand_before_ab_is_refused() -> None:
    """Flagger sends everybody to the canary."""
    exposure = an_exposure(match=(INSIDER,))

    with pytest.raises(Refusal, match="name yours in"):
        traefik.render(exposure, Routes(), Live())


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ([], "IngressRoute public.shop not found"),
        ([an_ingress_route({"match": "x", "services": [{"name": "o"}]})], "backend web not found"),
        ([an_ingress_route({"match": "x"})], "backend web not found"),
        (
            [an_ingress_route({"match": "x", "services": [{"name": "web"}, {"name": "o"}]})],
            "must have web as its only service",
        ),
    ],
)
def test_a_route_that_does_not_fit_is_refused(sources: list[Obj], text: str) -> None:
    with pytest.raises(Refusal, match=text):
        traefik.render(REFERRING, Routes(), Live({ref_of(obj): obj for obj in sources}))


def to_web(match: str, **entry: Any) -> Obj:
    return {"kind": "Rule", "match": match, "services": [{"name": "web", **entry}]}


def test_options_for_the_service_are_those_of_the_split() -> None:
    """Traefik keeps one set of them for a Service and port."""
    source = an_ingress_route(
        to_web("Host(`a.test`)", port=80, scheme="h2c", passHostHeader=False),
        to_web("Host(`b.test`)", port="http", scheme="h2c", passHostHeader=False, weight=3),
    )

    split, route = traefik.render(REFERRING, Routes(primary=80, canary=20), live(source))

    options = {"namespace": "shop", "port": 80, "scheme": "h2c", "passHostHeader": False}
    assert [
        {"name": "web-primary", "weight": 80, **options},
        {"name": "web-canary", "weight": 20, **options},
    ] == split["spec"]["weighted"]["services"]
    to_split = [{"name": "web", "namespace": "shop", "kind": "TraefikService"}]
    assert [to_split, to_split] == [one["services"] for one in route["spec"]["routes"]]

    source["spec"]["routes"][1]["services"][0]["scheme"] = "https"
    with pytest.raises(Refusal, match="the same options"):
        traefik.render(REFERRING, Routes(), live(source))


def test_a_route_to_another_port_has_the_shares_in_itself() -> None:
    source = an_ingress_route(to_web("Host(`a.test`)", port=80), to_web("Path(`/m`)", port=9090))
    routes = Routes(primary=80, canary=20)

    objects = traefik.render(REFERRING, routes, live(source))

    _, other = objects[1]["spec"]["routes"]
    assert [("web-primary", 9090, 80), ("web-canary", 9090, 20)] == [
        (s["name"], s["port"], s["weight"]) for s in other["services"]
    ]
    made = {ref_of(obj): obj for obj in objects}
    assert routes == traefik.observe(REFERRING, routes, Live(made))

    del other["services"][1]
    seen = traefik.observe(REFERRING, routes, Live(made))
    assert isinstance(seen, NotYet)
    assert ("do not agree" in seen.why, routes) == (True, seen.routes)

    mirroring = msgspec.structs.replace(REFERRING, needs=("weight", "mirror"))
    with pytest.raises(Refusal, match="for port 80 of web, not for 9090"):
        traefik.render(mirroring, Routes(mirror=True), live(source))


def test_what_the_user_takes_out_of_the_route_goes_out_of_ours() -> None:
    source = an_ingress_route(tls={"secretName": "tls"})
    objects = list(traefik.render(REFERRING, Routes(), live(source)))
    del source["spec"]["tls"], source["spec"]["entryPoints"]

    known = {ref_of(obj): obj for obj in (source, *objects)}
    again = traefik.render(REFERRING, Routes(), Live(known))

    assert {"routes"} == again[-1]["spec"].keys()


def test_before_an_ingress_stands_the_ingress_route_that_says_the_same() -> None:
    exposure = an_exposure(route=ObjectRef(kind="Ingress", name="public"))
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    source = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "public", "namespace": "shop"},
        "spec": {"rules": [{"host": "b.test"}, {"host": "a.test", "http": {"paths": paths}}]},
    }

    split, route = traefik.render(exposure, Routes(), live(source))

    assert {ref_of(obj) for obj in (split, source, route)} == set(traefik.needs(exposure))
    assert ("IngressRoute", "public-web-canary") == (route["kind"], route["metadata"]["name"])
    (only,) = route["spec"]["routes"]
    rule = "Host(`a.test`) && PathPrefix(`/`)"
    assert (rule, len(rule) + 1) == (only["match"], only["priority"])
    assert [{"name": "web", "namespace": "shop", "kind": "TraefikService"}] == only["services"]
    with pytest.raises(Refusal, match=r"Ingress public\.shop not found"):
        traefik.render(exposure, Routes(), Live())


def test_the_users_route_is_never_written_and_ours_goes_before_the_canary() -> None:
    source = an_ingress_route()
    objects = traefik.render(REFERRING, Routes(), live(source))
    assert ref_of(source) not in {ref_of(obj) for obj in objects}

    found = Live({ref_of(obj): obj for obj in (source, *objects)})

    split, route = objects
    assert [Gone(ref_of(split)), Gone(ref_of(route), shadows=True)] == list(
        traefik.release(REFERRING, found)
    )


def test_a_mirror_has_its_place_from_the_first_day_on() -> None:
    exposure = an_exposure(needs=("weight", "mirror"))

    mirror, split = traefik.render(exposure, Routes(mirror=True, mirror_weight=40), Live())

    (copied,) = mirror["spec"]["mirroring"]["mirrors"]
    assert ("web-mirror", "web-primary") == (
        mirror["metadata"]["name"],
        mirror["spec"]["mirroring"]["name"],
    )
    assert ("web-canary", 40) == (copied["name"], copied["percent"])
    (only,) = split["spec"]["weighted"]["services"]
    assert ("web-mirror", "TraefikService", 100) == (only["name"], only["kind"], only["weight"])
    assert Routes(mirror=True) == traefik.observe(exposure, Routes(), live(split))
    _, plain = traefik.render(exposure, Routes(), live(split))
    assert "web-primary" == plain["spec"]["weighted"]["services"][0]["name"]
    with pytest.raises(Refusal, match="not announced"):
        traefik.render(EXPOSURE, Routes(mirror=True), Live())


def test_a_cookie_lasts_for_one_release() -> None:
    settings = SessionAffinity(cookie_name="c", max_age=60, path="/", same_site="Strict")
    cookies = Cookies(settings=settings, canary="c=abc")

    during = rendered(Routes(primary=80, canary=20, cookies=cookies))
    after = rendered(Routes(cookies=Cookies(settings=settings, previous="c=abc")), live(during))

    cookie = during["spec"]["weighted"]["sticky"]["cookie"]
    assert {
        "name": "c~abc",
        "maxAge": 60,
        "httpOnly": False,
        "secure": False,
        "path": "/",
        "sameSite": "strict",
    } == cookie
    assert "sticky" not in after["spec"]["weighted"]
    partitioned = SessionAffinity(cookie_name="c", partitioned=True)
    with pytest.raises(Refusal, match="cannot be partitioned"):
        rendered(Routes(primary=1, canary=99, cookies=Cookies(settings=partitioned, canary="c=a")))
