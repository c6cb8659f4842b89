"""A StatefulSet with its pods (tests/ordinals.py), and a router that is asked to take a step."""

from __future__ import annotations

from typing import Any

from tests.builders import APP, NAMESPACE, REF, a_stateful_set, an_exposure, an_intent
from tests.ordinals import Ordinals, Pod

from serinus.events import Intent, ObjectRef, Routes
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


class Stage:
    """One set of `size` pods, the objects around it, and a router that is asked to take a step."""

    def __init__(self, size: int = 3) -> None:
        self.objects: dict[Ref, Obj] = {}
        self.unchanged_s = 60.0
        self.why = ""
        self.writes: list[str] = []
        self._put(a_stateful_set(replicas=size))
        self.ordinals = Ordinals(self.target)
        self.pods = self.ordinals.pods
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
        return self.ordinals.newest(self.target)

    def control(self) -> bool:
        """One action of the StatefulSet controller; whether there was any."""
        told = self.target.get("status")
        acted = self.ordinals.act(self.target)
        self.report()
        return acted or told != self.target["status"]

    def ready(self) -> bool:
        """Pods that are about to be ready are; those of a `stuck` image never."""
        waiting = [p for p in self.pods.values() if not p.ready and "stuck" not in p.image]
        for pod in waiting:
            pod.ready = True
        self.report()
        return bool(waiting)

    def report(self) -> None:
        """The controller tells what it sees."""
        self.objects[SET] = {**self.target, "status": self.ordinals.status(self.target)}

    # --- the router -----------------------------------------------------------------------------

    def step(self, intent: Intent) -> bool:
        """One write of the router, if it wants one; `why` tells what it waits for."""
        contents: dict[str, Obj | None] = {}
        while True:
            found = self.look(intent, contents)
            if not isinstance(found, Read):
                break
            contents[pods_key(self.target)] = {"items": self.ordinals.documents(self.target)}
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
        return self.ordinals.behind(self.target, selector)

    @property
    def share(self) -> int:
        """Percent for the canary."""
        seen = MESHES["traefik"].mesh.observe(an_exposure(), Routes(), Live(self.objects))
        return seen.canary if isinstance(seen, Routes) else 0

    @property
    def images(self) -> list[str]:
        return [self.pods[n].image if n in self.pods else "" for n in range(len(self.pods))]

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
