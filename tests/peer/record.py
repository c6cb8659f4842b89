"""Our side of a comparison: what happens in one namespace, in the form of the recorded runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers.kube import Kube
from tests.servers.stub import EVENTS, Call

Obj = dict[str, Any]

KINDS = (
    ("flagger.app/v1beta1", "Canary"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    ("v1", "Service"),
    ("traefik.io/v1alpha1", "TraefikService"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
)
LOOK_EVERY_S = 0.1
# The recordings leave it out: it says nothing about a canary.
BUILTIN_PROBE = ("/api/v1/query", "vector(1)")
# Annotations that other controllers and clients write, and those that only we do.
NOT_COMPARED = (
    "deployment.kubernetes.io/",
    "deprecated.daemonset.",
    "kubectl.kubernetes.io/",
    "serinus.dev/",
)


class Recording:
    """The observations so far, in order; `until` waits for one that satisfies a condition."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.lines: list[Obj] = []
        self._last: dict[str, Obj] = {}
        self._added = asyncio.Event()

    def write(self, path: Path) -> None:
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines))

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

    async def watch(self, kube: Kube, api_version: str, kind: str) -> None:
        """Records one kind of the namespace for ever."""
        async for change, item in kube.watch(api_version, kind, self.namespace):
            self.see(change, {"apiVersion": api_version, "kind": kind} | item)

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
            self._add({"src": "alert", "path": call.path, "body": call.body})

    def _add(self, line: Obj) -> None:
        self.lines.append(line | {"t": round(asyncio.get_running_loop().time(), 2)})
        self._added.set()


def _shown(item: Obj) -> Obj:
    meta, spec = item["metadata"], item.get("spec") or {}
    shown = {"kind": item["kind"], "apiVersion": item["apiVersion"], "name": meta["name"]}
    annotations = {
        key: value
        for key, value in (meta.get("annotations") or {}).items()
        if not key.startswith(NOT_COMPARED)
    }
    owners = [f"{one['kind']}/{one['name']}" for one in meta.get("ownerReferences") or []]
    metadata = {"labels": meta.get("labels"), "annotations": annotations, "owners": owners}
    shown |= {key: value for key, value in metadata.items() if value}
    match item["kind"]:
        case "Canary":
            status = item.get("status") or {}
            fields = ("phase", "canaryWeight", "iterations", "failedChecks", "conditions")
            return shown | {key: status[key] for key in fields if key in status}
        case "Deployment" | "DaemonSet":
            return shown | _workload(spec)
        case _:
            return shown | {"spec": spec}


def _workload(spec: Obj) -> Obj:
    template = spec["template"]
    return {
        "replicas": spec.get("replicas"),
        "images": {one["name"]: one["image"] for one in template["spec"]["containers"]},
        "templateLabels": template["metadata"].get("labels"),
    }
