"""Pieces of a GRPCRoute, and what neither it nor a TCPRoute can carry."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.events.canary import (
    CorsPolicy,
    HeaderOperations,
    Headers,
    HttpMatch,
    Rewrite,
    ServiceSpec,
    StringMatch,
)
from serinus.router.core.grpcroute import check_tcp, filters_of, matches_of, overriding
from serinus.router.core.objects import Refusal

INSIDER = HttpMatch(headers={"x-canary": StringMatch(exact="insider")})
HEADER = {"type": "Exact", "name": "x-canary", "value": "insider"}


def exact(path: str) -> HttpMatch:
    return HttpMatch(uri=StringMatch(exact=path))


def prefix(path: str) -> HttpMatch:
    return HttpMatch(uri=StringMatch(prefix=path))


@pytest.mark.parametrize(
    ("match", "method"),
    [
        (exact("/shop.Cart/Add"), {"service": "shop.Cart", "method": "Add"}),
        (prefix("/shop.Cart/"), {"service": "shop.Cart"}),
        (prefix("/shop.Cart"), {"service": "shop.Cart"}),
    ],
)
def test_a_path_is_a_service_and_a_method(match: HttpMatch, method: Any) -> None:
    assert [{"method": {"type": "Exact", **method}}] == matches_of([match])


@pytest.mark.parametrize(
    "match",
    [exact("/"), exact("/shop.Cart"), prefix("/shop.Cart/Ad"), HttpMatch(uri=StringMatch())],
)
def test_half_a_method_is_refused(match: HttpMatch) -> None:
    with pytest.raises(Refusal, match="exact /package"):
        matches_of([match])


def test_a_path_by_expression_is_refused() -> None:
    with pytest.raises(Refusal, match="a GRPCRoute matches uri by"):
        matches_of([HttpMatch(uri=StringMatch(regex=".*"))])


@pytest.mark.parametrize(
    "match",
    [HttpMatch(method=StringMatch(exact="GET")), HttpMatch(query_params={"a": StringMatch()})],
)
def test_what_only_http_has_is_refused(match: HttpMatch) -> None:
    with pytest.raises(Refusal, match="by headers and uri only"):
        matches_of([match])


def test_everything_among_the_matches_is_everything() -> None:
    assert [] == matches_of([])
    assert [] == matches_of([prefix("/"), INSIDER])
    assert [{"headers": [HEADER]}] == matches_of([INSIDER])


def test_each_condition_goes_with_each_match() -> None:
    method = {"type": "Exact", "service": "shop.Cart"}

    found = overriding(matches_of([prefix("/shop.Cart/")]), [INSIDER])

    assert [{"method": method, "headers": [HEADER]}] == found
    assert [{"headers": [HEADER]}] == overriding([], [INSIDER])
    with pytest.raises(Refusal, match="has neither"):
        overriding([], [prefix("/")])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rewrite", Rewrite(uri="/")),
        ("corsPolicy", CorsPolicy(allow_origin=("*",))),
        ("timeout", "1s"),
        ("backendTimeout", "1s"),
    ],
)
def test_what_a_grpc_route_has_no_place_for_is_refused(field: str, value: Any) -> None:
    name = {"corsPolicy": "cors_policy", "backendTimeout": "backend_timeout"}.get(field, field)
    service = ServiceSpec(port=80, **{name: value})

    with pytest.raises(Refusal, match=f"a GRPCRoute has no place for spec.service: {field}"):
        filters_of(service)
    with pytest.raises(Refusal, match=f"a TCPRoute has no place for spec.service: {field}"):
        check_tcp(service)


def test_headers_are_changed_as_in_http_and_not_in_tcp() -> None:
    service = ServiceSpec(port=80, headers=Headers(request=HeaderOperations(set={"a": "1"})))

    (found,) = filters_of(service)

    assert "RequestHeaderModifier" == found["type"]
    with pytest.raises(Refusal, match="headers"):
        check_tcp(service)
    check_tcp(ServiceSpec(port=80))
