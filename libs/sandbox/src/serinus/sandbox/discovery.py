"""What the API says about itself: groups, versions, resources, and the OpenAPI that kubectl needs.

kubectl reads two things from OpenAPI: whether a kind's PATCH takes `fieldValidation` and
`dryRun`, which decides who validates. Schemas of fields are not published. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from serinus.sandbox.errors import Obj
from serinus.sandbox.resources import Kinds, Resource

VERSION = {"major": "1", "minor": "37", "gitVersion": "v1.37.0+sandbox", "platform": "serinus"}

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
AGGREGATED = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def _sorted(kinds: Iterable[Resource]) -> list[Resource]:
    return sorted(kinds, key=lambda r: (r.group, r.version, r.plural))


def core_versions() -> Obj:
    """`/api`"""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups(kinds: Kinds) -> Obj:
    """`/apis`"""
    found = groupby(_sorted(k for k in kinds if k.group), key=lambda r: r.group)
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name, list(rows)) for name, rows in found],
    }


def group(kinds: Kinds, name: str) -> Obj | None:
    """`/apis/GROUP`, or None when there is no such group."""
    rows = _sorted(k for k in kinds if k.group == name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, rows)} if rows else None


def _group(name: str, rows: list[Resource]) -> Obj:
    names = list(dict.fromkeys(row.version for row in rows))
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in names]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(kinds: Kinds, group_name: str, version: str) -> Obj | None:
    """`/api/v1` and `/apis/GROUP/VERSION`, or None when nothing is served there."""
    rows = _sorted(k for k in kinds if (k.group, k.version) == (group_name, version))
    if not rows:
        return None
    listed = []
    for row in rows:
        listed.append(
            {
                "name": row.plural,
                "singularName": row.singular,
                "namespaced": row.namespaced,
                "kind": row.kind,
                "verbs": _VERBS,
                "shortNames": list(row.short),
                "categories": list(row.categories),
            }
        )
        for name, kind in _subresources(row):
            listed.append(
                {
                    "name": f"{row.plural}/{name}",
                    "singularName": "",
                    "namespaced": row.namespaced,
                    "kind": kind,
                    "verbs": ["get", "patch", "update"],
                }
                | ({"group": "autoscaling", "version": "v1"} if kind == "Scale" else {})
            )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": rows[0].api_version,
        "resources": listed,
    }


def _subresources(row: Resource) -> list[tuple[str, str]]:
    found = [("status", row.kind)] if row.status else []
    return [*found, ("scale", "Scale")] if row.scale else found


def aggregated(kinds: Kinds, core: bool) -> Obj:
    """`/api` or `/apis` as one document, the way newer clients ask for it."""
    rows = _sorted(k for k in kinds if (not k.group) is core)
    items = []
    for name, of_group in groupby(rows, key=lambda r: r.group):
        versions = [
            {"version": version, "freshness": "Current", "resources": [_entry(r) for r in some]}
            for version, some in groupby(of_group, key=lambda r: r.version)
        ]
        items.append({"metadata": {"name": name}, "versions": versions})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _entry(row: Resource) -> Obj:
    def kind(name: str) -> Obj:
        if name == "Scale":
            return {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        return {"group": row.group, "version": row.version, "kind": name}

    return {
        "resource": row.plural,
        "responseKind": kind(row.kind),
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": _VERBS,
        "shortNames": list(row.short),
        "categories": list(row.categories),
        "subresources": [
            {"subresource": name, "responseKind": kind(of), "verbs": ["get", "patch", "update"]}
            for name, of in _subresources(row)
        ],
    }


def openapi_index(kinds: Kinds) -> Obj:
    """`/openapi/v3`: where each group's document is."""
    paths = sorted({_root(row) for row in kinds})
    return {"paths": {p: {"serverRelativeURL": f"/openapi/v3/{p}?hash=1"} for p in paths}}


def _root(row: Resource) -> str:
    return f"apis/{row.api_version}" if row.group else f"api/{row.version}"


def openapi(kinds: Kinds, root: str) -> Obj | None:
    """`/openapi/v3/ROOT`: the paths of one group and version."""
    rows = [row for row in kinds if _root(row) == root]
    if not rows:
        return None
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": {_path(row): {"patch": _patch(row)} for row in rows},
        "components": {"schemas": {}},
    }


def _path(row: Resource) -> str:
    middle = "namespaces/{namespace}/" if row.namespaced else ""
    return f"/{_root(row)}/{middle}{row.plural}/{{name}}"


def _patch(row: Resource) -> Obj:
    kinds = ["application/merge-patch+json", "application/json-patch+json"]
    return {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {
            "group": row.group,
            "version": row.version,
            "kind": row.kind,
        },
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}}
            for name in ("dryRun", "fieldManager", "fieldValidation", "force")
        ],
        "requestBody": {"content": {kind: {"schema": {"type": "object"}} for kind in kinds}},
        "responses": {"200": {"description": "OK"}},
    }
