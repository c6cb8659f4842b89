"""The node: every pod is a task that keeps its programs running and reports what they do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from serinus.sandbox import images, podenv
from serinus.sandbox.addresses import Addresses, Place
from serinus.sandbox.errors import ApiError, Obj
from serinus.sandbox.housekeeping import PORTS
from serinus.sandbox.images import Program
from serinus.sandbox.leash import Child, Leash
from serinus.sandbox.podstatus import State, pod_status, terminated
from serinus.sandbox.probes import Verdict, ask
from serinus.sandbox.registry import Registry, Write
from serinus.sandbox.store import Change, Key

log = logging.getLogger(__name__)

NODE = "sandbox"
PODS = ("", "pods")
_AS_KUBELET = Write("kubelet")

UNREADY_PROBE_S = 0.1
"""How often a pod that is not ready yet is asked; once ready, the probe's own period counts."""

BACKOFF_S = 10.0
"""First pause before a program that crashed twice starts again; it doubles up to BACKOFF_MAX_S."""

BACKOFF_MAX_S = 300.0
GONE_GRACE_S = 0.5
"""Seconds that a program gets whose pod was removed by force."""


class Node(Struct, frozen=True):
    """What pods run on."""

    registry: Registry
    leash: Leash
    addresses: Addresses
    programs: Mapping[str, Program]
    logs: Path
    backoff_s: float = BACKOFF_S

    def pause_s(self, crashes: int) -> float:
        """Seconds before a program starts again: none after its first crash, then doubling."""
        if crashes <= 1:
            return 0.0
        # 2 ** 10 pauses are beyond every maximum; the exponent must not grow for ever.
        return min(self.backoff_s * 2.0 ** min(crashes - 2, 10), BACKOFF_MAX_S)


