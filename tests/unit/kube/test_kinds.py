"""Paths of the API."""

from __future__ import annotations

import pytest

from serinus.kube.kinds import KINDS, Resource, base_path, discovered, path_of


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("v1", "Pod", "/api/v1/namespaces/shop/pods/web"),
        ("apps/v1", "Deployment", "/apis/apps/v1/namespaces/shop/deployments/web"),
        ("flagger.app/v1beta1", "Canary", "/apis/flagger.app/v1beta1/namespaces/shop/canaries/web"),
        ("v1", "Namespace", "/api/v1/namespaces/web"),
        (
            "gateway.networking.k8s.io/v1",
            "GatewayClass",
            "/apis/gateway.networking.k8s.io/v1/gatewayclasses/web",
        ),
    ],
)
def test_an_object_has_a_path(api_version: str, kind: str, path: str) -> None:
    """Cluster-scoped kinds have none in a namespace, whatever is asked."""
    assert path_of(api_version, KINDS[api_version, kind], "shop", "web") == path


def test_a_collection_is_of_a_namespace_or_of_all() -> None:
    assert path_of("v1", Resource("pods"), "shop") == "/api/v1/namespaces/shop/pods"
    assert path_of("v1", Resource("pods")) == "/api/v1/pods"


def test_a_subresource_comes_last() -> None:
    path = path_of("apps/v1", Resource("deployments"), "shop", "web", "status")

    assert path == "/apis/apps/v1/namespaces/shop/deployments/web/status"


def test_a_name_cannot_lead_elsewhere() -> None:
    """Names come from manifests; a slash in one must not reach another object."""
    path = path_of("v1", Resource("pods"), "shop", "../../secrets/x")

    assert path == "/api/v1/namespaces/shop/pods/..%2F..%2Fsecrets%2Fx"


def test_discovery_names_kinds_without_their_subresources() -> None:
    answer = {
        "resources": [
            {"name": "widgets", "kind": "Widget", "namespaced": True},
            {"name": "widgets/status", "kind": "Widget", "namespaced": True},
            {"name": "zones", "kind": "Zone", "namespaced": False},
        ]
    }

    assert discovered(answer) == {"Widget": Resource("widgets"), "Zone": Resource("zones", False)}
    assert discovered({}) == {}


def test_the_core_group_has_a_path_of_its_own() -> None:
    assert base_path("v1") == "/api/v1"
    assert base_path("apps/v1") == "/apis/apps/v1"
