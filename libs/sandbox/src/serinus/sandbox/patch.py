"""The three patches that are not apply: merge (RFC 7396), JSON (RFC 6902), strategic. Pure."""

from __future__ import annotations

import copy
from typing import Any

from serinus.sandbox import fields as f
from serinus.sandbox.errors import ApiError, bad_request
from serinus.sandbox.shapes import Shape


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: maps merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902; raises ApiError 422 when a test fails or a path is not there."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    result = copy.deepcopy(target)
    for operation in operations:
        try:
            result = _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as broken:
            raise _inapplicable(f"{operation.get('op')} {operation.get('path')}") from broken
    return result


def _inapplicable(what: str) -> ApiError:
    return ApiError(
        422, "Invalid", f"the server rejected our request due to an error in our request: {what}"
    )


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _find(root: Any, steps: list[str]) -> Any:
    for step in steps:
        root = root[int(step)] if isinstance(root, list) else root[step]
    return root


def _operate(root: Any, operation: dict[str, Any]) -> Any:
    steps = _pointer(operation["path"])
    match operation["op"]:
        case "test":
            if not f.same(_find(root, steps), operation["value"]):
                raise _inapplicable(f"testing value {operation['path']} failed")
            return root
        case "remove":
            return _take(root, steps)[0]
        case "add":
            return _put(root, steps, operation["value"], insert=True)
        case "replace":
            _find(root, steps)
            return _put(root, steps, operation["value"], insert=False)
        case "copy":
            value = copy.deepcopy(_find(root, _pointer(operation["from"])))
            return _put(root, steps, value, insert=True)
        case "move":
            root, value = _take(root, _pointer(operation["from"]))
            return _put(root, steps, value, insert=True)
        case other:
            raise bad_request(f"unknown operation {other!r} in a JSON patch")


def _take(root: Any, steps: list[str]) -> tuple[Any, Any]:
    parent = _find(root, steps[:-1])
    last: Any = int(steps[-1]) if isinstance(parent, list) else steps[-1]
    return root, parent.pop(last)


def _put(root: Any, steps: list[str], value: Any, insert: bool) -> Any:
    if not steps:
        return value
    parent = _find(root, steps[:-1])
    if isinstance(parent, dict):
        parent[steps[-1]] = value
    elif insert and steps[-1] == "-":
        parent.append(value)
    elif insert:
        index = int(steps[-1])
        if not 0 <= index <= len(parent):
            raise IndexError(index)
        parent.insert(index, value)
    else:
        parent[int(steps[-1])] = value
    return root


_ORDER = "$setElementOrder/"
_PRIMITIVES = "$deleteFromPrimitiveList/"
_DIRECTIVES = ("$patch", "$retainKeys")


def strategic_patch(target: Any, patch: Any, shape: Shape) -> Any:
    """Strategic merge: as `merge_patch`, and keyed lists merge by their first key.

    Directives `$patch`, `$retainKeys`, `$setElementOrder/...` and `$deleteFromPrimitiveList/...`
    are obeyed.
    """
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "delete":
        return None
    merged = dict(target) if isinstance(target, dict) else {}
    if patch.get("$patch") == "replace":
        merged = {}
    if "$retainKeys" in patch:
        merged = {name: held for name, held in merged.items() if name in patch["$retainKeys"]}
    for name, value in patch.items():
        if name in _DIRECTIVES or name.startswith(_ORDER):
            continue
        if name.startswith(_PRIMITIVES):
            _drop_primitives(merged, name[len(_PRIMITIVES) :], value)
        elif value is None:
            merged.pop(name, None)
        else:
            below = shape.child(name)
            result = _strategic_value(merged.get(name), value, below)
            if result is None:
                merged.pop(name, None)
            else:
                merged[name] = result
    for name, order in patch.items():
        if name.startswith(_ORDER):
            _reorder(merged, name[len(_ORDER) :], order, shape)
    return merged


def _strategic_value(held: Any, value: Any, shape: Shape) -> Any:
    if isinstance(value, dict):
        return strategic_patch(held, value, shape)
    if isinstance(value, list) and shape.keys:
        return _strategic_list(held if isinstance(held, list) else [], value, shape)
    if isinstance(value, list) and shape.unique:
        return [*(held or []), *(item for item in value if item not in (held or []))]
    return value


def _strategic_list(held: list[Any], patch: list[Any], shape: Shape) -> list[Any]:
    if any(item == {"$patch": "replace"} for item in patch):
        return [item for item in patch if item != {"$patch": "replace"}]
    key = shape.keys[0]
    result = list(held)
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        index = next((i for i, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(strategic_patch({}, item, shape.item()))
        else:
            result[index] = strategic_patch(result[index], item, shape.item())
    return result


def _drop_primitives(merged: dict[str, Any], name: str, doomed: list[Any]) -> None:
    kept = [item for item in merged.get(name) or [] if item not in doomed]
    if kept:
        merged[name] = kept
    else:
        merged.pop(name, None)


def _reorder(merged: dict[str, Any], name: str, order: list[Any], shape: Shape) -> None:
    """Items named in `order` in that order; others stay behind what they followed."""
    items = merged.get(name)
    if not isinstance(items, list):
        return
    keys = shape.child(name).keys
    ranks = {
        repr(entry.get(keys[0]) if keys and isinstance(entry, dict) else entry): rank
        for rank, entry in enumerate(order)
    }
    last = -1
    ranked = []
    for index, item in enumerate(items):
        rank = ranks.get(repr(item.get(keys[0]) if keys and isinstance(item, dict) else item))
        last = last if rank is None else rank
        ranked.append((last, index, item))
    merged[name] = [item for _, _, item in sorted(ranked, key=lambda row: row[:2])]
