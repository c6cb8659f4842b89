"""Scheduler and kubelet for pods that never run.

Every pod is bound to one node and reported Ready after a delay, unless a rule says otherwise.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import Self

import msgspec
from tests.servers.kube import RETRY_AFTER_S, UNREACHABLE, ApiError, Kube, Obj

NODE = "test-node"
POD_ADDRESSES = "10.64.0.0/16"


class Health(Enum):
    """What is reported of a pod."""

    READY = "ready"
    UNREADY = "unready"
    CRASHING = "crashing"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Pods that are not healthy.

    `pods` must match at the start of the pod's name, `image` anywhere in an image of it. With
    `first`, only that many pods (the first that were seen) are meant.
    """

    pods: str = ""
    image: str = ""
    first: int | None = None
    health: Health = Health.UNREADY

    def matches(self, pod: Obj) -> bool:
        images = [container["image"] for container in pod["spec"]["containers"]]
        return re.match(self.pods, pod["metadata"]["name"]) is not None and any(
            re.search(self.image, image) for image in images
        )


class Kubelet:
    """Runs while its context is open; the rules are per namespace and may change at any time.

    A pod that no rule matches any more becomes Ready, one that a new rule matches stops being so.
    Pods that are deleted vanish at once.
    """

    def __init__(self, kube: Kube, ready_after_s: float = 1.0) -> None:
        self._kube = kube
        self._ready_after_s = ready_after_s
        self._rules: dict[str, Sequence[Rule]] = {}
        self._pods: dict[str, Obj] = {}  # by uid, in the order of their appearance
        self._reported: dict[str, Health] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._addresses = 0

    async def __aenter__(self) -> Self:
        await self._kube.apply(_node())
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._watcher = self._group.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watcher.cancel()
        for worker in self._workers.values():
            worker.cancel()
        await self._group.__aexit__(kind, error, trace)

    def set_rules(self, namespace: str, rules: Sequence[Rule]) -> None:
        """Replaces the rules of a namespace; pods that are there already follow the new ones."""
        self._rules[namespace] = tuple(rules)
        for uid, pod in self._pods.items():
            if pod["metadata"]["namespace"] == namespace:
                self._changed[uid].set()

    def wanted(self, pod: Obj) -> Health:
        """What the rules say about a pod that has been seen."""
        namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
        for rule in self._rules.get(namespace, ()):
            if not rule.matches(pod):
                continue
            earlier = [
                other
                for other, one in self._pods.items()
                if one["metadata"]["namespace"] == namespace and rule.matches(one)
            ]
            if rule.first is None or uid in earlier[: rule.first]:
                return rule.health
        return Health.READY

    async def _watch(self) -> None:
        async for change, pod in self._kube.watch("v1", "Pod"):
            uid = pod["metadata"]["uid"]
            if change == "DELETED":
                self._forget(uid)
                continue
            self._pods[uid] = pod
            if uid not in self._workers:
                self._changed[uid] = asyncio.Event()
                self._workers[uid] = self._group.create_task(self._tend(uid))
            self._changed[uid].set()

    def _forget(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self._reported.pop(uid, None)
        self._changed.pop(uid, None)
        worker = self._workers.pop(uid, None)
        if worker is not None:
            worker.cancel()

    async def _tend(self, uid: str) -> None:
        """The life of one pod: bound, reported when something changed, removed when deleted."""
        changed = self._changed[uid]
        while True:
            await changed.wait()
            changed.clear()
            pod = self._pods[uid]
            try:
                if pod["metadata"].get("deletionTimestamp"):
                    await self._remove(pod)
                elif not pod["spec"].get("nodeName"):
                    await self._bind(pod)
                elif self._reported.get(uid) is None:
                    await asyncio.sleep(self._ready_after_s)
                    await self._report(uid)
                else:
                    await self._report(uid)
            except ApiError as error:
                # Gone, changed, or in a namespace that is going: the watch will tell.
                if error.status not in (403, 404, 409):
                    raise
            except UNREACHABLE:
                await asyncio.sleep(RETRY_AFTER_S)
                changed.set()

    async def _bind(self, pod: Obj) -> None:
        meta = pod["metadata"]
        path = await self._kube.path("v1", "Pod", meta["namespace"], meta["name"])
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        await self._kube.request("POST", path + "/binding", binding)

    async def _report(self, uid: str) -> None:
        pod = self._pods[uid]
        wanted = self.wanted(pod)
        if self._reported.get(uid) is wanted:
            return
        meta = pod["metadata"]
        if uid not in self._reported:
            self._addresses += 1
        address = pod.get("status", {}).get("podIP") or _address(self._addresses)
        status = {"status": _status(pod, wanted, address)}
        await self._kube.patch(
            "v1", "Pod", meta["namespace"], meta["name"], status, subresource="/status"
        )
        self._reported[uid] = wanted

    async def _remove(self, pod: Obj) -> None:
        meta = pod["metadata"]
        path = await self._kube.path("v1", "Pod", meta["namespace"], meta["name"])
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        await self._kube.request("DELETE", path, options)


def _address(number: int) -> str:
    return f"10.64.{number >> 8 & 255}.{number & 255}"


def _node() -> Obj:
    size = {"cpu": "1000", "memory": "1Ti", "pods": "10000"}
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "stands still"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}},
        "status": {"capacity": size, "allocatable": size, "conditions": [ready]},
    }


def _status(pod: Obj, health: Health, address: str) -> Obj:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = "True" if health is Health.READY else "False"
    truths = {
        "PodScheduled": "True",
        "Initialized": "True",
        "ContainersReady": ready,
        "Ready": ready,
    }
    return {
        "phase": "Running",
        "startTime": now,
        "hostIP": "127.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [
            {"type": kind, "status": truth, "lastTransitionTime": now}
            for kind, truth in truths.items()
        ],
        "containerStatuses": [
            _container(container, health, now) for container in pod["spec"]["containers"]
        ],
    }


def _container(container: Obj, health: Health, now: str) -> Obj:
    status = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": health is Health.READY,
        "started": health is not Health.CRASHING,
        "restartCount": 0,
        "state": {"running": {"startedAt": now}},
    }
    if health is Health.CRASHING:
        died = {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}
        status |= {
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
            "lastState": {"terminated": died},
        }
    return status
