"""How the parts of an object merge: which lists are keyed, which maps and lists are atomic.

The real server reads this from its OpenAPI documents. For the kinds that it builds in, a table of
field names says the same here; for custom kinds their schema does; for custom kinds without one
every map merges and every list is replaced, as in the real server. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from serinus.sandbox.errors import Obj
from serinus.sandbox.resources import Resource

_KEYED: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "containerStatuses": (),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "secrets": ("name",),
}
"""Lists that are maps by these keys, wherever the field's name appears; () is atomic."""

_PORTS: Mapping[str, tuple[str, ...]] = {
    "containers": ("containerPort", "protocol"),
    "initContainers": ("containerPort", "protocol"),
    "spec": ("port", "protocol"),
}
"""`ports` merges by other keys in a container than in a Service, and not at all elsewhere."""

_SETS = frozenset({"finalizers"})
_ATOMIC_MAPS = frozenset(
    {"selector", "labelSelector", "nodeSelector", "scaleTargetRef", "involvedObject"}
    | {"configMapKeyRef", "secretKeyRef", "fieldRef", "resourceFieldRef", "addresses"}
)
_KEY_DEFAULTS: Mapping[str, Any] = {"protocol": "TCP"}


class Shape(Struct, frozen=True):
    """How one value merges.

    `keys` names the keys of a list that is a map; `unique` marks a list that is a set; `atomic`
    a map that is replaced as one. A list with neither keys nor `unique` is atomic.
    """

    source: str
    trail: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    keys: tuple[str, ...] = ()
    unique: bool = False
    atomic: bool = False

    def child(self, name: str) -> Shape:
        """The shape of the field `name` of a map."""
        trail = (*self.trail, name)
        if trail == ("metadata",):
            return Shape("builtin", trail)
        if self.source == "builtin":
            return _by_name(trail)
        if self.source == "schema":
            return _by_schema(trail, _property(self.schema, name))
        return Shape("open", trail)

    def item(self) -> Shape:
        """The shape of the items of a list."""
        if self.source == "schema":
            return _by_schema(self.trail, (self.schema or {}).get("items"))
        return Shape(self.source, self.trail)

    def key_of(self, item: Any) -> tuple[tuple[str, Any], ...]:
        """The key of a list's item, as sorted pairs; defaults stand in for missing parts."""
        held: Obj = item if isinstance(item, dict) else {}
        return tuple(
            (key, held.get(key, _KEY_DEFAULTS.get(key)))
            for key in sorted(self.keys)
            if key in held or key in _KEY_DEFAULTS
        )


def _by_name(trail: tuple[str, ...]) -> Shape:
    name = trail[-1]
    keys = _KEYED.get(name, ())
    if name == "ports":
        keys = _PORTS.get(trail[-2] if len(trail) > 1 else "", ())
    return Shape("builtin", trail, keys=keys, unique=name in _SETS, atomic=name in _ATOMIC_MAPS)


def _property(schema: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    if not schema:
        return None
    found: Mapping[str, Any] | None = (schema.get("properties") or {}).get(name)
    if found is None and isinstance(schema.get("additionalProperties"), dict):
        found = schema["additionalProperties"]
    return found


def _by_schema(trail: tuple[str, ...], schema: Mapping[str, Any] | None) -> Shape:
    if schema is None:
        return Shape("open", trail)
    kind = schema.get("x-kubernetes-list-type")
    return Shape(
        "schema",
        trail,
        schema,
        keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()) if kind == "map" else (),
        unique=kind == "set",
        atomic=schema.get("x-kubernetes-map-type") == "atomic",
    )


def shape_of(resource: Resource) -> Shape:
    """The shape of a whole object of this kind."""
    if not resource.custom:
        return Shape("builtin")
    if resource.schema:
        return Shape("schema", (), resource.schema)
    return Shape("open")
