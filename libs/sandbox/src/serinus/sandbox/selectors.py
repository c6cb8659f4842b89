"""Label and field selectors: text to predicate, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from serinus.sandbox.errors import Obj, bad_request

Predicate = Callable[[Obj], bool]
Labels = Mapping[str, str]

_SET_BASED = re.compile(r"^\s*([^\s!=,()]+)\s+(in|notin)\s*\(([^)]*)\)\s*$")
_EQUALITY = re.compile(r"^\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s=!,()]*)\s*$")
_PRESENCE = re.compile(r"^\s*(!?)\s*([^\s!=,()]+)\s*$")


def parse_labels(text: str) -> Callable[[Labels], bool]:
    """The test that a label selector describes; an empty text accepts everything.

    Raises ApiError 400 for a text that is no selector.
    """
    tests = [_label_test(part) for part in _split(text) if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _split(text: str) -> Iterable[str]:
    """Parts between commas that are not inside parentheses."""
    depth, part = 0, ""
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            yield part
            part = ""
        else:
            part += letter
    yield part


def _label_test(part: str) -> Callable[[Labels], bool]:
    if found := _SET_BASED.match(part):
        key, operator, listed = found.groups()
        values = {value.strip() for value in listed.split(",")}
        return _membership(key, operator, values)
    if found := _EQUALITY.match(part):
        key, operator, value = found.groups()
        return _membership(key, "notin" if operator == "!=" else "in", {value})
    if found := _PRESENCE.match(part):
        absent, key = found.groups()
        return lambda labels: (key not in labels) if absent else (key in labels)
    raise bad_request(f"unable to parse requirement: {part!r}")


def _membership(key: str, operator: str, values: set[str]) -> Callable[[Labels], bool]:
    if operator == "in":
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values


def matches(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Whether a LabelSelector object (matchLabels, matchExpressions) accepts `labels`.

    A missing selector accepts nothing, an empty one everything.
    """
    if selector is None:
        return False
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(entry, labels) for entry in selector.get("matchExpressions") or [])


def _expression(entry: Mapping[str, Any], labels: Labels) -> bool:
    key, values = entry["key"], entry.get("values") or []
    match entry["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


_ALWAYS = frozenset({"metadata.name", "metadata.namespace"})
_FIELDS: Mapping[str, frozenset[str]] = {
    "pods": frozenset(
        {
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        }
    ),
    "events": frozenset(
        {
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        }
    ),
    "secrets": frozenset({"type"}),
    "namespaces": frozenset({"status.phase"}),
    "nodes": frozenset({"spec.unschedulable"}),
    "replicasets": frozenset({"status.replicas"}),
}


def parse_fields(text: str, plural: str) -> Predicate:
    """The test that a field selector describes, for objects of one kind.

    Like the real server this raises ApiError 400 for fields that cannot be selected by.
    """
    tests: list[Predicate] = []
    for part in text.split(","):
        if not part.strip():
            continue
        found = re.match(r"^\s*([A-Za-z.]+)\s*(==|=|!=)(.*)$", part)
        if not found:
            raise bad_request(f"invalid selector: {text!r}; can't understand {part!r}")
        field, operator, value = found.groups()
        if field not in _ALWAYS and field not in _FIELDS.get(plural, frozenset()):
            raise bad_request(f'field label not supported: "{field}"')
        tests.append(_field_test(field.split("."), operator != "!=", value.strip()))
    return lambda obj: all(test(obj) for test in tests)


def _field_test(path: list[str], wanted: bool, value: str) -> Predicate:
    return lambda obj: (_text_at(obj, path) == value) is wanted


def _text_at(obj: Obj, path: list[str]) -> str:
    here: Any = obj
    for step in path:
        here = here.get(step) if isinstance(here, dict) else None
    if isinstance(here, bool):
        return "true" if here else "false"
    return "" if here is None else str(here)
