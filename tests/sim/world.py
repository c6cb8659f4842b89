"""A cluster in a dict: what the API server and the deployment controller would do, and no more.

Time is a number. Nothing happens by itself: every move is asked for, so that a search can put
faults between any two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from tests.builders import NAME, NAMESPACE, a_canary, a_canary_spec, a_deployment

from serinus.analyzer.core.times import rfc3339
from serinus.events import CanaryStatus, ObjectRef
from serinus.events.canary import (
    API_VERSION,
    Analysis,
    AutoscalerRef,
    Metric,
    ThresholdRange,
)
from serinus.kube.configs import ConfigSeen
from serinus.kube.refs import Obj, Ref, copied, ref_of
from serinus.kube.revision import template_hash
from serinus.router.core.steps import Write

TARGET = Ref("apps/v1", "Deployment", NAMESPACE, NAME)
PRIMARY = Ref("apps/v1", "Deployment", NAMESPACE, f"{NAME}-primary")
BASELINE = Ref("apps/v1", "Deployment", NAMESPACE, f"{NAME}-baseline")
# Provider kubernetes has none.
ROUTES = {
    "traefik": Ref("traefik.io/v1alpha1", "TraefikService", NAMESPACE, NAME),
    "istio": Ref("networking.istio.io/v1beta1", "VirtualService", NAMESPACE, NAME),
}
SCALERS = {
    ref: Ref("autoscaling/v2", "HorizontalPodAutoscaler", NAMESPACE, ref.name)
    for ref in (TARGET, PRIMARY)
}
APEX = Ref("v1", "Service", NAMESPACE, NAME)
GOOD = "example.test/web:good-1"
CANARY = Ref(API_VERSION, "Canary", NAMESPACE, NAME)


DEADLINE_S = 60
# How long after pods are ready their addresses stand in EndpointSlices.
ANNOUNCED_AFTER_S = 0.4
# Pods that bear all requests.
EVERYBODY = 6
RATE = Metric(name="request-success-rate", threshold_range=ThresholdRange(min=99))


class Conflict(Exception):
    """The object changed since it was read."""


class Rule(msgspec.Struct, frozen=True):
    """One rule of the mesh: shares in percent of the requests that it takes."""

    primary: int
    canary: int
    is_matched: bool = False
    mirrored: int = 0


class World:
    """Objects by reference, with resourceVersions and generations.

    Images say how they do: `bad` answers with errors, `stuck` never becomes ready, `half` becomes
    ready on the target and never on the primary, `late` there only after its deadline.
    """

    target, primary = TARGET, PRIMARY
    # The MetricTemplate that the manifest refers to.
    template: Obj | None = None

    def __init__(self, mesh: str, analysis: Analysis, *, is_scaled: bool = False) -> None:
        scaler = AutoscalerRef(kind="HorizontalPodAutoscaler", name=NAME) if is_scaled else None
        size = EVERYBODY if is_scaled else 2
        workload = a_deployment(image=GOOD, replicas=size, ready=size)
        self.begin(mesh, msgspec.structs.replace(analysis, metrics=(RATE,)), workload, scaler)
        if is_scaled:
            self.put(_an_autoscaler())

    def begin(
        self, mesh: str, analysis: Analysis, workload: Obj, scaler: AutoscalerRef | None = None
    ) -> None:
        """A workload, and a Canary that nobody has seen yet."""
        self.route = ROUTES.get(mesh)
        self.objects: dict[Ref, Obj] = {}
        self.version = 0
        self.routed = ""
        self.now = 1_767_225_600.0
        self.images: dict[str, str] = {}
        # ReplicaSets of the primary, the newest first.
        self.kept: list[Obj] = []
        # Since when the canary has pods that serve; None: it has none.
        self.served_since: float | None = None
        self.put(workload)
        self._note_image()
        spec = a_canary_spec(
            provider=mesh,
            target_ref=ObjectRef(kind=workload["kind"], name=NAME, api_version="apps/v1"),
            analysis=analysis,
            progress_deadline_seconds=DEADLINE_S,
            autoscaler_ref=scaler,
        )
        self.put(a_canary(spec=spec))

    # --- what an API server does ----------------------------------------------------------------

    def put(self, obj: Obj) -> Obj:
        """Stores a whole object as its newest version; a changed spec is a new generation."""
        obj = copied(obj)
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
        if ref == PRIMARY and (old is None or old["spec"]["template"] != obj["spec"]["template"]):
            self._keep(obj["spec"]["template"])
        serves = bool(self.available(self.target))
        self.served_since = (self.served_since or self.now) if serves else None
        return obj

    def _keep(self, template: Obj) -> None:
        """What a deployment controller does; what comes back becomes the newest."""
        kept = copied(template)
        kept["metadata"]["labels"]["pod-template-hash"] = template_hash(template)
        found = {"kind": "ReplicaSet", "spec": {"template": kept}}
        self.kept = [found, *(other for other in self.kept if other != found)]

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
        if step.verb == "delete":
            self.objects.pop(step.ref, None)
            return
        written = self.put(step.whole)
        if step.ref == self.route:
            self.routed = written["metadata"]["resourceVersion"]

    @property
    def route_is_ours(self) -> bool:
        """Whether the route is as the router wrote it, and nobody's hand was in it since."""
        found = self.objects.get(self.route) if self.route else None
        return found is not None and found["metadata"]["resourceVersion"] == self.routed

    def patch_status(self, version: str, status: dict[str, Any]) -> Obj:
        """The analyzer's write, by compare-and-swap."""
        found = copied(self.objects[CANARY])
        if found["metadata"]["resourceVersion"] != version:
            raise Conflict(CANARY)
        found["status"] = status
        return self.put(found)

    # --- what a deployment controller and pods do -----------------------------------------------

    def start_pods(self, ref: Ref) -> None:
        """The controller has seen the spec: new pods exist, old ones serve on."""
        obj = copied(self.objects[ref])
        wanted = obj["spec"]["replicas"]
        status = obj.get("status") or {}
        runs = status.get("runs")
        revision = _revision(obj)
        had = status.get("availableReplicas", 0)
        changed = runs != revision
        available = min(had, wanted) if had else 0
        obj["status"] = {
            **{key: status[key] for key in ("tried", "triedAt") if key in status},
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": wanted,
            "updatedReplicas": 0 if changed and had and wanted else wanted,
            "readyReplicas": available,
            "availableReplicas": available,
            "runs": runs if changed and had and wanted else revision,
            "conditions": _conditions(available, self.now, obj),
        }
        self.put(obj)

    def ready_pods(self, ref: Ref) -> None:
        """The rollout of this workload is complete."""
        self.start_pods(ref)
        obj = copied(self.objects[ref])
        if self.never_ready(ref):
            self._roll_in_vain(obj)
            return
        wanted = obj["spec"]["replicas"]
        if obj["status"].get("tried") != _revision(obj):
            obj["status"].pop("tried", None)  # what was tried before is as late when it comes back
        obj["status"].update(
            updatedReplicas=wanted,
            readyReplicas=wanted,
            availableReplicas=wanted,
            runs=_revision(obj),
            conditions=_conditions(wanted, self.now, obj),
        )
        self.put(obj)

    def never_ready(self, ref: Ref) -> bool:
        image, obj = self.image_of(ref), self.objects[ref]
        if not obj["spec"]["replicas"]:
            return False
        late = "late" in image and not self._is_late_enough(obj)
        return "stuck" in image or (ref == PRIMARY and ("half" in image or late))

    def _is_late_enough(self, obj: Obj) -> bool:
        status = obj.get("status") or {}
        began = status.get("triedAt") if status.get("tried") == _revision(obj) else None
        return began is not None and self.now - began > 2 * DEADLINE_S

    def _roll_in_vain(self, obj: Obj) -> None:
        """New pods do not come up; old ones, where there are some, stay until they would."""
        status, wanted = obj["status"], obj["spec"]["replicas"]
        revision = _revision(obj)
        if status.get("tried") != revision:
            status.update(tried=revision, triedAt=self.now)
        old = status["availableReplicas"]
        status["updatedReplicas"] = wanted - 1 if old else wanted
        status["conditions"] = _conditions(old, self.now, obj)
        if old and self.now - status["triedAt"] > DEADLINE_S:
            status["conditions"][1]["reason"] = "ProgressDeadlineExceeded"
        self.put(obj)

    def autoscale(self) -> None:
        """Autoscalers give each side the pods that its share needs, and what they must."""
        shares = self.shares()
        for ref, share in ((PRIMARY, shares[0]), (TARGET, shares[1])):
            scaler, workload = self.objects.get(SCALERS[ref]), self.objects.get(ref)
            if scaler is None or workload is None or not workload["spec"]["replicas"]:
                continue
            size = max(scaler["spec"]["minReplicas"], pods_for(share))
            if size != workload["spec"]["replicas"]:
                obj = copied(workload)
                obj["spec"]["replicas"] = size
                self.put(obj)
                self.start_pods(ref)

    def move(self) -> None:
        """What happens by itself happens, and goes well."""
        for ref in (self.target, self.primary):
            if ref in self.objects:
                self.ready_pods(ref)
        self.autoscale()

    # --- what the user does ---------------------------------------------------------------------

    def push(self, image: str) -> None:
        """kubectl set image."""
        obj = copied(self.objects[self.target])
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = image
        self.put(obj)
        self._note_image()
        if obj["spec"]["replicas"]:
            self.start_pods(self.target)

    def _note_image(self) -> None:
        self.images[self.revision_of(self.target)] = self.image_of(self.target)

    def annotate(self, **values: str) -> None:
        """kubectl annotate; "" takes the annotation away. The next write of others conflicts."""
        obj = copied(self.canary)
        held = obj["metadata"].setdefault("annotations", {})
        for name, value in values.items():
            held[f"flagger.app/{name}"] = value
        obj["metadata"]["annotations"] = {k: v for k, v in held.items() if v}
        self.put(obj)

    def suspend(self, value: bool) -> None:
        obj = copied(self.canary)
        obj["spec"]["suspend"] = value
        self.put(obj)

    def edit_route(self, weight: int) -> None:
        """Somebody's hand in the mesh."""
        assert self.route is not None
        obj = copied(self.objects[self.route])
        for backend in _backends(obj):
            backend["weight"] = weight
        self.put(obj)

    def delete_route(self) -> None:
        assert self.route is not None
        del self.objects[self.route]

    def scale_up(self, ref: Ref) -> None:
        """kubectl scale, by somebody who means well."""
        obj = copied(self.objects[ref])
        obj["spec"]["replicas"] += 1
        self.put(obj)

    # --- what can be asked of the world ---------------------------------------------------------

    @property
    def is_made(self) -> bool:
        """Whether there is a primary."""
        return self.primary in self.objects

    @property
    def live_image(self) -> str:
        """What the primary was last given."""
        return self.image_of(self.primary)

    def revision_of(self, ref: Ref) -> str:
        return _revision(self.objects[ref])

    def image_of(self, ref: Ref) -> str:
        return str(self.objects[ref]["spec"]["template"]["spec"]["containers"][0]["image"])

    def tried(self) -> tuple[str, str]:
        """The image and the revision that the canary's requests meet."""
        return self.image_of(self.target), self.revision_of(self.target)

    def available(self, ref: Ref) -> int:
        obj = self.objects.get(ref)
        if obj is None:
            return 0
        return min(obj["spec"]["replicas"], (obj.get("status") or {}).get("availableReplicas", 0))

    def announced(self) -> int:
        """How many pods of the canary have addresses that proxies can know."""
        since = self.served_since
        is_late = since is None or self.now - since < ANNOUNCED_AFTER_S
        return 0 if is_late else self.available(self.target)

    def rules(self) -> list[Rule]:
        """The rules of the live route object, in order; [] where there is none."""
        obj = self.objects.get(self.route) if self.route else None
        if obj is None:
            return []
        if obj["kind"] == "TraefikService":
            weights = {s["name"]: s["weight"] for s in obj["spec"]["weighted"]["services"]}
            return [_rule(weights)]
        return [_istio_rule(rule) for rule in obj["spec"]["http"]]

    def weights(self) -> tuple[int, int] | None:
        """Live weights of (primary, canary) for requests that match; None without a route."""
        rules = self.rules()
        if not rules:
            return None
        # With session affinity the rules before the last are for those who hold a cookie.
        rule = rules[0] if self.canary["spec"]["analysis"].get("match") else rules[-1]
        return rule.primary, rule.canary

    def pod_documents(self) -> Sequence[Obj]:
        """The pods one by one, where that matters."""
        return ()

    def shares(self) -> tuple[int, int]:
        """Percent of all requests for primary and canary; S has them all where there is no route,
        and leads to the target before it is ours. An A/B audience is anybody's guess: it is taken
        for everybody on its own side, and for nobody on the other."""
        if APEX not in self.objects:
            return 0, 100
        primary, canary = self.weights() or (100, 0)
        return (100 if self.canary["spec"]["analysis"].get("match") else primary), canary

    @property
    def canary(self) -> Obj:
        return self.objects[CANARY]

    @property
    def status(self) -> CanaryStatus:
        return msgspec.convert(self.canary.get("status") or {}, CanaryStatus)


