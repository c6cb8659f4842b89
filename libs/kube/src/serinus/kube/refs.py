"""Naming objects, labels and owners: pure helpers on plain dicts."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

Obj = dict[str, Any]


class Ref(Struct, frozen=True, order=True):
    """One object by name. `namespace` is "" for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}.{self.namespace}"


def ref_of(obj: Obj) -> Ref:
    """The reference of a whole object."""
    meta = obj["metadata"]
    return Ref(obj["apiVersion"], obj["kind"], meta.get("namespace", ""), meta["name"])
