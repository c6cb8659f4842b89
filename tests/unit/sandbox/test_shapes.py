"""Which parts of an object merge how."""

from __future__ import annotations

from serinus.sandbox.resources import BUILT_IN, Resource
from serinus.sandbox.shapes import Shape, shape_of


def built_in(*names: str) -> Shape:
    shape = Shape("builtin")
    for name in names:
        shape = shape.child(name)
    return shape


def a_custom_kind(schema: dict[str, object] | None = None) -> Resource:
    return Resource("example.org", "v1", "things", "Thing", custom=True, schema=schema)


def test_ports_are_keyed_by_where_they_are() -> None:
    assert built_in("spec", "ports").keys == ("port", "protocol")
    assert built_in("spec", "containers", "ports").keys == ("containerPort", "protocol")
    assert built_in("ports").keys == ()


def test_a_missing_protocol_counts_as_tcp() -> None:
    ports = built_in("spec", "ports")

    assert ports.key_of({"port": 80}) == ports.key_of({"port": 80, "protocol": "TCP"})
    assert ports.key_of({"port": 80}) != ports.key_of({"port": 80, "protocol": "UDP"})


def test_selectors_are_one_value() -> None:
    assert built_in("spec", "selector").atomic
    assert not built_in("spec", "template").atomic


def test_lists_of_a_custom_kind_without_a_schema_are_atomic() -> None:
    containers = shape_of(a_custom_kind()).child("spec").child("containers")

    assert (containers.keys, containers.unique, containers.atomic) == ((), False, False)


def test_metadata_is_the_same_in_every_kind() -> None:
    for resource in (a_custom_kind(), a_custom_kind({"type": "object"}), BUILT_IN[0]):
        metadata = shape_of(resource).child("metadata")
        assert metadata.child("ownerReferences").keys == ("uid",)
        assert metadata.child("finalizers").unique


def test_a_schema_says_which_lists_are_keyed() -> None:
    rules = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {"properties": {"tags": {"x-kubernetes-list-type": "set"}}},
    }
    ref = {"x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}}
    spec = {"properties": {"rules": rules, "ref": ref, "plain": {"type": "array"}}}
    shape = shape_of(a_custom_kind({"properties": {"spec": spec}})).child("spec")

    assert shape.child("rules").keys == ("name",)
    assert shape.child("rules").item().child("tags").unique
    assert shape.child("ref").atomic
    assert shape.child("plain").keys == ()
