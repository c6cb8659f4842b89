"""What of a run is compared: sequences without times, from recorded observations. Pure.

Both sides go through `story`: Flagger's recorded lines, and ours, which our recorder writes in the
same form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

Obj = dict[str, Any]

# How long a rollout of pods takes is not the controller's doing; how often an impatient
# controller looks meanwhile is not part of its contract.
UNREADY_TEXT = "waiting for rollout to finish"
UNREADY = re.compile(UNREADY_TEXT + r": .*$")
# Where the hosts of the recording are in this run.
HOST = re.compile(r"http://(?:prometheus\.test|127\.0\.0\.1:\d+/[\w-]+)")
ADDRESS = re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b")
# Deadlines are shortened with everything else that a run waits for.
DEADLINE = re.compile(r"(Progress deadline.{0,50}?\b)\d+s\b")
PROBE = "vector(1)"
UUID = re.compile(r"<uuid-\d+>|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COOKIE = re.compile(r"(cookie(?:=|\.\*))(<cookie-\d+>|[A-Za-z]{10})")
# Stickiness to the primary ends with the interval: of 10 s there, of 2.5 s here.
AGE = re.compile(r"Max-Age=(10|2)\b")
WORKLOADS = ("Deployment", "DaemonSet")
CONFIGS = ("ConfigMap", "Secret")
# Annotations that other controllers and clients write, and those that only we do.
NOT_COMPARED = (
    "deployment.kubernetes.io/",
    "deprecated.daemonset.",
    "kubectl.kubernetes.io/",
    "serinus.dev/",
)
CONTENT = ("data", "binaryData", "type")
EVENT_FIELDS = ("eventMessage", "eventType", "timestamp")
SERVICE_FIELDS = ("type", "selector", "ports", "externalName")


class Event(msgspec.Struct, frozen=True):
    type: str
    message: str
    phase: str


class Hook(msgspec.Struct, frozen=True):
    path: str
    body: str


class Alert(msgspec.Struct, frozen=True):
    path: str
    authorization: str
    body: str


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `queries` are grouped by tick where the recording knows ticks.

    `told` is what event hooks got, by path and what they got beside the event.
    `objects` is, for each generated object and the target, every distinct state that it was in.
    """

    phases: tuple[str, ...]
    weights: tuple[int, ...]
    iterations: tuple[int, ...]
    failed_checks: tuple[int, ...]
    events: tuple[Event, ...]
    hooks: tuple[Hook, ...]
    told: dict[str, tuple[Event, ...]]
    alerts: tuple[Alert, ...]
    queries: tuple[tuple[str, ...], ...]
    objects: dict[str, tuple[str, ...]]


