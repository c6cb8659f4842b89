"""Routes of a HTTPProxy of the user's, in Contour's words."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.events.canary import HttpMatch, StringMatch
from serinus.kube.refs import Obj
from serinus.router.core.objects import Refusal
from serinus.router.core.proxyrules import ProxyRoutes, alternatives, mirror

ROUTES = ProxyRoutes()


def service(name: str, **more: Any) -> Obj:
    return {"name": name, "port": 80, **more}


@pytest.mark.parametrize(
    ("services", "counts"),
    [
        ([service("a"), service("b", weight=0)], [1, 1]),
        ([service("a", weight=3), service("b")], [3, 0]),
        ([service("a"), service("b", mirror=True, weight=20)], [1, None]),
        ([], []),
    ],
)
def test_without_any_weight_all_count_the_same_and_mirrors_do_not(
    services: list[Obj], counts: list[int | None]
) -> None:
    assert counts == ROUTES.weights(services)


def test_the_header_that_linkerd_goes_by_names_the_same_service() -> None:
    headers = [
        {"name": "L5d-dst-override", "value": "web.shop.svc.cluster.local:80"},
        {"name": "x", "value": "web.shop"},
    ]
    entry = service("web", requestHeadersPolicy={"set": headers}, protocol="h2c")

    led = ROUTES.leading_to(entry, "web-canary")

    assert ("web-canary", "h2c") == (led["name"], led["protocol"])
    assert ["web-canary.shop.svc.cluster.local:80", "web.shop"] == [
        header["value"] for header in led["requestHeadersPolicy"]["set"]
    ]
    assert entry == ROUTES.leading_to(led, "web")


def test_alternatives_are_routes_and_a_condition_on_the_same_thing_is_replaced() -> None:
    theirs: Obj = {
        "conditions": [
            {"prefix": "/api"},
            {"header": {"name": "X-Canary", "present": True}},
            {"queryParameter": {"name": "team", "exact": "a"}},
        ],
        "services": [service("web")],
    }
    match = (
        HttpMatch(headers={"x-canary": StringMatch(exact="1")}),
        HttpMatch(query_params={"team": StringMatch(prefix="b")}),
    )

    first, second = ROUTES.narrowed("routes", theirs, match)

    assert [
        {"prefix": "/api"},
        {"queryParameter": {"name": "team", "exact": "a"}},
        {"header": {"name": "x-canary", "exact": "1"}},
    ] == first["conditions"]
    assert [
        {"prefix": "/api"},
        {"header": {"name": "X-Canary", "present": True}},
        {"queryParameter": {"name": "team", "prefix": "b"}},
    ] == second["conditions"]


def test_a_prefix_of_a_header_is_tested_as_a_part() -> None:
    match = HttpMatch(headers={"a": StringMatch(prefix="in"), "b": StringMatch(regex="^1$")})

    (each,) = alternatives([match])

    assert [
        {"header": {"name": "a", "contains": "in"}},
        {"header": {"name": "b", "regex": "^1$"}},
    ] == each


def test_a_mirror_is_an_entry_without_a_share_and_a_route_has_but_one() -> None:
    route: Obj = {"services": [service("web-primary"), service("web-canary", weight=0)]}

    found = ROUTES.mirrored("routes", route, route["services"][1], 30)

    assert service("web-canary", mirror=True, weight=30) == found["services"][-1]
    assert service("web-canary", mirror=True) == mirror(service("web-canary", weight=7), 0)
    assert ROUTES.mirrors_to(found, "web-canary", "shop")
    assert not ROUTES.mirrors_to(found, "web-primary", "shop")
    assert route == ROUTES.unmirrored(found, "web-canary", "shop")
    with pytest.raises(Refusal, match="allows but one"):
        ROUTES.mirrored("routes", found, service("web-canary"), 0)