class Kubelet:
    """Runs the pods of a registry as processes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._pods: dict[Key, tuple[PodWorker, asyncio.Task[None]]] = {}
        self._end: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Registers the node and takes on the pods, those that are there and those that come."""
        registry = self._node.registry
        nodes = registry.kinds.at("", "v1", "nodes")
        with contextlib.suppress(ApiError):
            registry.create(nodes, "", {"metadata": {"name": NODE}}, _AS_KUBELET)
        condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
        status = {"status": {"conditions": [condition], "addresses": addresses}}
        registry.patch(nodes, "", NODE, "merge", status, Write("kubelet", "status"))
        for key, obj in registry.store.everything():
            self._note(Change(0, "ADDED", key, obj))
        self._end = registry.store.subscribe(self._note)

    async def stop(self) -> None:
        """Ends every program, quickly: nobody is served any more."""
        self._end()
        tasks = [task for _, task in self._pods.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def read_log(self, namespace: str, name: str, query: Mapping[str, str]) -> str:
        """The output of a pod's program, for `kubectl logs`; `tailLines` is obeyed."""
        held = self._pods.get(Key(PODS, namespace, name))
        if held is None:
            return ""
        path = held[0].log_path(query.get("container", ""))
        text = await asyncio.to_thread(_read, path)
        tail = query.get("tailLines", "")
        if tail.isdecimal():
            text = "".join(text.splitlines(keepends=True)[-int(tail) :])
        return text

    def _note(self, change: Change) -> None:
        if change.key.resource != PODS:
            return
        held = self._pods.get(change.key)
        same = held and held[0].uid == change.obj["metadata"]["uid"]
        if held and same:
            held[0].see(change)
        elif change.verb != "DELETED" and change.obj["spec"].get("nodeName", NODE) == NODE:
            worker = PodWorker(self._node, change.key, change.obj)
            task = asyncio.create_task(worker.run(), name=f"pod {change.key.name}")
            self._pods[change.key] = worker, task
            task.add_done_callback(lambda _: self._forget(change.key, worker))

    def _forget(self, key: Key, worker: PodWorker) -> None:
        if key in self._pods and self._pods[key][0] is worker:
            del self._pods[key]


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


class PodWorker:
    """One pod's life: placed, started, probed, restarted, ended."""

    def __init__(self, node: Node, key: Key, pod: Obj) -> None:
        self.uid = pod["metadata"]["uid"]
        self._node = node
        self._key = key
        self._pod = pod
        self._place = Place("", {})
        self._states: dict[str, State] = {
            c["name"]: State(c["name"], c["image"]) for c in pod["spec"]["containers"]
        }
        self._ending = asyncio.Event()
        self._removed = False
        self._children: dict[str, Child] = {}

    def see(self, change: Change) -> None:
        """A newer state of the pod."""
        self._pod = change.obj
        if change.verb == "DELETED" and self._ending.is_set():
            for child in self._children.values():  # its grace was cut short by force
                child.signal(signal.SIGKILL)
        self._removed = self._removed or change.verb == "DELETED"
        if self._removed or change.obj["metadata"].get("deletionTimestamp"):
            self._ending.set()

    def log_path(self, container: str) -> Path:
        """Where the output of a container goes; the first one's by default."""
        name = container or next(iter(self._states))
        return self._node.logs / f"{self._key.namespace}_{self._key.name}_{name}.log"

    async def run(self) -> None:
        """From the placing to the end of all programs."""
        spec = self._pod["spec"]
        declared = [
            int(port["containerPort"])
            for container in spec["containers"]
            for port in container.get("ports") or []
        ]
        self._place = self._node.addresses.place(declared)
        self._bind()
        try:
            async with asyncio.TaskGroup() as group:
                runs = [group.create_task(self._keep(c)) for c in spec["containers"]]
                await self._ending.wait()  # finished pods stay until somebody deletes them
                for run in runs:
                    run.cancel()
        except* ApiError as refused:
            log.warning("pod %s: %s", self._key.name, refused.exceptions[0])
        if not self._removed and self._pod["metadata"].get("deletionTimestamp"):
            self._node.registry.finish(self._key)

    def _bind(self) -> None:
        patch: Obj = {"spec": {"nodeName": NODE}}
        if self._place.ports:
            pairs = ",".join(f"{k}={v}" for k, v in self._place.ports.items())
            patch["metadata"] = {"annotations": {PORTS: pairs}}
        self._patch(patch, "")
        self._report()

    def _patch(self, patch: Obj, subresource: str) -> None:
        registry = self._node.registry
        write = Write("kubelet", subresource)
        pods = registry.kinds.at("", "v1", "pods")
        if registry.store.get(self._key) is not None:
            registry.patch(pods, self._key.namespace, self._key.name, "merge", patch, write)

    def _report(self, container: str = "", **changes: Any) -> None:
        """Notes what changed about a container, and writes the status where it differs."""
        if container:
            held = self._states[container]
            self._states[container] = msgspec.structs.replace(held, **changes)
        old = self._pod.get("status") or {}
        policy = self._pod["spec"].get("restartPolicy", "Always")
        states = list(self._states.values())
        now = self._node.registry.now()
        status = pod_status(old, states, self._place.host, now, policy)
        if not self._removed and status != old:
            self._patch({"status": status}, "status")

    # One container

    async def _keep(self, container: Obj) -> None:
        """Starts the program, again and again as the restart policy says."""
        name = container["name"]
        policy = self._pod["spec"].get("restartPolicy", "Always")
        crashes = 0
        while True:
            child = self._children[name] = await self._start(container)
            started = self._node.registry.now()
            self._report(name, started=started, exit=None, waiting=("", ""))
            code = await self._attend(container, child)
            end = terminated(code, started, self._node.registry.now())
            self._report(name, ready=False, exit=end)
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            crashes += 1
            restarts = self._states[name].restarts + 1
            pause = self._node.pause_s(crashes)
            if pause:
                text = f"back-off {pause:.0f}s restarting failed container={name}"
                waiting = ("CrashLoopBackOff", text)
                self._report(name, started="", exit=None, last=end, waiting=waiting)
            await asyncio.sleep(pause)
            self._report(name, started="", exit=None, last=end, restarts=restarts)

    async def _start(self, container: Obj) -> Child:
        """The running program; waits, saying why, while its image or configuration is missing."""
        name = container["name"]
        while True:
            try:
                argv, env = self.command(container)
                return await self._node.leash.spawn(self._key.name, argv, self.log_path(name), env)
            except images.UnknownImage as unknown:
                waiting = ("ImagePullBackOff", str(unknown))
            except podenv.Missing as missing:
                waiting = ("CreateContainerConfigError", str(missing))
            except OSError as broken:
                waiting = ("RunContainerError", str(broken))
            self._report(name, waiting=waiting)
            await asyncio.sleep(2.0)

    def command(self, container: Obj) -> tuple[list[str], dict[str, str]]:
        """Arguments and environment of a container; UnknownImage or Missing when it has none."""
        program, tag = images.resolve(container["image"], self._node.programs)
        ports = container.get("ports") or []
        port = self._place.port(int(ports[0]["containerPort"])) if ports else 0
        argv, own = images.command(program, tag, self._place.host, port)
        lookup = self._lookup
        asked = podenv.environment(container, self._pod, lookup)
        env = {
            **os.environ,
            **own,
            **asked,
            "HOST": self._place.host,
            "PORT": str(port),
            "POD_NAME": self._key.name,
            "POD_NAMESPACE": self._key.namespace,
            "POD_IP": self._place.host,
        }
        return list(argv), env

    def _lookup(self, kind: str, name: str) -> Obj | None:
        return self._node.registry.store.get(Key(("", kind), self._key.namespace, name))

    async def _attend(self, container: Obj, child: Child) -> int:
        """Probes the program until it ends; when the pod ends, ends it within its grace."""
        probing = [asyncio.create_task(probe) for probe in self._probes(container, child)]
        try:
            return await child.wait()
        except asyncio.CancelledError:
            await child.stop(self._grace_s())
            raise
        finally:
            for task in probing:
                task.cancel()
            await asyncio.gather(*probing, return_exceptions=True)

    def _grace_s(self) -> float:
        if self._removed or not self._ending.is_set():
            return GONE_GRACE_S
        return float(self._pod["metadata"].get("deletionGracePeriodSeconds") or GONE_GRACE_S)

    def _probes(self, container: Obj, child: Child) -> list[Coroutine[Any, Any, None]]:
        found = [self._watch_readiness(container)]
        if container.get("livenessProbe"):
            found.append(self._watch_liveness(container, child))
        return found

    async def _watch_readiness(self, container: Obj) -> None:
        """Keeps the Ready condition true to the probe.

        Without a probe a container with ports is ready when its first one accepts connections:
        a process needs a moment to listen, and requests must not be lost in it.
        """
        ports = container.get("ports") or []
        probe = container.get("readinessProbe")
        if not probe and not ports:
            self._report(container["name"], ready=True)
            return
        if not probe:
            probe = {"tcpSocket": {"port": ports[0]["containerPort"]}}
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        verdict = Verdict(probe)
        while True:
            if verdict.turns(await ask(probe, self._pod["spec"], self._place)):
                self._report(container["name"], ready=verdict.ready)
            pause = probe.get("periodSeconds", 10) if verdict.ready else UNREADY_PROBE_S
            await asyncio.sleep(pause)

    async def _watch_liveness(self, container: Obj, child: Child) -> None:
        probe = container["livenessProbe"]
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        failures = 0
        while failures < probe.get("failureThreshold", 3):
            await asyncio.sleep(probe.get("periodSeconds", 10))
            fine = await ask(probe, self._pod["spec"], self._place)
            failures = 0 if fine else failures + 1
        child.signal(signal.SIGTERM)
