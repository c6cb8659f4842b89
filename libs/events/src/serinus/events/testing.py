"""A contract kit for subscribers: one message of every kind, as it would be delivered.

    for sample in samples():
        my_handler(sample.subject, sample.headers, sample.body)

Every field of a sample is filled, so code that reads a field finds a value of the right type. What
is not promised here is that the values fit each other: no release looks like all samples together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from serinus.events.codec import encode, headers
from serinus.events.subjects import TABLE, subject_of

AT = 1_767_225_600.0
"""The moment of all samples: 2026-01-01T00:00:00Z, in Unix seconds."""

_AT_TEXT = "2026-01-01T00:00:00Z"
# What a field's type does not say but its readers rely on.
_KNOWN: Mapping[str, Any] = {
    "namespace": "shop",
    "name": "web",
    "at": AT,
    "stamp": AT,
    "service": "analyzer",
    "subject": "serinus.fact.rollout.promoted.shop.web",
}
_PATTERNED = ("1m", "text", "1")


class Sample(msgspec.Struct, frozen=True):
    """One message with everything that comes with it."""

    message: Any
    subject: str
    headers: Mapping[str, str]
    body: bytes


def samples() -> Sequence[Sample]:
    """One of every kind in the subject table, in its order; always the same ones."""
    return [_sample(row.message) for row in TABLE]


def filled(kind: type[Any]) -> Any:
    """A message of this kind with every field filled."""
    return msgspec.convert(_value(inspect.type_info(kind), "", ()), kind)


def _sample(kind: type[Any]) -> Sample:
    message = filled(kind)
    subject = subject_of(message)
    return Sample(message, subject, headers(message, at=_AT_TEXT), encode(message))


def _value(of: inspect.Type, field: str, path: tuple[type[Any], ...]) -> Any:
    """A value that converts to this type. `path` holds the Structs around it, to end recursion."""
    match of:
        case inspect.Metadata(type=inner):
            return _value(inner, field, path)
        case inspect.StructType(cls=cls):
            return _struct(of, (*path, cls))
        case inspect.UnionType(types=types):
            found = [t for t in types if not isinstance(t, inspect.NoneType)]
            return _value(found[0], field, path)
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.DictType(value_type=value):
            return {"key": _value(value, "", path)}
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            is_again = isinstance(item, inspect.StructType) and item.cls in path
            return [] if is_again else [_value(item, "", path)]
        case inspect.StrType(pattern=str(pattern)):
            return next(text for text in _PATTERNED if re.search(pattern, text))
        case inspect.StrType():
            return _KNOWN.get(field, field or "text")
        case inspect.BoolType():
            return True
        case inspect.IntType() | inspect.FloatType():
            return _KNOWN.get(field, 1)
        case _:
            return None


def _struct(of: inspect.StructType, path: tuple[type[Any], ...]) -> dict[str, Any]:
    made = {f.encode_name: _value(f.type, f.name, path) for f in of.fields}
    return {of.tag_field: of.tag, **made} if of.tag_field else made
