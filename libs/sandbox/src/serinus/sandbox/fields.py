"""Sets of fields: what an object says, who says it, and the FieldsV1 notation of that.

A field's path is a tuple of elements written as FieldsV1 writes them: `f:name` for a field,
`k:{...}` for an item of a keyed list, `v:...` for a value of a set. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from serinus.sandbox.errors import Obj
from serinus.sandbox.shapes import Shape

Path = tuple[str, ...]
Fields = frozenset[Path]

ITEM: Final = object()
"""The value that stands for "this item is in the list"; its fields have paths of their own."""

_UNOWNED: frozenset[Path] = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation",
            "managedFields", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds",
        )
    }
)  # fmt: skip
"""What belongs to the system and is in nobody's set."""


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def element_of(shape: Shape, item: Any) -> str:
    """The path element of an item of a list with this shape."""
    return "v:" + _compact(item) if shape.unique else "k:" + _compact(dict(shape.key_of(item)))


def flatten(value: Any, shape: Shape, path: Path = ()) -> dict[Path, Any]:
    """Every leaf of `value` by its path; what is atomic is one leaf."""
    if isinstance(value, dict) and value and not shape.atomic:
        leaves: dict[Path, Any] = {}
        for name, held in value.items():
            leaves |= flatten(held, shape.child(name), (*path, f"f:{name}"))
        return leaves
    if isinstance(value, list) and value and (shape.keys or shape.unique):
        leaves = {}
        for held in value:
            here = (*path, element_of(shape, held))
            leaves[here] = ITEM
            if shape.keys:
                leaves |= flatten(held, shape.item(), here)
        return leaves
    return {path: value}


def leaves_of(obj: Obj, shape: Shape) -> dict[Path, Any]:
    """The leaves of an object that somebody can own."""
    return {
        path: value
        for path, value in flatten(obj, shape).items()
        if path not in _UNOWNED and path[:2] != ("f:metadata", "f:managedFields")
    }


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: True is not 1."""
    return bool(one is other or (one == other and isinstance(one, bool) == isinstance(other, bool)))


def differences(old: Mapping[Path, Any], new: Mapping[Path, Any]) -> tuple[Fields, Fields]:
    """(fields added or changed, fields gone) between two results of `leaves_of`."""
    changed = {path for path, value in new.items() if path not in old or not same(old[path], value)}
    return frozenset(changed), frozenset(path for path in old if path not in new)


def to_v1(fields: Iterable[Path]) -> Obj:
    """The FieldsV1 notation of a set."""
    paths = set(fields)
    tree: Obj = {}
    for path in sorted(paths):
        here = tree
        for element in path:
            here = here.setdefault(element, {})
    _mark(tree, (), paths)
    return tree


def _mark(tree: Obj, path: Path, paths: set[Path]) -> None:
    for element, below in tree.items():
        here = (*path, element)
        _mark(below, here, paths)
        if below and here in paths:
            tree[element] = {".": {}, **below}


def from_v1(tree: Mapping[str, Any], path: Path = ()) -> Fields:
    """The set that a FieldsV1 tree stands for."""
    found: set[Path] = set()
    for element, below in tree.items():
        if element == ".":
            found.add(path)
        elif below:
            found |= from_v1(below, (*path, _normal(element)))
        else:
            found.add((*path, _normal(element)))
    return frozenset(found)


def _normal(element: str) -> str:
    if element[:2] in {"k:", "v:"}:
        return element[:2] + _compact(json.loads(element[2:]))
    return element


def spoken(path: Path) -> str:
    """The path as messages show it: `.spec.containers[name="web"].image`."""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            text += "." + rest
        elif kind == "k":
            pairs = json.loads(rest)
            text += "[" + ",".join(f"{k}={_compact(v)}" for k, v in pairs.items()) + "]"
        else:
            text += "[=" + rest + "]"
    return text


def remove(value: Any, shape: Shape, doomed: Callable[[Path], bool], path: Path = ()) -> Any:
    """`value` without the leaves and items that `doomed` names; None when nothing is left.

    Maps and lists that were empty before stay; those that become empty go with their last part.
    """
    if isinstance(value, dict) and value and not shape.atomic:
        kept = {}
        for name, held in value.items():
            here = (*path, f"f:{name}")
            rest = None if doomed(here) else remove(held, shape.child(name), doomed, here)
            if rest is not None or (held is None and not doomed(here)):
                kept[name] = rest
        return kept or None
    if isinstance(value, list) and value and (shape.keys or shape.unique):
        items = []
        for held in value:
            here = (*path, element_of(shape, held))
            if doomed(here):
                continue
            rest = remove(held, shape.item(), doomed, here) if shape.keys else held
            if rest is not None:
                items.append(rest)
        return items or None
    return value
