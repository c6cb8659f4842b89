"""A StatefulSet in the cluster in a dict: pods by ordinal, moved when its controller is asked."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from tests.builders import NAME, NAMESPACE, a_stateful_set
from tests.ordinals import Ordinals, Pod
from tests.sim.world import DEADLINE_S, GOOD, RATE, Conflict, World

from serinus.events.canary import Analysis, Metric, TemplateRef, ThresholdRange
from serinus.kube.partition import PARKED, Parts, parts, with_partition
from serinus.kube.refs import Obj, Ref, copied
from serinus.router.core.objects import PROMOTED_REVISION, annotations_of
from serinus.router.core.steps import Write

SET = Ref("apps/v1", "StatefulSet", NAMESPACE, NAME)
# Checks of meshes that tell pods of one workload apart; elsewhere a query does it.
BY_QUERY = Metric(
    name="errors", template_ref=TemplateRef(name="errors"), threshold_range=ThresholdRange(min=99)
)
QUERY = {"query": 'errors{pod=~"{{ pods }}"}', "provider": {"type": "prometheus", "address": "x"}}


class SetWorld(World):
    """One StatefulSet, released in place: it is target and primary.

    Pods of `stuck` images never become ready, of `half` ones not at the lowest ordinal, of `late`
    ones there only after the deadline.
    """

    target = primary = SET

    def __init__(self, mesh: str, analysis: Analysis, size: int) -> None:
        metric = RATE if mesh == "traefik" else BY_QUERY
        self.template = {"metadata": {}, "spec": QUERY}
        workload = a_stateful_set(replicas=size, image=GOOD)
        self.begin(mesh, msgspec.structs.replace(analysis, metrics=(metric,)), workload)
        self.ordinals = Ordinals(self.objects[SET], self.now)
        self.tell()

    # --- what the controller and pods do ---------------------------------------------------------

    def start_pods(self, ref: Ref) -> None:
        """Nobody has seen a new template before the controller looks."""

    def control(self) -> bool:
        """One action of the controller, which tells what it sees; whether anything moved."""
        self.ordinals.now = self.now
        acted = self.ordinals.act(self.objects[SET])
        return self.tell() or acted

    def tell(self) -> bool:
        """The status follows; whether that was news."""
        found, status = self.objects[SET], self.ordinals.status(self.objects[SET])
        if found.get("status") == status:
            return False
        self.put({**copied(found), "status": status})
        return True

    def ready(self, n: int) -> bool:
        """The pod at this ordinal comes up, if it ever will; whether it did."""
        pod = self.ordinals.pods.get(n)
        if pod is None or pod.ready or self.is_broken(n, pod):
            return False
        pod.ready = True
        return self.tell()

    def is_broken(self, n: int, pod: Pod) -> bool:
        late = "late" in pod.image and self.now - pod.since <= 2 * DEADLINE_S
        return "stuck" in pod.image or (n == 0 and ("half" in pod.image or late))

    def fall(self, n: int) -> None:
        """A pod is not ready any more; that alone makes nobody replace it."""
        if n in self.ordinals.pods:
            self.ordinals.pods[n].ready = False
            self.tell()

    def evict(self, n: int) -> None:
        """A node goes, and a pod with it."""
        if self.ordinals.pods.pop(n, None) is not None:
            self.tell()

    def move(self) -> None:
        self.control()
        for n in list(self.ordinals.pods):
            self.ready(n)

    def resize(self, size: int) -> None:
        """kubectl scale."""
        obj = copied(self.objects[SET])
        obj["spec"]["replicas"] = size
        self.put(obj)

    def open_border(self) -> None:
        """kubectl apply of a manifest with `partition: 0`."""
        self.put(with_partition(copied(self.objects[SET]), 0))

    def write(self, step: Write) -> None:
        if step.ref.kind != "Pod":
            super().write(step)
            return
        assert step.verb == "delete", "pods are the controller's"
        n = int(step.ref.name.rpartition("-")[2])
        pod = self.ordinals.pods.get(n)
        if pod is None or f"uid-{pod.uid}" != step.whole["metadata"]["uid"]:
            raise Conflict(step.ref)
        self.evict(n)

    # --- what can be asked of the world ----------------------------------------------------------

    def pod_documents(self) -> Sequence[Obj]:
        return self.ordinals.documents(self.objects[SET])

    @property
    def parts(self) -> Parts:
        return parts(self.objects[SET])

    @property
    def note(self) -> str:
        """The revision that all pods are said to run."""
        return str(annotations_of(self.objects[SET]).get(PROMOTED_REVISION, ""))

    @property
    def is_made(self) -> bool:
        return bool(self.note)

    @property
    def is_one(self) -> bool:
        """Whether all pods are there, run what is promoted, and no template reaches them."""
        pods, found = self.ordinals.pods.values(), self.parts
        runs = all(pod.ready and pod.revision == self.ordinals.current for pod in pods)
        return runs and len(pods) == found.size and found.partition == PARKED

    @property
    def live_image(self) -> str:
        """What the controller makes pods of below the partition."""
        return self.ordinals.kept[self.ordinals.current]

    def selector(self, service: str) -> Obj:
        found = self.objects.get(Ref("v1", "Service", NAMESPACE, service))
        return (found or {"spec": {}})["spec"].get("selector") or {"nothing": ""}

    def behind(self, service: str) -> list[Pod]:
        """The ready pods that a Service leads to."""
        return self.ordinals.behind(self.objects[SET], self.selector(service))
