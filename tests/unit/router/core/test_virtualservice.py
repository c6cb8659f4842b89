"""Pieces of a VirtualService: Istio's words are copied, what it has no word for is refused."""

from __future__ import annotations

import pytest

from serinus.events.canary import (
    CorsPolicy,
    HeaderOperations,
    Headers,
    HttpMatch,
    Retries,
    Rewrite,
    ServiceSpec,
    StringMatch,
)
from serinus.router.core.objects import Refusal
from serinus.router.core.virtualservice import (
    IstioRoutes,
    adding_header,
    http_fields,
    matches_of,
    overriding,
    tcp_matches_of,
    with_header,
)

WEB = HttpMatch(uri=StringMatch(prefix="/web"))
INSIDER = HttpMatch(headers={"x-canary": StringMatch(exact="insider")})


def test_matches_are_copied_in_order() -> None:
    assert [
        {"uri": {"prefix": "/web"}},
        {"headers": {"x-canary": {"exact": "insider"}}},
    ] == matches_of([WEB, INSIDER])


def test_a_header_may_be_asked_for_without_a_value() -> None:
    """In Istio an empty condition means that the header is there."""
    found = matches_of([HttpMatch(headers={"x-a": StringMatch()})])

    assert [{"headers": {"x-a": {}}}] == found


@pytest.mark.parametrize(
    "match",
    [
        HttpMatch(headers={"x-a": StringMatch(suffix="z")}),
        HttpMatch(uri=StringMatch(suffix=".html")),
        HttpMatch(query_params={"v": StringMatch(suffix="2")}),
    ],
)
def test_a_suffix_is_refused(match: HttpMatch) -> None:
    with pytest.raises(Refusal, match="exact, prefix or regex, not by suffix"):
        matches_of([match])


def test_a_label_called_suffix_is_a_label() -> None:
    assert [{"sourceLabels": {"suffix": "z"}}] == matches_of(
        [HttpMatch(source_labels={"suffix": "z"})]
    )


def test_each_condition_goes_with_each_match() -> None:
    other = HttpMatch(uri=StringMatch(prefix="/api"), headers={"x-v": StringMatch(exact="1")})
    found = overriding(matches_of([WEB, other]), [INSIDER])

    insider = {"x-canary": {"exact": "insider"}}
    assert [
        {"uri": {"prefix": "/web"}, "headers": insider},
        {"uri": {"prefix": "/api"}, "headers": insider},
    ] == found


def test_a_condition_on_a_parameter_is_not_lost() -> None:
    """Flagger loses it where the service has matches, and then everybody goes to the canary."""
    beta = HttpMatch(query_params={"beta": StringMatch(exact="1")})

    assert [{"uri": {"prefix": "/web"}, "queryParams": {"beta": {"exact": "1"}}}] == overriding(
        matches_of([WEB]), [beta]
    )


def test_conditions_stand_alone_where_the_service_has_no_match() -> None:
    assert matches_of([INSIDER]) == overriding([], [INSIDER])


@pytest.mark.parametrize("nothing", [HttpMatch(), HttpMatch(name="named")])
def test_a_condition_without_conditions_is_refused(nothing: HttpMatch) -> None:
    with pytest.raises(Refusal, match="without any condition"):
        overriding([], [nothing])


def test_a_cookie_is_asked_for_beside_the_headers_of_the_service() -> None:
    service = matches_of([HttpMatch(headers={"x-env": StringMatch(exact="prod")})])

    (found,) = with_header(service, "Cookie", ".*c.*")

    assert {"x-env": {"exact": "prod"}, "Cookie": {"regex": ".*c.*"}} == found["headers"]
    assert [{"headers": {"Cookie": {"regex": ".*c.*"}}}] == with_header([], "Cookie", ".*c.*")


