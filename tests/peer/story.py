"""What of a run is compared: sequences without times, from recorded observations. Pure.

Both sides go through `story`: Flagger's recorded lines, and ours, which our recorder writes in the
same form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

Obj = dict[str, Any]

# How long a rollout of pods takes is not the controller's doing; how often an impatient
# controller looks meanwhile is not part of its contract.
UNREADY_TEXT = "waiting for rollout to finish"
UNREADY = re.compile(UNREADY_TEXT + r": .*$")
ADDRESS = re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b")
# Deadlines are shortened with everything else that a run waits for.
DEADLINE = re.compile(r"(Progress deadline.{0,50}?\b)\d+s\b")
PROBE = "vector(1)"
ROUTES = ("TraefikService", "HTTPRoute")
WORKLOADS = ("Deployment", "DaemonSet")
SERVICE_FIELDS = ("type", "selector", "ports", "externalName")


class Event(msgspec.Struct, frozen=True):
    type: str
    message: str
    phase: str


class Hook(msgspec.Struct, frozen=True):
    path: str
    phase: str
    metadata: str


class Alert(msgspec.Struct, frozen=True):
    path: str
    body: str


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `queries` are grouped by tick where the recording knows ticks.

    `objects` is, for each generated object and the target, every distinct state that it was in.
    """

    phases: tuple[str, ...]
    weights: tuple[int, ...]
    iterations: tuple[int, ...]
    failed_checks: tuple[int, ...]
    events: tuple[Event, ...]
    hooks: tuple[Hook, ...]
    alerts: tuple[Alert, ...]
    queries: tuple[tuple[str, ...], ...]
    objects: dict[str, tuple[str, ...]]


def story(lines: Sequence[Obj]) -> Story:
    """The comparable part of one run's observations."""
    canary = [line for line in lines if line["src"] == "kube" and line["kind"] == "Canary"]
    return Story(
        phases=_changes(canary, "phase"),
        weights=_changes(canary, "canaryWeight"),
        iterations=_changes(canary, "iterations"),
        failed_checks=_changes(canary, "failedChecks"),
        events=_told(_events(lines)),
        hooks=tuple(_hook(line) for line in lines if line["src"] == "webhook"),
        alerts=tuple(_alert(line) for line in lines if line["src"] == "alert"),
        queries=_queries(lines),
        objects=_objects(lines),
    )


def _changes(canary: Iterable[Obj], field: str) -> tuple[Any, ...]:
    started = (line for line in canary if line.get("phase"))
    return tuple(distinct(line.get(field, 0) for line in started))


def blank_columns(lines: Iterable[Obj]) -> frozenset[str]:
    """Status fields behind kubectl's columns that a started Canary was once seen without.

    Flagger writes its zeroes; for the sequences above a missing number is a zero.
    """
    return frozenset(
        field
        for line in lines
        if line["src"] == "kube" and line["kind"] == "Canary" and line.get("phase")
        for field in ("canaryWeight", "iterations", "failedChecks")
        if field not in line
    )


def distinct(values: Iterable[Any]) -> Iterator[Any]:
    """Without repetitions of the value before."""
    last: Any = object()
    for value in values:
        if value != last:
            yield value
        last = value


def _events(lines: Iterable[Obj]) -> Iterator[Event]:
    for line in lines:
        if line["src"] == "event":
            yield Event(line["type"], _text(line["message"]), line["phase"])


def _text(message: str) -> str:
    return ADDRESS.sub("<ip>", UNREADY.sub(UNREADY_TEXT, message))


def _told(events: Iterable[Event]) -> tuple[Event, ...]:
    """Without what is said only because somebody looked once more.

    While initialising, Flagger repeats at each look what it found the time before, and whether it
    sees a primary that is not ready depends on the machine. Later only repetitions of an
    unfinished rollout are of that kind: every failed check counts.
    """
    found: list[Event] = []
    initialising: set[tuple[str, str]] = set()
    for event in events:
        is_unready = UNREADY_TEXT in event.message
        if event.phase == "Initializing":
            if is_unready or (event.type, event.message) in initialising:
                continue
            initialising.add((event.type, event.message))
        elif is_unready and found and found[-1].message == event.message:
            continue
        found.append(event)
    return tuple(found)


def _hook(line: Obj) -> Hook:
    body = line["body"] or {}
    metadata = dict(body.get("metadata") or {})
    if "timestamp" in metadata:
        metadata["timestamp"] = "<ms>"
    if "eventMessage" in metadata:
        metadata["eventMessage"] = _text(metadata["eventMessage"])
    return Hook(line["path"], body.get("phase", ""), _json(metadata))


def _alert(line: Obj) -> Alert:
    return Alert(line["path"], DEADLINE.sub(r"\1<s>", _json(line["body"])))


def _queries(lines: Iterable[Obj]) -> tuple[tuple[str, ...], ...]:
    groups: dict[Any, list[str]] = {}
    probed: set[str] = set()
    for line in lines:
        if line["src"] == "prometheus":
            prefix = line["path"].removesuffix("/api/v1/query")
            query = f"{prefix} {line['query']}".strip()
            if line["query"] == PROBE:
                # Asked again at each look while initialising; that it was asked is what counts.
                if query in probed:
                    continue
                probed.add(query)
            groups.setdefault(line.get("tick"), []).append(query)
    return tuple(tuple(group) for group in groups.values())


def _objects(lines: Iterable[Obj]) -> dict[str, tuple[str, ...]]:
    states: dict[str, list[str]] = {}
    for line in lines:
        if line["src"] != "kube" or line["op"] == "STATUS":
            continue
        for aspect, show in _shown(line).items():
            key = f"{line['kind']}/{line['name']} {aspect}".strip()
            state = "gone" if line["op"] == "DELETED" else _json(show(line))
            states.setdefault(key, []).append(state)
    return {key: tuple(distinct(row)) for key, row in sorted(states.items())}


def _shown(line: Obj) -> dict[str, Callable[[Obj], Any]]:
    """What is compared of an object, each aspect a sequence of its own."""
    kind, is_ours = line["kind"], "owners" in line
    if kind in ROUTES:
        return {"metadata": _metadata, "spec": lambda one: one.get("spec")}
    if kind == "Service" and is_ours:
        return {"metadata": _metadata, "spec": _service_spec}
    if kind in WORKLOADS:
        scaled: dict[str, Callable[[Obj], Any]] = {
            "replicas": lambda one: one.get("replicas"),
            "images": lambda one: one.get("images"),
        }
        more: dict[str, Callable[[Obj], Any]] = {
            "metadata": _metadata,
            "template": lambda one: one.get("templateLabels"),
        }
        return scaled | (more if is_ours else {})
    return {}


def _metadata(line: Obj) -> Obj:
    return {key: line.get(key) or {} for key in ("labels", "annotations", "owners")}


def _service_spec(line: Obj) -> Obj:
    spec = line.get("spec") or {}
    return {key: spec[key] for key in SERVICE_FIELDS if key in spec}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