def story(lines: Sequence[Obj], final: Sequence[Obj] = ()) -> Story:
    """The comparable part of one run's observations; `final` are the objects at its end."""
    canary = [line for line in lines if line["src"] == "kube" and line["kind"] == "Canary"]
    return Story(
        phases=_changes(canary, "phase"),
        weights=_changes(canary, "canaryWeight"),
        iterations=_changes(canary, "iterations"),
        failed_checks=_changes(canary, "failedChecks"),
        events=_told(_events(lines)),
        hooks=tuple(_hook(line) for line in lines if _is_asked(line)),
        told=_told_hooks(lines),
        alerts=tuple(_alert(line) for line in lines if line["src"] == "alert"),
        queries=_queries(lines),
        objects=_objects(lines) | _primaries(canary, final),
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
            yield Event(line["type"], plain_text(line["message"]), line["phase"])


def plain_text(message: str) -> str:
    """An event's text without what differs from run to run."""
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


def _is_asked(line: Obj) -> bool:
    """Whether it is a call of a hook that decides something."""
    return line["src"] == "webhook" and "eventMessage" not in _metadata_of(line)


def _metadata_of(hook: Obj) -> Obj:
    found: Obj = (hook["body"] or {}).get("metadata") or {}
    return found


def _told_hooks(lines: Iterable[Obj]) -> dict[str, tuple[Event, ...]]:
    found: dict[str, list[Event]] = {}
    for line in lines:
        if line["src"] == "webhook" and not _is_asked(line):
            more = {k: v for k, v in _metadata_of(line).items() if k not in EVENT_FIELDS}
            event = Event(
                _metadata_of(line)["eventType"],
                plain_text(_metadata_of(line)["eventMessage"]),
                line["body"]["phase"],
            )
            found.setdefault(f"{line['path']} {_json(more)}", []).append(event)
    return {key: _told(row) for key, row in sorted(found.items())}


def _hook(line: Obj) -> Hook:
    # The checksum is a hash of something else than Flagger's.
    body = {key: value for key, value in (line["body"] or {}).items() if key != "checksum"}
    return Hook(line["path"], _json(body))


def _alert(line: Obj) -> Alert:
    authorization = line.get("headers", {}).get("Authorization", "")
    return Alert(line["path"], authorization, DEADLINE.sub(r"\1<s>", _json(line["body"])))


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
    cookies: dict[str, str] = {}
    for line in lines:
        if line["src"] != "kube" or line["op"] == "STATUS":
            continue
        name = f"{line['kind']}/{line['name']}"
        if line["op"] == "DELETED":
            states.setdefault(f"{name} is", []).append("gone")
            continue
        for aspect, show in _shown(line).items():
            state = _asplain_text(_json(show(line)), cookies)
            states.setdefault(f"{name} {aspect}", []).append(state)
    return {key: tuple(distinct(row)) for key, row in sorted(states.items())}


def _asplain_text(text: str, names: dict[str, str]) -> str:
    """Cookies are random, but one is the same wherever it stands; numbered as they appear."""

    def named(found: re.Match[str]) -> str:
        return found[1] + names.setdefault(found[2], f"<{len(names) + 1}>")

    return AGE.sub("Max-Age=<interval>", COOKIE.sub(named, HOST.sub("http://<host>", text)))


def _primaries(canary: Sequence[Obj], final: Sequence[Obj]) -> dict[str, tuple[str, ...]]:
    """All of the generated workloads, as long as their Canary is there."""
    if not canary or canary[-1]["op"] == "DELETED":
        return {}
    return {
        f"{one['kind']}/{one['metadata']['name']} at the end": (_json(_spec_of(one)),)
        for one in final
        if one["kind"] in WORKLOADS and one["metadata"].get("ownerReferences")
    }


def _spec_of(workload: Obj) -> Obj:
    spec: Obj = json.loads(UUID.sub("<uuid>", _json(workload["spec"])))
    spec["template"]["metadata"].pop("creationTimestamp", None)
    if spec.get("progressDeadlineSeconds", 600) < 60:
        spec["progressDeadlineSeconds"] = "<short>"
    return spec


def _shown(line: Obj) -> dict[str, Callable[[Obj], Any]]:
    """What is compared of an object, each aspect a sequence of its own."""
    kind, is_ours = line["kind"], "owners" in line
    if kind in WORKLOADS:
        shown: dict[str, Callable[[Obj], Any]] = {
            field: partial(_field, field) for field in ("replicas", "images", "nodeSelector")
        }
        if is_ours:
            shown |= {"metadata": _metadata, "template": partial(_field, "templateLabels")}
        return shown
    if kind == "Canary":
        return {
            "condition": _promoted,
            "configs": partial(_field, "trackedConfigs"),
            "finalizers": partial(_field, "finalizers"),
        }
    if kind in CONFIGS:
        return {"metadata": _metadata, "data": _content} if is_ours else {}
    if line["apiVersion"] == "v1":
        return {"metadata": _metadata, "spec": _service_spec}
    # `mesh` stands beside the spec of a Kuma route.
    return {"metadata": _metadata} | {
        field: partial(_field, field) for field in ("spec", "mesh") if field in line
    }


def _promoted(line: Obj) -> Any:
    """The condition that Flagger writes; there may be others."""
    return [
        {key: one[key] for key in ("status", "reason", "message")}
        for one in line.get("conditions") or []
        if one["type"] == "Promoted"
    ]


def _field(name: str, line: Obj) -> Any:
    return line.get(name)


def _content(line: Obj) -> Obj:
    return {key: line[key] for key in CONTENT if line.get(key)}


def _metadata(line: Obj) -> Obj:
    annotations = {
        key: value
        for key, value in (line.get("annotations") or {}).items()
        if not key.startswith(NOT_COMPARED)
    }
    found = {key: line.get(key) or {} for key in ("labels", "owners")}
    return found | {"annotations": annotations}


def _service_spec(line: Obj) -> Obj:
    spec = line.get("spec") or {}
    return {key: spec[key] for key in SERVICE_FIELDS if key in spec}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
