"""Answers as `Table`, which is what `kubectl get` prints. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from serinus.sandbox import jsonpath
from serinus.sandbox.errors import Obj
from serinus.sandbox.resources import Column, Resource


def table(
    resource: Resource, objects: Sequence[Obj], listed: Obj, now: datetime, whole: bool
) -> Obj:
    """The objects as rows; `listed` is the metadata of the answer, `whole` sends them entirely."""
    columns = (*resource.columns, Column("Age", ".metadata.creationTimestamp", "date"))
    definitions = [{"name": "Name", "type": "string", "format": "name", "priority": 0}] + [
        {
            "name": column.name,
            # Dates are sent as ready text: a client shows the cells as they are.
            "type": "string" if column.type == "date" else column.type,
            "format": "",
            "priority": column.priority,
            "description": column.path,
        }
        for column in columns
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": listed,
        "columnDefinitions": definitions,
        "rows": [
            {
                "cells": [obj["metadata"]["name"], *(_cell(obj, c, now) for c in columns)],
                "object": obj
                if whole
                else {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": obj["metadata"],
                },
            }
            for obj in objects
        ],
    }


def _cell(obj: Obj, column: Column, now: datetime) -> Any:
    found = jsonpath.find(obj, column.path)
    if not found:
        return 0 if column.type == "integer" else None if column.type == "boolean" else ""
    if column.type == "date":
        return age(str(found[0]), now)
    if len(found) == 1 and column.type in {"integer", "boolean", "number"}:
        return found[0]
    return ",".join(_text(value) for value in found)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    return str(value)


def age(since: str, now: datetime) -> str:
    """How long ago, in the short form of kubectl: 12s, 3m20s, 5h, 8d."""
    try:
        seconds = int((now - datetime.fromisoformat(since)).total_seconds())
    except ValueError:
        return "<unknown>"
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    if seconds < 600:
        minutes, rest = divmod(seconds, 60)
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if seconds < 7200:
        return f"{seconds // 60}m"
    return f"{seconds // 3600}h" if seconds < 172800 else f"{seconds // 86400}d"
