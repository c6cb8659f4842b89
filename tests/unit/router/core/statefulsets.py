"""A StatefulSet with its controller and its pods in a dict, for tests of what we do to it.

Nothing happens by itself: the controller takes one action when it is asked to, as the real one
does between two looks of ours. What it does here was seen of the real one
(tests/integration/test_statefulset.py).
"""

from __future__ import annotations

from typing import Any

import msgspec
from tests.builders import APP, NAMESPACE, REF, a_stateful_set, an_exposure, an_intent

from serinus.events import Intent, ObjectRef, Routes
from serinus.kube.partition import REVISION_LABEL, parts
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.kube.revision import template_hash
from serinus.router.core.objects import Live
from serinus.router.core.parted import pods_key
from serinus.router.core.plan import next_step
from serinus.router.core.routes import ALL_TO_PRIMARY
from serinus.router.core.scene import Scene
from serinus.router.core.steps import Next, Read, World, Write
from serinus.router.meshes.catalog import MESHES

SET = Ref("apps/v1", "StatefulSet", NAMESPACE, "web")
ROUTE = Ref("traefik.io/v1alpha1", "TraefikService", NAMESPACE, "web")
TARGET = ObjectRef(api_version="apps/v1", kind="StatefulSet", name="web")


class Pod(msgspec.Struct):
    revision: str
    image: str
    ready: bool = False
    uid: int = 0


