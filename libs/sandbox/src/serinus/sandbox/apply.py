"""Server-side apply, and the book of who owns which field.

Theory. Every writer is a *manager* with a set of fields. Applying a configuration merges it into
the live object; a field that it would change and that another manager holds is a conflict unless
forced. Fields that the manager applied before and now leaves out are removed, except where another
manager holds them too. Any other write takes what it changes from everyone else. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from serinus.sandbox import fields as f
from serinus.sandbox.errors import ApiError, Obj
from serinus.sandbox.fields import Fields, Path
from serinus.sandbox.shapes import Shape


class Manager(Struct, frozen=True):
    """Who writes: a name, how (Apply or Update), in which version, through which subresource."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


Book = dict[Manager, tuple[Fields, str]]
"""Per manager its fields and the time of its last change."""


def read_book(obj: Obj) -> Book:
    """The managers of a live object."""
    return {
        Manager(
            entry.get("manager", ""),
            entry.get("operation", "Update"),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        ): (f.from_v1(entry.get("fieldsV1") or {}), entry.get("time", ""))
        for entry in obj["metadata"].get("managedFields") or []
    }


def write_book(book: Book) -> list[Obj]:
    """`metadata.managedFields` for these managers, appliers first, older first."""
    entries = []
    for manager, (fields, time) in sorted(
        book.items(), key=lambda row: (row[0].operation, row[1][1], row[0].name)
    ):
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": time,
            "fieldsType": "FieldsV1",
            "fieldsV1": f.to_v1(fields),
        }
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    return entries


def merge(live: Any, config: Any, shape: Shape) -> Any:
    """`config` laid over `live`."""
    if isinstance(live, dict) and isinstance(config, dict) and not shape.atomic:
        merged = dict(live)
        for name, value in config.items():
            merged[name] = merge(live[name], value, shape.child(name)) if name in live else value
        return merged
    if isinstance(live, list) and isinstance(config, list) and (shape.keys or shape.unique):
        return _merge_lists(live, config, shape)
    return config


def _merge_lists(live: list[Any], config: list[Any], shape: Shape) -> list[Any]:
    """Items by key: in the order of `config` when it names them all, else live ones first."""
    ours = {f.element_of(shape, item): item for item in config}
    held = {f.element_of(shape, item): item for item in live}
    order: Iterable[str] = ours if set(held) <= set(ours) else [*held, *ours]
    return [
        merge(held[key], ours[key], shape.item())
        if key in held and key in ours
        else ours.get(key, held.get(key))
        for key in dict.fromkeys(order)
    ]


def apply(
    live: Obj, config: Obj, manager: Manager, shape: Shape, force: bool, now: str
) -> tuple[Obj, Book]:
    """The live object with `config` applied, and the managers afterwards.

    Raises ApiError 409 naming each field and its holder when another manager holds a field that
    would change and `force` is not given.
    """
    book = read_book(live)
    wanted = frozenset(f.leaves_of(config, shape))
    merged = merge(live, config, shape)
    changed, _ = f.differences(f.leaves_of(live, shape), f.leaves_of(merged, shape))
    clashes = {
        other: changed & fields
        for other, (fields, _) in book.items()
        if other != manager and changed & fields
    }
    if clashes and not force:
        raise _conflict(clashes)
    for other, lost in clashes.items():
        fields, time = book[other]
        book[other] = (fields - lost, time)
    before = book.get(manager, (frozenset(), ""))
    others = [fields for other, (fields, _) in book.items() if other != manager]
    pruned = _prune(merged, before[0] - wanted, [wanted, *others], shape)
    book[manager] = (wanted, before[1] if before[0] == wanted else now)
    return pruned, _tidy(book, pruned, shape)


def _prune(obj: Obj, dropped: Fields, held: list[Fields], shape: Shape) -> Obj:
    if not dropped:
        return obj
    kept: set[Path] = set()
    for fields in held:
        for path in fields:
            kept.update(path[:length] for length in range(1, len(path) + 1))
    doomed = dropped - kept
    if not doomed:
        return obj
    remaining: Obj = f.remove(copy.deepcopy(obj), shape, doomed.__contains__) or {}
    return remaining


def _tidy(book: Book, obj: Obj, shape: Shape) -> Book:
    """Without fields that are no longer there and managers that hold nothing."""
    there = frozenset(f.leaves_of(obj, shape))
    prefixes = {path[:length] for path in there for length in range(1, len(path))}
    kept = {
        manager: (
            frozenset(path for path in fields if path in there or path in prefixes),
            time,
        )
        for manager, (fields, time) in book.items()
    }
    return {manager: row for manager, row in kept.items() if row[0]}


def update(live: Obj | None, new: Obj, manager: Manager, shape: Shape, now: str) -> Book:
    """The managers after a write that is not an apply: what changed is the writer's."""
    book = read_book(live) if live else {}
    old_leaves = f.leaves_of(live, shape) if live else {}
    changed, gone = f.differences(old_leaves, f.leaves_of(new, shape))
    if not changed and not gone:
        return book
    for other, (fields, time) in book.items():
        if other != manager and fields & changed:
            book[other] = (fields - changed, time)
    mine, time = book.get(manager, (frozenset(), now))
    if changed or mine & gone:
        book[manager] = ((mine | changed) - gone, now if changed - mine else time)
    return _tidy(book, new, shape)


def _conflict(clashes: Mapping[Manager, Fields]) -> ApiError:
    causes: list[Obj] = []
    lines = []
    for other, fields in clashes.items():
        listed = sorted(f.spoken(path) for path in fields)
        message = f"conflict with {_who(other)}"
        causes += [
            {"reason": "FieldManagerConflict", "message": message, "field": field}
            for field in listed
        ]
        lines.append(f"conflicts with {_who(other)}:\n- " + "\n- ".join(listed))
    if len(causes) == 1:
        only = causes[0]
        text = f"Apply failed with 1 conflict: {only['message']}: {only['field']}"
    else:
        text = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", text, {"causes": causes})


def _who(manager: Manager) -> str:
    via = f' with subresource "{manager.subresource}"' if manager.subresource else ""
    using = f" using {manager.api_version}" if manager.operation == "Update" else ""
    return f'"{manager.name}"{via}{using}'
