"""Whether a new schema may take the place of an old one within the same version.

Old readers skip fields they do not know, and new readers find defaults for fields that an old
writer left out. So: nothing is removed, nothing changes its type, new fields are optional.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


def breaks(old: Schema, new: Schema) -> list[str]:
    """Why `new` may not replace `old`, one sentence each; empty where it may."""
    return list(_differences(_inlined(old, old), _inlined(new, new), "message"))


def _differences(old: Schema, new: Schema, path: str) -> Iterator[str]:
    if "anyOf" in old or "anyOf" in new:
        yield from _lost_choices(old, new, path)
        return
    if old.get("type") != new.get("type"):
        yield f"{path} changed from {old.get('type')} to {new.get('type')}"
    if "enum" in new:
        words = {str(word) for word in old.get("enum", ())} - {str(word) for word in new["enum"]}
        if words or "enum" not in old:
            yield f"{path} no longer takes {', '.join(sorted(words)) or 'any value'}"
    yield from _lost_fields(old, new, path)
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(old.get(key), Mapping) and isinstance(new.get(key), Mapping):
            yield from _differences(old[key], new[key], path + mark)


def _lost_fields(old: Schema, new: Schema, path: str) -> Iterator[str]:
    there = new.get("properties", {})
    for name, field in old.get("properties", {}).items():
        if name in there:
            yield from _differences(field, there[name], f"{path}.{name}")
        else:
            yield f"{path}.{name} was removed"
    for name in sorted({*new.get("required", ())} - {*old.get("required", ())}):
        yield f"{path}.{name} became required"


def _lost_choices(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """A union may gain types; each that it had must still be taken by one of the new ones."""
    choices = new.get("anyOf", [new])
    for choice in old.get("anyOf", [old]):
        if not any(_takes(other, choice, path) for other in choices):
            yield f"{path} no longer takes {choice.get('type') or 'one of its types'}"


def _takes(new: Schema, old: Schema, path: str) -> bool:
    return not list(_differences(old, new, path))


def _inlined(node: Any, root: Schema) -> Any:
    """The node with every reference replaced by what it names; messages never nest themselves."""
    if isinstance(node, Mapping):
        if "$ref" in node:
            return _inlined(root["$defs"][str(node["$ref"]).rpartition("/")[2]], root)
        return {key: _inlined(value, root) for key, value in node.items() if key != "$defs"}
    return [_inlined(item, root) for item in node] if isinstance(node, list) else node
