"""The Gateway API's words for rules that are shared."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.events.canary import HttpMatch, StringMatch
from serinus.router.core.gatewayrules import GatewayRules
from serinus.router.core.objects import Refusal

HTTP = GatewayRules("HTTPRoute", has_percent=True)
GRPC = GatewayRules("GRPCRoute", has_percent=True)
TCP = GatewayRules("TCPRoute", has_percent=True)
CANARY: dict[str, Any] = {"name": "web-canary", "port": 80, "weight": 0, "filters": []}
INSIDER = HttpMatch(headers={"x-canary": StringMatch(exact="1")})


@pytest.mark.parametrize(
    ("entry", "service"),
    [
        ({"name": "web"}, "web"),
        ({"name": "web", "group": "", "kind": "Service", "namespace": "shop"}, "web"),
        ({"name": "web", "namespace": "other"}, ""),
        ({"name": "web", "kind": "ServiceImport", "group": "multicluster.x-k8s.io"}, ""),
        ({}, ""),
    ],
)
def test_only_services_of_the_namespace_count(entry: Any, service: str) -> None:
    assert service == HTTP.service_of(entry, "shop")


def test_a_rule_without_matches_is_narrowed_from_everything() -> None:
    header = {"type": "Exact", "name": "x-canary", "value": "1"}

    http = HTTP.narrowed("rules", {}, [INSIDER])[0]["matches"]
    grpc = GRPC.narrowed("rules", {}, [INSIDER])[0]["matches"]

    assert [{"path": {"type": "PathPrefix", "value": "/"}, "headers": [header]}] == http
    assert [{"headers": [header]}] == grpc


def test_a_mirror_comes_and_goes_beside_other_filters() -> None:
    audit = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit"}}}
    rule = {"filters": [audit]}

    found = HTTP.mirrored("rules", rule, CANARY, 40)

    mirror = {"backendRef": {"name": "web-canary", "port": 80}, "percent": 40}
    assert [audit, {"type": "RequestMirror", "requestMirror": mirror}] == found["filters"]
    assert HTTP.mirrors_to(found, "web-canary", "shop")
    assert not HTTP.mirrors_to(rule, "web-canary", "shop")
    assert rule == HTTP.unmirrored(found, "web-canary", "shop")
    assert {} == HTTP.unmirrored(HTTP.mirrored("rules", {}, CANARY, 0), "web-canary", "shop")


def test_an_older_version_mirrors_everything() -> None:
    older = GatewayRules("HTTPRoute", has_percent=False)

    (found,) = older.mirrored("rules", {}, CANARY, 40)["filters"]

    assert "percent" not in found["requestMirror"]


def test_connections_are_neither_matched_nor_mirrored() -> None:
    with pytest.raises(Refusal, match="a TCPRoute cannot match"):
        TCP.narrowed("rules", {}, [INSIDER])
    with pytest.raises(Refusal, match="a TCPRoute cannot mirror"):
        TCP.mirrored("rules", {}, CANARY, 0)