def pods_for(share: int) -> int:
    """How many pods bear this part of all requests."""
    return -(-EVERYBODY * share // 100)


def _revision(workload: Obj) -> str:
    return template_hash(workload["spec"]["template"], kind=workload["kind"])


def _an_autoscaler() -> Obj:
    ref = SCALERS[TARGET]
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": 1,
            "maxReplicas": 3 * EVERYBODY,
        },
    }


class View:
    """The cluster as the watcher's `compose` asks for it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def workload(self, namespace: str, kind: str, name: str) -> Obj | None:
        return self._world.objects.get(Ref("apps/v1", kind, namespace, name))

    def pods(self, namespace: str, kind: str, name: str) -> Sequence[Obj]:
        return self._world.pod_documents()

    def config(self, namespace: str, key: str) -> Obj | None:
        return None

    def config_seen(self, namespace: str, key: str) -> ConfigSeen | None:
        return None

    def template(self, namespace: str, name: str) -> Obj | None:
        return self._world.template

    def canaries_of(self, namespace: str, kind: str, name: str) -> Sequence[Obj]:
        return (self._world.canary,)


def _conditions(available: int, now: float, obj: Obj) -> list[dict[str, str]]:
    """As the deployment controller writes them; a state keeps the time it began at."""
    state = "True" if available or not obj["spec"]["replicas"] else "False"
    reason = "MinimumReplicasAvailable" if state == "True" else "MinimumReplicasUnavailable"
    old = (obj.get("status") or {}).get("conditions") or [{}]
    since = old[0].get("lastUpdateTime") if old[0].get("status") == state else None
    return [
        {
            "type": "Available",
            "status": state,
            "reason": reason,
            "lastUpdateTime": since or rfc3339(now),
        },
        {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
    ]


def _rule(weights: dict[str, int], **more: Any) -> Rule:
    return Rule(weights.get(f"{NAME}-primary", 0), weights.get(f"{NAME}-canary", 0), **more)


def _istio_rule(rule: Obj) -> Rule:
    weights = {d["destination"]["host"]: d.get("weight", 100) for d in rule["route"]}
    mirrored = int(rule.get("mirrorPercentage", {}).get("value", 100)) if "mirror" in rule else 0
    return _rule(weights, is_matched="match" in rule, mirrored=mirrored)


def _backends(obj: Obj) -> list[Obj]:
    if obj["kind"] == "TraefikService":
        found: list[Obj] = obj["spec"]["weighted"]["services"]
        return found
    return [backend for rule in obj["spec"]["http"] for backend in rule["route"]]


def as_status(status: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(status)
    return found