class Stage:
    """One set of `size` pods, the objects around it, and a router that is asked to take a step."""

    def __init__(self, size: int = 3) -> None:
        self.objects: dict[Ref, Obj] = {}
        self.current = "web-1"
        self.names: dict[str, str] = {}
        self.uids = 0
        self.unchanged_s = 60.0
        self.why = ""
        self.writes: list[str] = []
        found = a_stateful_set(replicas=size)
        self._put(found)
        self.names[self.revision] = "web-1"
        # Images by revision: what the controller can make pods of.
        self.kept = {"web-1": self.image}
        self.pods = {n: self._pod("web-1", ready=True) for n in range(size)}
        self.report()

    # --- the user -------------------------------------------------------------------------------

    def push(self, image: str) -> str:
        """A new template; its revision."""
        found = self.target
        container = {**found["spec"]["template"]["spec"]["containers"][0], "image": image}
        pod_spec = {**found["spec"]["template"]["spec"], "containers": [container]}
        template = {**found["spec"]["template"], "spec": pod_spec}
        self._put({**found, "spec": {**found["spec"], "template": template}})
        return self.revision

    def scale(self, size: int) -> None:
        found = self.target
        self._put({**found, "spec": {**found["spec"], "replicas": size}})

    @property
    def target(self) -> Obj:
        return self.objects[SET]

    @property
    def revision(self) -> str:
        return template_hash(self.target["spec"]["template"], kind="StatefulSet")

    @property
    def image(self) -> str:
        return str(self.target["spec"]["template"]["spec"]["containers"][0]["image"])

    # --- the controller and the kubelet ---------------------------------------------------------

    @property
    def newest(self) -> str:
        return self.names.setdefault(self.revision, f"web-{len(self.names) + 1}")

    def control(self) -> bool:
        """One action of the StatefulSet controller; whether there was any."""
        newest, found = self.newest, parts(self.target)
        self.kept[newest] = self.image
        told = self.target.get("status")
        acted = self._act(newest, found.size, found.partition)
        self.report()
        return acted or told != self.target["status"]

    def _act(self, newest: str, size: int, border: int) -> bool:
        for n in sorted(self.pods, reverse=True):
            if n >= size:
                del self.pods[n]
                return True
        for n in range(size):
            if n not in self.pods:
                revision = newest if n >= border else self.current
                self.pods[n] = self._pod(revision)
                return True
            if not self.pods[n].ready:
                return False  # one after another
        if all(p.revision == newest for p in self.pods.values()):
            changed = self.current != newest
            self.current = newest
            return changed
        for n in reversed(range(border, size)):
            if self.pods[n].revision != newest:
                del self.pods[n]
                return True
        return False

    def _pod(self, revision: str, ready: bool = False) -> Pod:
        self.uids += 1
        return Pod(revision, self.kept[revision], ready, self.uids)

    def ready(self) -> bool:
        """Pods that are about to be ready are; those of a `stuck` image never."""
        waiting = [p for p in self.pods.values() if not p.ready and "stuck" not in p.image]
        for pod in waiting:
            pod.ready = True
        self.report()
        return bool(waiting)

    def report(self) -> None:
        """The controller tells what it sees."""
        found, newest = self.target, self.newest
        runs = [p.revision for p in self.pods.values()]
        status = {
            "observedGeneration": found["metadata"]["generation"],
            "replicas": len(self.pods),
            "availableReplicas": sum(p.ready for p in self.pods.values()),
            "currentRevision": self.current,
            "updateRevision": newest,
            "currentReplicas": runs.count(self.current),
            "updatedReplicas": runs.count(newest),
        }
        self.objects[SET] = {**found, "status": status}

    # --- the router -----------------------------------------------------------------------------

    def step(self, intent: Intent) -> bool:
        """One write of the router, if it wants one; `why` tells what it waits for."""
        contents: dict[str, Obj | None] = {}
        while True:
            found = self.look(intent, contents)
            if not isinstance(found, Read):
                break
            contents[pods_key(self.target)] = {"items": [self._document(n) for n in self.pods]}
        if not isinstance(found, Write):
            self.why = getattr(found, "why", "")
            return False
        self.writes.append(found.why)
        if found.ref.kind == "Pod":
            del self.pods[int(found.ref.name.rpartition("-")[2])]
            self.report()
        else:
            assert found.verb != "delete"
            self._put(found.whole)
        return True

    def work(self, intent: Intent) -> None:
        """The router until it wants nothing; the controller sees each write and does nothing."""
        while self.step(intent):
            self.report()

    def look(self, intent: Intent, contents: dict[str, Obj | None] | None = None) -> Next:
        live = Live(self.objects)
        world = World(live=live, unchanged_s=self.unchanged_s, contents=contents or {})
        return next_step(Scene(intent, world))

    def settle(self, intent: Intent, turns: int = 400) -> None:
        """Router, controller and pods in turn until nothing moves."""
        for _ in range(turns):
            moved = [self.step(intent), self.control(), self.ready()]
            if not any(moved):
                return
        raise AssertionError(f"it never ends: {self.why} {self.writes[-8:]}")

    # --- what people get ------------------------------------------------------------------------

    def behind(self, service: str) -> list[Pod]:
        """The ready pods that a Service leads to."""
        found = self.objects.get(Ref("v1", "Service", NAMESPACE, service))
        selector = (found or {"spec": {}})["spec"].get("selector") or {"nothing": ""}
        labels = {"app": "web", "tier": "data"}
        return [
            pod
            for pod in self.pods.values()
            if pod.ready
            and all(
                {**labels, REVISION_LABEL: pod.revision}.get(k) == v for k, v in selector.items()
            )
        ]

    @property
    def share(self) -> int:
        """Percent for the canary."""
        seen = MESHES["traefik"].mesh.observe(an_exposure(), Routes(), Live(self.objects))
        return seen.canary if isinstance(seen, Routes) else 0

    @property
    def images(self) -> list[str]:
        return [self.pods[n].image if n in self.pods else "" for n in range(len(self.pods))]

    def _document(self, n: int) -> Obj:
        pod = self.pods[n]
        owner = {"kind": "StatefulSet", "name": "web", "controller": True}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"web-{n}",
                "namespace": NAMESPACE,
                "uid": f"uid-{pod.uid}",
                "labels": {REVISION_LABEL: pod.revision},
                "ownerReferences": [{**owner, "uid": self.target["metadata"]["uid"]}],
            },
            "status": {"conditions": [{"type": "Ready", "status": str(pod.ready)}]},
        }

    def _put(self, obj: Obj) -> None:
        ref = ref_of(obj)
        old = self.objects.get(ref)
        generation = (old or {"metadata": {}})["metadata"].get("generation", 0)
        generation += obj.get("spec") != (old or {}).get("spec")
        self.objects[ref] = {**obj, "metadata": {**obj["metadata"], "generation": generation}}


def wish(stage: Stage, share: int = 0, **fields: Any) -> Intent:
    """What the analyzer would ask for about the newest revision."""
    names = set(an_intent().workload.__struct_fields__)
    workload = {"target": TARGET, "selector": APP, "canary": "running"}
    workload |= {k: fields.pop(k) for k in list(fields) if k in names}
    routes = Routes(primary=100 - share, canary=share) if share else ALL_TO_PRIMARY
    defaults = {"revision": stage.revision, "configs": None, "routes": routes, "canary": REF}
    return an_intent(workload=workload, **{**defaults, **fields})


def at_rest(size: int = 3) -> Stage:
    """Initialised: all pods run web:1, the border is parked."""
    stage = Stage(size)
    stage.settle(wish(stage, canary="parked", revision=""))
    stage.writes.clear()
    return stage
