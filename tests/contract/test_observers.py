"""Meshes and their metrics are two tables of two services; their names agree (reference 4.1)."""

from __future__ import annotations

from typing import get_args

import pytest

from serinus.analyzer.core.observers import OBSERVERS
from serinus.analyzer.core.queries import observer_of
from serinus.events.canary import Provider
from serinus.router.meshes.catalog import MESHES

OWN = (
    "istio",
    "linkerd",
    "osm",
    "appmesh",
    "contour",
    "knative",
    "gloo",
    "nginx",
    "skipper",
    "traefik",
    "apisix",
    "kuma",
)
OBSERVED = {
    **{name: name for name in OWN},
    "appmesh:v1beta2": "appmesh",
    "gatewayapi:v1": "http",
    "gatewayapi:v1beta1": "http",
    "kubernetes": "http",
    "smi:v1alpha1": "istio",
    "smi:v1alpha2": "istio",
    "smi:v1alpha3": "istio",
}


@pytest.mark.parametrize("provider", get_args(Provider))
def test_every_provider_is_measured_as_flagger_measures_it(provider: str) -> None:
    assert OBSERVED[provider] == observer_of(provider)


def test_no_observer_is_without_a_mesh_and_no_mesh_without_an_observer() -> None:
    assert set(OBSERVERS) == set(OBSERVED.values())
    assert set(MESHES) <= set(get_args(Provider))
