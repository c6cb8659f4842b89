"""A cluster in a dict: what the API server and the deployment controller would do, and no more.

Time is a number. Nothing happens by itself: every move is asked for, so that a search can put
faults between any two of them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import msgspec
from tests.builders import NAME, NAMESPACE, a_canary, a_canary_spec, a_deployment, an_analysis

from serinus.events.canary import API_VERSION, Metric, ThresholdRange
from serinus.kube.configs import ConfigSeen
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.kube.revision import template_hash
from serinus.router.core.steps import Write

TARGET = Ref("apps/v1", "Deployment", NAMESPACE, NAME)
PRIMARY = Ref("apps/v1", "Deployment", NAMESPACE, f"{NAME}-primary")
ROUTE = Ref("traefik.io/v1alpha1", "TraefikService", NAMESPACE, NAME)
APEX = Ref("v1", "Service", NAMESPACE, NAME)
GOOD = "example.test/web:good-1"
CANARY = Ref(API_VERSION, "Canary", NAMESPACE, NAME)


class Conflict(Exception):
    """The object changed since it was read."""


class World:
    """Objects by reference, with resourceVersions and generations."""

    def __init__(self, **analysis: Any) -> None:
        self.objects: dict[Ref, Obj] = {}
        self.version = 0
        self.routed = ""
        self.now = 1_767_225_600.0
        metric = Metric(name="request-success-rate", threshold_range=ThresholdRange(min=99))
        spec = a_canary_spec(analysis=an_analysis(metrics=(metric,), **analysis))
        self.put(a_deployment(image=GOOD))
        self.put(a_canary(spec=spec))

    # --- what an API server does ----------------------------------------------------------------

    def put(self, obj: Obj) -> Obj:
        """Stores a whole object as its newest version; a changed spec is a new generation."""
        obj = copy.deepcopy(obj)
        ref = ref_of(obj)
        meta = obj["metadata"]
        old = self.objects.get(ref)
        if old is None:
            meta.setdefault("uid", f"uid-{ref.kind}-{ref.name}")
            meta["generation"] = 1
        else:
            generation = old["metadata"].get("generation", 1)
            meta["generation"] = generation + (obj.get("spec") != old.get("spec"))
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        self.objects[ref] = obj
        return obj

    def write(self, step: Write) -> None:
        """A step of the router. Raises Conflict where the API server would."""
        found = self.objects.get(step.ref)
        if step.verb == "create" and found is not None:
            raise Conflict(step.ref)
        if step.verb == "patch":
            assert step.live is not None
            if found is None:
                raise Conflict(step.ref)
            if found["metadata"]["resourceVersion"] != step.live["metadata"]["resourceVersion"]:
                raise Conflict(step.ref)
        written = self.put(step.whole)
        if step.ref == ROUTE:
            self.routed = written["metadata"]["resourceVersion"]

    @property
    def route_is_ours(self) -> bool:
        """Whether the route is as the router wrote it, and nobody's hand was in it since."""
        return bool(self.objects[ROUTE]["metadata"]["resourceVersion"] == self.routed)

    def patch_status(self, version: str, status: dict[str, Any]) -> Obj:
        """The analyzer's write, by compare-and-swap."""
        found = copy.deepcopy(self.objects[CANARY])
        if found["metadata"]["resourceVersion"] != version:
            raise Conflict(CANARY)
        found["status"] = status
        return self.put(found)

    # --- what a deployment controller and pods do -----------------------------------------------

    def start_pods(self, ref: Ref) -> None:
        """The controller has seen the spec: new pods exist, old ones serve on."""
        obj = copy.deepcopy(self.objects[ref])
        wanted = obj["spec"]["replicas"]
        status = obj.get("status") or {}
        runs = status.get("runs")
        revision = template_hash(obj["spec"]["template"])
        had = status.get("availableReplicas", 0)
        changed = runs != revision
        available = min(had, wanted) if had else 0
        obj["status"] = {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": wanted,
            "updatedReplicas": 0 if changed and had and wanted else wanted,
            "readyReplicas": available,
            "availableReplicas": available,
            "runs": runs if changed and had and wanted else revision,
            "conditions": _conditions(available),
        }
        self.put(obj)

    def ready_pods(self, ref: Ref) -> None:
        """The rollout of this workload is complete."""
        self.start_pods(ref)
        obj = copy.deepcopy(self.objects[ref])
        wanted = obj["spec"]["replicas"]
        obj["status"].update(
            updatedReplicas=wanted,
            readyReplicas=wanted,
            availableReplicas=wanted,
            runs=template_hash(obj["spec"]["template"]),
            conditions=_conditions(wanted),
        )
        self.put(obj)

    # --- what the user does ---------------------------------------------------------------------

    def push(self, image: str) -> None:
        """kubectl set image."""
        obj = copy.deepcopy(self.objects[TARGET])
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = image
        self.put(obj)
        if obj["spec"]["replicas"]:
            self.start_pods(TARGET)

    def edit_route(self, weight: int) -> None:
        """Somebody's hand in the mesh."""
        if ROUTE not in self.objects:
            return
        obj = copy.deepcopy(self.objects[ROUTE])
        for service in obj["spec"]["weighted"]["services"]:
            service["weight"] = weight
        self.put(obj)

    # --- what can be asked of the world ---------------------------------------------------------

    def revision_of(self, ref: Ref) -> str:
        return template_hash(self.objects[ref]["spec"]["template"])

    def image_of(self, ref: Ref) -> str:
        return str(self.objects[ref]["spec"]["template"]["spec"]["containers"][0]["image"])

    def available(self, ref: Ref) -> int:
        obj = self.objects.get(ref)
        if obj is None:
            return 0
        return min(obj["spec"]["replicas"], (obj.get("status") or {}).get("availableReplicas", 0))

    def weights(self) -> tuple[int, int] | None:
        """Live weights of (primary, canary); None where there is no route yet."""
        obj = self.objects.get(ROUTE)
        if obj is None:
            return None
        weights = {s["name"]: s["weight"] for s in obj["spec"]["weighted"]["services"]}
        return weights.get(f"{NAME}-primary", 0), weights.get(f"{NAME}-canary", 0)

    @property
    def canary(self) -> Obj:
        return self.objects[CANARY]


class View:
    """The cluster as the watcher's `compose` asks for it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def workload(self, namespace: str, kind: str, name: str) -> Obj | None:
        return self._world.objects.get(Ref("apps/v1", kind, namespace, name))

    def pods(self, namespace: str, kind: str, name: str) -> Sequence[Obj]:
        return ()

    def config(self, namespace: str, key: str) -> Obj | None:
        return None

    def config_seen(self, namespace: str, key: str) -> ConfigSeen | None:
        return None

    def template(self, namespace: str, name: str) -> Obj | None:
        return None

    def canaries_of(self, namespace: str, kind: str, name: str) -> Sequence[Obj]:
        return (self._world.canary,)


def _conditions(available: int) -> list[dict[str, str]]:
    state = "True" if available else "False"
    return [
        {"type": "Available", "status": state, "reason": "MinimumReplicasAvailable"},
        {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
    ]


def as_status(status: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(status)
    return found