def test_connections_are_matched_by_what_they_have() -> None:
    match = HttpMatch(port=80, gateways=("g",), source_labels={"app": "x"}, source_namespace="n")

    assert [
        {"port": 80, "gateways": ["g"], "sourceLabels": {"app": "x"}, "sourceNamespace": "n"}
    ] == tcp_matches_of([match])
    with pytest.raises(Refusal, match="connections can be matched by port"):
        tcp_matches_of([WEB])


def test_everything_of_the_service_is_in_the_route() -> None:
    service = ServiceSpec(
        port=80,
        rewrite=Rewrite(uri="/", type="ReplacePrefixMatch"),
        timeout="15s",
        retries=Retries(per_try_timeout="1s"),
        cors_policy=CorsPolicy(allow_origin=("*",), max_age="24h"),
        headers=Headers(request=HeaderOperations(remove=("x-c",))),
    )

    assert {
        "rewrite": {"uri": "/"},
        "timeout": "15s",
        "retries": {"attempts": 0, "perTryTimeout": "1s"},
        "corsPolicy": {"allowOrigin": ["*"], "maxAge": "24h"},
        "headers": {"request": {"remove": ["x-c"]}},
    } == http_fields(service)
    assert {} == http_fields(ServiceSpec(port=80))


def test_a_header_is_added_to_those_that_are_there() -> None:
    route = {"headers": {"response": {"add": {"a": "1"}, "set": {"b": "2"}}}}

    found = adding_header(route, "Set-Cookie", "c")

    assert {"add": {"a": "1", "Set-Cookie": "c"}, "set": {"b": "2"}} == found["headers"]["response"]
    assert {"a": "1"} == route["headers"]["response"]["add"]


ROUTES = IstioRoutes()
CANARY = {"destination": {"host": "web-canary", "port": {"number": 80}}, "weight": 0}


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("web", "web"),
        ("web.shop", "web"),
        ("web.shop.svc", "web"),
        ("web.shop.svc.cluster.local", "web"),
        ("web.other.svc.cluster.local", ""),
        ("web.example.com", ""),
        ("", ""),
    ],
)
def test_a_host_is_a_service_of_the_namespace_or_something_else(host: str, service: str) -> None:
    assert service == ROUTES.service_of({"destination": {"host": host}}, "shop")


def test_another_service_has_the_same_domain() -> None:
    entry = {"destination": {"host": "web.shop.svc", "port": {"number": 80}}, "weight": 3}

    found = ROUTES.leading_to(entry, "web-canary")

    assert {"host": "web-canary.shop.svc", "port": {"number": 80}} == found["destination"]
    assert "web.shop.svc" == entry["destination"]["host"]


def test_a_subset_cannot_be_shared() -> None:
    with pytest.raises(Refusal, match="names a subset"):
        ROUTES.leading_to({"destination": {"host": "web", "subset": "v1"}}, "web-canary")


def test_a_mirror_is_put_where_there_is_none() -> None:
    found = ROUTES.mirrored("http", {}, CANARY, 40)

    assert {"host": "web-canary", "port": {"number": 80}} == found["mirror"]
    assert {"value": 40} == found["mirrorPercentage"]
    assert {} == ROUTES.unmirrored(found, "web-canary", "shop")
    assert "mirrorPercentage" not in ROUTES.mirrored("http", {}, CANARY, 0)
    for own in ({"mirror": {"host": "audit"}}, {"mirrors": []}):
        assert own == ROUTES.unmirrored(own, "web-canary", "shop")
        with pytest.raises(Refusal, match="has a mirror of its own"):
            ROUTES.mirrored("http", own, CANARY, 0)


@pytest.mark.parametrize("section", ["tcp", "tls"])
def test_connections_are_neither_matched_nor_mirrored(section: str) -> None:
    with pytest.raises(Refusal, match="cannot match"):
        ROUTES.narrowed(section, {}, [INSIDER])
    with pytest.raises(Refusal, match="cannot mirror"):
        ROUTES.mirrored(section, {}, CANARY, 0)
