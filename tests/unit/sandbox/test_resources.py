"""The table of kinds."""

from __future__ import annotations

import pytest

from serinus.sandbox.errors import ApiError
from serinus.sandbox.resources import BUILT_IN, Kinds, custom_resources


def test_no_kind_is_in_the_table_twice() -> None:
    names = [(row.group, row.version, row.plural) for row in BUILT_IN]

    assert len(names) == len(set(names))


def test_what_traefik_reads_is_there() -> None:
    traefik = {row.kind for row in BUILT_IN if row.group == "traefik.io"}

    assert traefik == {
        "IngressRoute", "IngressRouteTCP", "IngressRouteUDP", "Middleware", "MiddlewareTCP",
        "ServersTransport", "ServersTransportTCP", "TLSOption", "TLSStore", "TraefikService",
    }  # fmt: skip


def test_a_kind_is_found_by_path_identity_and_name() -> None:
    kinds = Kinds()
    canaries = kinds.at("flagger.app", "v1beta1", "canaries")

    assert kinds.by_id(("flagger.app", "canaries")) == canaries
    assert kinds.of("flagger.app/v1beta1", "Canary") == canaries
    assert kinds.of("v1", "Pod") == kinds.at("", "v1", "pods")
    with pytest.raises(ApiError):
        kinds.at("flagger.app", "v2", "canaries")


def test_a_definition_makes_a_row_per_served_version() -> None:
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
    column = {"name": "Size", "jsonPath": ".spec.size", "type": "integer", "priority": 1}
    v2 = {
        "name": "v2",
        "served": True,
        "subresources": {"status": {}, "scale": scale},
        "additionalPrinterColumns": [column],
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }
    names = {"plural": "birds", "kind": "Bird", "shortNames": ["bd"]}
    versions = [{"name": "v1", "served": True}, {"name": "v0", "served": False}, v2]
    spec = {"group": "zoo.org", "scope": "Cluster", "names": names, "versions": versions}

    one, two = custom_resources({"spec": spec})

    assert (one.version, one.status, one.namespaced) == ("v1", False, False)
    assert (two.version, two.status, two.scale, two.scale_paths) == ("v2", True, True, scale)
    assert two.columns[0].path == ".spec.size"
    assert two.schema == {"type": "object"}
    assert one.id == two.id


def test_a_removed_kind_is_gone_in_all_versions() -> None:
    kinds = Kinds()

    kinds.remove("flagger.app", "canaries")

    assert kinds.by_id(("flagger.app", "canaries")) is None
    assert kinds.by_id(("flagger.app", "metrictemplates")) is not None
