"""The same search where the canary runs on other nodes: in a stand-in, in the target's place.

All that must hold of a canary holds of the pods that S-canary leads to. Besides:
  i  of the target nothing is ever changed but its size
  j  no revision but the one that was decided on gets a larger share, and what has one is replaced
     only where the canary has to serve on
  k  the canary's pods run where the Canary says, the primary's where the manifest says
At rest there is no stand-in any more, nor an autoscaler of one.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from tests.sim.deployments import RingMachine
from tests.sim.manifests import manifests
from tests.sim.world import PRIMARY, SCALERS, TARGET, World, pods_for

from serinus.events.canary import Analysis
from serinus.kube.refs import Obj, Ref, copied
from serinus.kube.standin import ROLE, runs
from serinus.router.core.steps import Write

STANDIN = Ref(TARGET.api_version, TARGET.kind, TARGET.namespace, f"{TARGET.name}-canary")
STANDIN_SCALER = Ref(
    *(getattr(SCALERS[TARGET], f) for f in ("api_version", "kind", "namespace")), STANDIN.name
)
S_CANARY = Ref("v1", "Service", TARGET.namespace, f"{TARGET.name}-canary")
SPOT, ON_DEMAND = {"node-type": "spot"}, {"node-type": "on-demand"}


class PlacedWorld(World):
    """A manifest on some nodes, and a Canary that may name others."""

    def __init__(self, mesh: str, analysis: Analysis, *, is_scaled: bool = False) -> None:
        super().__init__(mesh, analysis, is_scaled=is_scaled)
        target = copied(self.objects[TARGET])
        target["spec"]["template"]["spec"]["nodeSelector"] = ON_DEMAND
        self.put(target)
        self.start_pods(TARGET)
        self.ready_pods(TARGET)
        self._note_image()
        self.place(True)

    def place(self, is_elsewhere: bool) -> None:
        """The user says where the canary runs, or no longer does."""
        obj = copied(self.canary)
        obj["spec"].pop("canaryPods", None)
        if is_elsewhere:
            obj["spec"]["canaryPods"] = {"nodeSelector": SPOT}
        self.put(obj)

    def write(self, step: Write) -> None:
        if step.ref == TARGET:
            assert step.live is not None, "a target was made"
            assert _but_size(step.live) == _but_size(step.whole), "the user's own was changed"
        super().write(step)

    @property
    def canarys(self) -> list[Ref]:
        """The workloads whose pods S-canary leads to."""
        service = self.objects.get(S_CANARY)
        selected = (service or {"spec": {}})["spec"].get("selector") or {}
        both = [] if selected.items() >= ROLE.items() else [TARGET]
        return [ref for ref in (*both, STANDIN) if ref in self.objects]

    def tried(self) -> tuple[str, str]:
        found = self.objects.get(STANDIN)
        return super().tried() if found is None else (self.image_of(STANDIN), runs(found))

    def available(self, ref: Ref) -> int:
        if ref != TARGET or S_CANARY not in self.objects:
            return super().available(ref)
        return sum(super(PlacedWorld, self).available(one) for one in self.canarys)

    def never_ready(self, ref: Ref) -> bool:
        is_standin = ref == TARGET and STANDIN in self.objects
        return super().never_ready(STANDIN if is_standin else ref)

    def move(self) -> None:
        if STANDIN in self.objects:
            self.ready_pods(STANDIN)
        super().move()

    def autoscale(self) -> None:
        super().autoscale()
        scaler, workload = self.objects.get(STANDIN_SCALER), self.objects.get(STANDIN)
        if scaler is None or workload is None or not workload["spec"]["replicas"]:
            return
        size = max(scaler["spec"]["minReplicas"], pods_for(self.shares()[1]))
        if size != workload["spec"]["replicas"]:
            obj = copied(workload)
            obj["spec"]["replicas"] = size
            self.put(obj)
            self.start_pods(STANDIN)


def _but_size(target: Obj) -> Obj:
    whole = copied(target)
    del whole["spec"]["replicas"]
    return whole


class PlacedMachine(RingMachine):
    """One canary on other nodes, its ring, its user, and bad luck."""

    world: PlacedWorld

    @initialize(manifest=manifests(), settled=st.booleans(), is_scaled=st.booleans())
    def begin(self, manifest: tuple[str, Analysis], settled: bool, is_scaled: bool) -> None:
        mesh, analysis = manifest
        self.begin_with(PlacedWorld(mesh, analysis, is_scaled=is_scaled), analysis)
        self.primary_share, self.primary_image = 0, ""
        self.was_taken_back, self.tried_before = False, ""
        if settled:
            self.fair_play()

    @rule(is_elsewhere=st.booleans())
    def place(self, is_elsewhere: bool) -> None:
        # A stand-in that is at work goes on; another revision is put where the manifest says.
        self.was_taken_back = self.was_taken_back or not is_elsewhere
        self.world.place(is_elsewhere)

    @rule()
    def override_in_mid_run(self) -> None:
        """The canary is at work in the target when the user wants it elsewhere."""
        if PRIMARY not in self.world.objects:
            return
        self.place(False)
        self.go_on(30)
        if self.is_running_a_good_one():
            self.go_on(6)
            self.place(True)
            self.go_on(6)

    @rule(ready=st.booleans())
    def pods_of_the_standin_move(self, ready: bool) -> None:
        if STANDIN in self.world.objects:
            (self.world.ready_pods if ready else self.world.start_pods)(STANDIN)

    def check_safety(self) -> None:
        super().check_safety()
        where = {
            ref: self.world.objects[ref]["spec"]["template"]["spec"]["nodeSelector"]
            for ref in (TARGET, PRIMARY, STANDIN)
            if ref in self.world.objects
        }
        allowed = (SPOT, ON_DEMAND) if self.was_taken_back else (SPOT,)
        assert where.pop(STANDIN, SPOT) in allowed, "a canary on the wrong nodes"
        assert set(map(str, where.values())) == {str(ON_DEMAND)}, "a primary on the wrong nodes"

        standin = self.world.objects.get(STANDIN)
        before, self.tried_before = self.tried_before, runs(standin) if standin else ""
        weights, intent = self.world.weights(), self.router.intent
        if weights and intent and before not in ("", self.tried_before) and standin:
            is_on = weights[1] and self.world.route_is_ours
            assert not is_on or intent.routes.canary, "replaced under its requests"

    def check_share(self) -> None:
        before = self.last_share
        super().check_share()
        standin, intent = self.world.objects.get(STANDIN), self.router.intent
        if standin is not None and intent is not None and self.last_share > before:
            assert runs(standin) == intent.revision, "requests for what nobody decided on"

    def is_at_rest(self) -> bool:
        rests = STANDIN not in self.world.objects or self.status.canary_weight > 0
        return rests and super().is_at_rest()

    def check_rest(self) -> None:
        super().check_rest()
        if not self.status.canary_weight:
            assert STANDIN_SCALER not in self.world.objects, "an autoscaler of nothing"
