"""Structural schemas: what is dropped, filled in and refused."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.sandbox.schema import mistakes, prune, with_defaults

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "weight": {"type": "number", "minimum": 0, "maximum": 100},
        "port": {"x-kubernetes-int-or-string": True},
        "list": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
        "maybe": {"type": "string", "nullable": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "one": {"oneOf": [{"required": ["x"]}, {"required": ["y"]}]},
        "limit": {"type": "integer", "default": 10},
    },
}
SCHEMA = {"type": "object", "properties": {"spec": SPEC}}


def wrong(**spec: Any) -> list[tuple[str, str]]:
    found = mistakes({"kind": "X", "metadata": {}, "spec": {"name": "abc", **spec}}, SCHEMA)
    return [(path, reason) for path, reason, _ in found]


def test_a_good_object_has_no_mistakes() -> None:
    spec = {
        "kind": "a", "weight": 99.5, "port": "http", "list": [1, 2.0], "maybe": None,
        "labels": {"a": "b"}, "free": {"x": [1]}, "one": {"x": 1},
    }  # fmt: skip
    assert wrong(**spec) == []


@pytest.mark.parametrize(
    ("field", "value", "path", "reason"),
    [
        ("name", 7, "spec.name", "FieldValueTypeInvalid"),
        ("name", "ABC", "spec.name", "FieldValueInvalid"),
        ("name", "abcdef", "spec.name", "FieldValueTooLong"),
        ("kind", "c", "spec.kind", "FieldValueNotSupported"),
        ("weight", 101, "spec.weight", "FieldValueInvalid"),
        ("weight", -1, "spec.weight", "FieldValueInvalid"),
        ("weight", True, "spec.weight", "FieldValueTypeInvalid"),
        ("port", 1.5, "spec.port", "FieldValueTypeInvalid"),
        ("list", [], "spec.list", "FieldValueInvalid"),
        ("list", [1, "2"], "spec.list[1]", "FieldValueTypeInvalid"),
        ("labels", {"a": 1}, "spec.labels.a", "FieldValueTypeInvalid"),
        ("one", {}, "spec.one", "FieldValueInvalid"),
        ("one", {"x": 1, "y": 1}, "spec.one", "FieldValueInvalid"),
    ],
)
def test_a_mistake_is_named_with_its_place(field: str, value: Any, path: str, reason: str) -> None:
    assert (path, reason) in wrong(**{field: value})


def test_a_missing_required_field_is_a_mistake() -> None:
    found = list(mistakes({"spec": {}}, SCHEMA))

    assert found == [("spec.name", "FieldValueRequired", "Required value")]


def test_unknown_fields_go_and_free_ones_stay() -> None:
    obj = {
        "apiVersion": "v1",
        "metadata": {"anything": 1},
        "extra": 1,
        "spec": {"name": "a", "typo": 1, "free": {"x": 1}, "labels": {"a": "b"}},
    }

    kept, unknown = prune(obj, SCHEMA)

    assert kept == {
        "apiVersion": "v1",
        "metadata": {"anything": 1},
        "spec": {"name": "a", "free": {"x": 1}, "labels": {"a": "b"}},
    }
    assert unknown == ["extra", "spec.typo"]


def test_unknown_fields_in_lists_go_too() -> None:
    schema = {"properties": {"l": {"items": {"properties": {"a": {}}}}}}

    assert prune({"l": [{"a": 1, "b": 2}]}, schema) == ({"l": [{"a": 1}]}, ["l[0].b"])


def test_defaults_fill_gaps_and_nothing_else() -> None:
    assert with_defaults({"spec": {"name": "a"}}, SCHEMA)["spec"]["limit"] == 10
    assert with_defaults({"spec": {"limit": 3}}, SCHEMA)["spec"]["limit"] == 3
    assert with_defaults({}, SCHEMA) == {}
