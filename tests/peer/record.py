"""Our side of a comparison: what happens in one namespace, in the form of the recorded runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from tests.servers.kube import Kube
from tests.servers.stub import EVENTS, Call, Stub

Obj = dict[str, Any]

LOOK_EVERY_S = 0.1
# The recordings leave it out: it says nothing about a canary.
BUILTIN_PROBE = ("/api/v1/query", "vector(1)")


class Recorder:
    """Watches everything that is compared, and gives each run what happens in its namespace."""

    def __init__(self, kube: Kube, stub: Stub, kinds: Sequence[tuple[str, str]]) -> None:
        self._kube = kube
        self._kinds = kinds
        self._stub = stub
        self._recordings: dict[str, Recording] = {}

    async def __aenter__(self) -> Self:
        self._watches = [asyncio.create_task(self._watch(*kind)) for kind in self._kinds]
        self._stub.listeners.append(self._hear)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the watches; one that had ended by itself has seen too little: its error counts."""
        self._stub.listeners.remove(self._hear)
        for watch in self._watches:
            watch.cancel()
        for outcome in await asyncio.gather(*self._watches, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                assert outcome is not None
                raise outcome

    def start(self, namespace: str) -> Recording:
        """A recording of what happens in a namespace from now on."""
        self._recordings[namespace] = Recording(namespace)
        return self._recordings[namespace]

    def stop(self, namespace: str) -> None:
        del self._recordings[namespace]

    async def _watch(self, api_version: str, kind: str) -> None:
        async for change, item in self._kube.watch(api_version, kind):
            recording = self._recordings.get(self._namespace(item))
            if recording is not None:
                recording.see(change, {"apiVersion": api_version, "kind": kind} | item)

    def _namespace(self, item: Obj) -> str:
        """Whose it is; what has no namespace names the one that it is about in its spec."""
        found: str = item["metadata"].get("namespace", "")
        if found:
            return found
        text = json.dumps(item.get("spec"))
        return next((name for name in self._recordings if f"_{name}_" in text), "")

    def _hear(self, call: Call) -> None:
        for recording in self._recordings.values():
            recording.hear(call)


def kinds(lines: Iterable[Obj]) -> Sequence[tuple[str, str]]:
    """apiVersion and kind of all that recorded runs show."""
    seen = ((line["apiVersion"], line["kind"]) for line in lines if line["src"] == "kube")
    return sorted(set(seen))


class Recording:
    """The observations so far, in order; `until` waits for one that satisfies a condition."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.lines: list[Obj] = []
        self._last: dict[str, Obj] = {}
        self._added = asyncio.Event()

    async def until(self, condition: Callable[[], bool], quiet_s: float) -> None:
        """Waits until `condition` holds. Raises TimeoutError after `quiet_s` without observation.

        It is asked again after each observation, and now and then because time is part of it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + quiet_s
        while not condition():
            self._added.clear()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._added.wait()
                deadline = loop.time() + quiet_s
            except TimeoutError:
                if loop.time() > deadline:
                    raise

    async def quiet(self, for_s: float, at_most_s: float) -> None:
        """Waits until nothing was observed for `for_s` seconds."""
        try:
            async with asyncio.timeout(at_most_s):
                while True:
                    self._added.clear()
                    async with asyncio.timeout(for_s):
                        await self._added.wait()
        except TimeoutError:
            return

    def current(self, kind: str, name: str) -> Obj | None:
        """The last observation of an object; None when it is not there."""
        return self._last.get(f"{kind}/{name}")

    def canary(self) -> Obj:
        """The last observation of the namespace's Canary."""
        found = [line for key, line in self._last.items() if key.startswith("Canary/")]
        return found[-1] if found else {}

    def is_clean(self) -> bool:
        """Whether nothing is left that belonged to somebody: the collector is done."""
        return not any("owners" in line for line in self._last.values())

    def see(self, change: str, item: Obj) -> None:
        """Adds an object's change, if anything shown of it is new."""
        key = f"{item['kind']}/{item['metadata']['name']}"
        shown = _shown(item)
        if change == "DELETED":
            self._last.pop(key, None)
        elif self._last.get(key) == shown:
            return
        else:
            self._last[key] = shown
        self._add({"src": "kube", "op": change} | shown)

    def hear(self, call: Call) -> None:
        """Adds what reached the outside world, if it concerns this namespace."""
        body = call.body if isinstance(call.body, dict) else {}
        if call.space == EVENTS and body.get("namespace") == self.namespace:
            metadata = body.get("metadata") or {}
            self._add(
                {
                    "src": "event",
                    "type": metadata.get("eventType", ""),
                    "message": metadata.get("eventMessage", ""),
                    "phase": body.get("phase", ""),
                    "checksum": body.get("checksum", ""),
                }
            )
        elif call.space != self.namespace:
            return
        elif call.role == "prometheus":
            if (call.path, call.query) != BUILTIN_PROBE:
                self._add({"src": "prometheus", "path": call.path, "query": call.query})
        elif call.role == "hook":
            self._add({"src": "webhook", "path": call.path, "body": call.body})
        elif call.role == "chat":
            line = {"src": "alert", "path": call.path, "body": call.body}
            authorization = call.authorization
            self._add(
                line | ({"headers": {"Authorization": authorization}} if authorization else {})
            )

    def _add(self, line: Obj) -> None:
        self.lines.append(line | {"t": round(asyncio.get_running_loop().time(), 2)})
        self._added.set()


def _shown(item: Obj) -> Obj:
    meta, spec = item["metadata"], item.get("spec") or {}
    shown = {"kind": item["kind"], "apiVersion": item["apiVersion"], "name": meta["name"]}
    owners = [f"{one['kind']}/{one['name']}" for one in meta.get("ownerReferences") or []]
    metadata = {key: meta.get(key) for key in ("labels", "annotations", "finalizers")}
    metadata["owners"] = owners
    shown |= {key: value for key, value in metadata.items() if value}
    match item["kind"]:
        case "Canary":
            status = item.get("status") or {}
            fields = ("phase", "canaryWeight", "iterations", "failedChecks")
            fields += ("conditions", "trackedConfigs")
            return shown | {key: status[key] for key in fields if key in status}
        case "Deployment" | "DaemonSet":
            return shown | _workload(spec)
        case _:
            known = ("apiVersion", "kind", "metadata", "status")
            return shown | {key: item[key] for key in item if key not in known}


def _workload(spec: Obj) -> Obj:
    template = spec["template"]
    return {
        "replicas": spec.get("replicas"),
        "images": {one["name"]: one["image"] for one in template["spec"]["containers"]},
        "templateLabels": template["metadata"].get("labels"),
        "nodeSelector": template["spec"].get("nodeSelector"),
    }
