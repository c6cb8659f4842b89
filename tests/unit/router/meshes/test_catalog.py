"""Which row a provider's name means."""

from __future__ import annotations

import pytest

from serinus.router.meshes.catalog import MESHES, find


@pytest.mark.parametrize(
    ("name", "row"),
    [
        *((name, name) for name in MESHES),
        ("smi:v1alpha1:istio", "smi:v1alpha1"),
        ("appmesh:v1beta2:x", "appmesh:v1beta2"),
        ("gatewayapi:v1beta1x", "gatewayapi:v1beta1"),
        ("gatewayapi:v1alpha2", "gatewayapi:v1"),
        ("gloo:v1", "gloo"),
        ("gatewayapi", None),
        ("istio:v1", None),
        ("", None),
    ],
)
def test_a_name_is_found_as_the_reference_has_it(name: str, row: str | None) -> None:
    """Reference 4.1, but that nothing is guessed: what is unknown is not taken for Istio."""
    found = find(name)

    assert row == (found.name if found else None)
