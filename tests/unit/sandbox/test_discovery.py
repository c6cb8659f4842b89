"""What the API says about itself."""

from __future__ import annotations

from serinus.sandbox import discovery
from serinus.sandbox.resources import Kinds

KINDS = Kinds()


def test_every_kind_is_in_the_list_of_its_version() -> None:
    for kind in KINDS:
        found = discovery.resources(KINDS, kind.group, kind.version)
        assert found is not None
        rows = {row["name"]: row for row in found["resources"]}
        assert rows[kind.plural]["kind"] == kind.kind
        assert (f"{kind.plural}/status" in rows) is kind.status
        assert (f"{kind.plural}/scale" in rows) is kind.scale


def test_both_ways_of_asking_name_the_same_kinds() -> None:
    whole = [discovery.aggregated(KINDS, core) for core in (True, False)]
    named = {
        (item["metadata"]["name"], version["version"], row["resource"])
        for document in whole
        for item in document["items"]
        for version in item["versions"]
        for row in version["resources"]
    }

    assert named == {(kind.group, kind.version, kind.plural) for kind in KINDS}


def test_groups_prefer_a_version() -> None:
    groups = {group["name"]: group for group in discovery.groups(KINDS)["groups"]}

    assert groups["traefik.io"]["preferredVersion"]["groupVersion"] == "traefik.io/v1alpha1"
    assert discovery.group(KINDS, "apps") is not None
    assert "" not in groups


def test_what_is_not_served_is_not_described() -> None:
    assert discovery.group(KINDS, "zoo.org") is None
    assert discovery.resources(KINDS, "zoo.org", "v1") is None
    assert discovery.openapi(KINDS, "apis/zoo.org/v1") is None


def test_openapi_says_that_the_server_validates() -> None:
    """Without this kubectl would look for schemas to validate with by itself."""
    index = discovery.openapi_index(KINDS)["paths"]
    for kind in KINDS:
        root = f"apis/{kind.api_version}" if kind.group else "api/v1"
        assert root in index
        document = discovery.openapi(KINDS, root)
        assert document is not None
        patches = [
            path["patch"]
            for path in document["paths"].values()
            if path["patch"]["x-kubernetes-group-version-kind"]["kind"] == kind.kind
        ]
        assert [p["name"] for p in patches[0]["parameters"]].count("fieldValidation") == 1
