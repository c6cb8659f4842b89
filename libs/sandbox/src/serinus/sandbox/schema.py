"""Structural schemas of custom kinds: unknown fields, defaults, mistakes. Pure.

Covers what definitions in the wild use: types, required, enum, pattern, bounds, oneOf and its
kin, int-or-string, defaults, preserve-unknown-fields. Rules in CEL are not evaluated.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
Cause = tuple[str, str, str]
"""Field path, reason, text: what `errors.invalid` takes."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def prune(value: Any, schema: Schema, path: str = "") -> tuple[Any, list[str]]:
    """`value` without the fields that the schema does not know, and their paths.

    The root's apiVersion, kind and metadata are always known.
    """
    if isinstance(value, dict):
        return _prune_map(value, schema, path)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        pairs = [prune(v, schema["items"], f"{path}[{i}]") for i, v in enumerate(value)]
        return [kept for kept, _ in pairs], [p for _, unknown in pairs for p in unknown]
    return value, []


def _prune_map(value: dict[str, Any], schema: Schema, path: str) -> tuple[Any, list[str]]:
    known: Schema = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    free = schema.get("x-kubernetes-preserve-unknown-fields") or extra is True
    kept, unknown = {}, []
    for name, held in value.items():
        here = f"{path}.{name}" if path else name
        below = known.get(name, extra if isinstance(extra, dict) else None)
        if not path and name in {"apiVersion", "kind", "metadata"}:
            kept[name] = held
        elif below is not None:
            kept[name], more = prune(held, below, here)
            unknown += more
        elif free:
            kept[name] = held
        else:
            unknown.append(here)
    return kept, unknown


def with_defaults(value: Any, schema: Schema) -> Any:
    """`value` with the schema's defaults where a field is missing."""
    if isinstance(value, dict):
        filled = dict(value)
        for name, below in (schema.get("properties") or {}).items():
            if name not in filled and "default" in below:
                filled[name] = copy.deepcopy(below["default"])
            if name in filled:
                filled[name] = with_defaults(filled[name], below)
        return filled
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [with_defaults(item, schema["items"]) for item in value]
    return value


def mistakes(value: Any, schema: Schema, path: str = "") -> Iterator[Cause]:
    """Everything in `value` that breaks the schema, in reading order."""
    if value is None and (schema.get("nullable") or not path):
        return
    wrong = _wrong_type(value, schema)
    if wrong:
        yield path, "FieldValueTypeInvalid", wrong
        return
    yield from _wrong_value(value, schema, path)
    yield from _wrong_choice(value, schema, path)
    if isinstance(value, dict):
        yield from _wrong_fields(value, schema, path)
    elif isinstance(value, list):
        yield from _wrong_items(value, schema, path)


def _wrong_type(value: Any, schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        fine = isinstance(value, int | str) and not isinstance(value, bool)
        return "" if fine else f"Invalid value: {_type(value)}: must be an integer or a string"
    kind = schema.get("type")
    if not kind or kind not in _TYPES:
        return ""
    if isinstance(value, bool) and kind != "boolean":
        fine = False
    elif kind == "integer" and isinstance(value, float):
        fine = value.is_integer()
    else:
        fine = isinstance(value, _TYPES[kind])
    if fine:
        return ""
    return f'Invalid value: "{_type(value)}": must be of type {kind}: "{_type(value)}"'


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number"}
    return names.get(type(value), "unknown")


def _wrong_value(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    if schema.get("enum") and value not in schema["enum"]:
        listed = ", ".join(f'"{entry}"' for entry in schema["enum"])
        yield (
            path,
            "FieldValueNotSupported",
            f'Unsupported value: "{value}": supported values: {listed}',
        )
    if isinstance(value, str):
        pattern = schema.get("pattern")
        if pattern and not re.search(pattern, value):
            text = f"Invalid value: \"{value}\": {path} in body should match '{pattern}'"
            yield path, "FieldValueInvalid", text
        yield from _wrong_size(len(value), schema, path, "Length", "chars long")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and value < low:
            text = (
                f"Invalid value: {value}: {path} in body should be greater than or equal to {low}"
            )
            yield path, "FieldValueInvalid", text
        if high is not None and value > high:
            text = f"Invalid value: {value}: {path} in body should be less than or equal to {high}"
            yield path, "FieldValueInvalid", text


def _wrong_size(size: int, schema: Schema, path: str, noun: str, unit: str) -> Iterator[Cause]:
    low, high = schema.get(f"min{noun}"), schema.get(f"max{noun}")
    if low is not None and size < low:
        text = f"Invalid value: {size}: {path} in body should be at least {low} {unit}"
        yield path, "FieldValueInvalid", text
    if high is not None and size > high:
        yield path, "FieldValueTooLong", f"Too long: may not be more than {high} {unit}"


def _wrong_choice(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    def fits(other: Schema) -> bool:
        return next(mistakes(value, other, path or "."), None) is None

    for other in schema.get("allOf") or ():
        yield from mistakes(value, other, path)
    if schema.get("anyOf") and not any(fits(other) for other in schema["anyOf"]):
        text = f'Invalid value: "": "{path}" must validate at least one schema (anyOf)'
        yield path, "FieldValueInvalid", text
    if schema.get("oneOf") and sum(fits(other) for other in schema["oneOf"]) != 1:
        text = f'Invalid value: "": "{path}" must validate one and only one schema (oneOf)'
        yield path, "FieldValueInvalid", text
    if schema.get("not") and fits(schema["not"]):
        yield path, "FieldValueInvalid", f'Invalid value: "": "{path}" must not validate (not)'


def _wrong_fields(value: dict[str, Any], schema: Schema, path: str) -> Iterator[Cause]:
    for name in schema.get("required") or ():
        if name not in value:
            yield f"{path}.{name}" if path else name, "FieldValueRequired", "Required value"
    known: Schema = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for name, held in value.items():
        below = known.get(name, extra if isinstance(extra, dict) else None)
        if below is not None and (path or name not in {"apiVersion", "kind", "metadata"}):
            yield from mistakes(held, below, f"{path}.{name}" if path else name)


def _wrong_items(value: list[Any], schema: Schema, path: str) -> Iterator[Cause]:
    yield from _wrong_size(len(value), schema, path, "Items", "items long")
    if isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from mistakes(item, schema["items"], f"{path}[{index}]")
