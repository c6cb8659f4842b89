"""A search for trouble: Hypothesis chooses what happens next, every write is checked for safety.

Safety, after every write of the router:
  a  no share for a canary without a pod that can answer, and none for such a primary
  b  the primary never runs a revision that answers with errors, nor one that was never judged
  c  weights add up to 100 and are weights that the manifest's steps lead to
  d  failed checks never reach the threshold without the run being over
  e  the canary's share never goes back by one step: only on, or to nothing
Liveness: when the faults stop every run ends, all traffic on the primary, the canary parked.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.sim.ring import Analyzer, Bus, Router, Watcher
from tests.sim.world import PRIMARY, ROUTE, TARGET, World

from serinus.analyzer.core.weights import next_weight
from serinus.events.canary import CanarySpec, threshold

INTERVAL_S = 10.0
FAIR_ROUNDS = 400
ENDED = ("Initialized", "Succeeded", "Failed")


def is_bad(image: str) -> bool:
    return "bad" in image


def reachable(spec: CanarySpec) -> set[int]:
    """The weights that the steps of this manifest lead to, 0 and 100 included."""
    found, weight = {0, 100}, 0
    while weight not in found or weight == 0:
        found.add(weight)
        weight = next_weight(spec, weight)
        if weight == 0:
            break
    return found


class RingMachine(RuleBasedStateMachine):
    """One canary, its ring, its user, and bad luck."""

    @initialize(
        step=st.sampled_from([10, 20, 30, 50, 100]),
        maximum=st.sampled_from([20, 50, 60, 100]),
        checks=st.integers(1, 3),
        back=st.sampled_from([0, 0, 30]),
        settled=st.booleans(),
    )
    def begin(self, step: int, maximum: int, checks: int, back: int, settled: bool) -> None:
        self.world = World(
            step_weight=step, max_weight=maximum, threshold=checks, step_weight_promotion=back
        )
        self.bus = Bus()
        self.watcher = Watcher(self.world, self.bus)
        self.analyzer = Analyzer(self.world, self.bus, is_bad)
        self.router = Router(self.world, self.bus)
        self.router.sync()
        self.images = 1
        self.last_share = 0
        if settled:
            self.fair_play()

    # --- what can happen ------------------------------------------------------------------------

    @rule(bad=st.booleans())
    def push(self, bad: bool) -> None:
        """The user releases something; what is live before there is a primary is not judged."""
        bad = bad and PRIMARY in self.world.objects
        self.images += 1
        self.world.push(f"example.test/web:{'bad' if bad else 'good'}-{self.images}")

    @rule()
    def push_back(self) -> None:
        """The user puts the live version back."""
        if PRIMARY in self.world.objects:
            self.world.push(self.world.image_of(PRIMARY))

    @rule()
    def observe(self) -> None:
        self.watcher.observe()
        self.analyzer.hear(self.bus.snapshots[-1])
        self.analyzer.handle()

    @rule(age=st.integers(0, 5), patience=st.integers(0, 4))
    def hear_late(self, age: int, patience: int) -> None:
        """An older snapshot comes again; perhaps the analyzer dies in the middle."""
        if self.bus.snapshots:
            self.analyzer.hear(self.bus.snapshots[max(-len(self.bus.snapshots), -1 - age)])
            self.analyzer.handle(patience=patience)

    @rule()
    def analyzer_dies(self) -> None:
        self.analyzer.crash()

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0, 10.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        self.analyzer.handle()

    @rule(age=st.integers(0, 2))
    def intent_arrives(self, age: int) -> None:
        if self.bus.intents:
            self.router.take(self.bus.intents[max(-len(self.bus.intents), -1 - age)])

    @rule(writes=st.integers(1, 8), crash=st.booleans(), sync=st.booleans())
    def router_works(self, writes: int, crash: bool, sync: bool) -> None:
        """A few steps; the router may die between any two."""
        if sync:
            self.router.sync()
        for _ in range(writes):
            wrote = self.router.step()
            self.check_safety()
            if not wrote:
                break
        if crash:
            self.router.crash()
            if self.bus.intents:
                self.router.take(self.bus.intents[-1])

    @rule(ready=st.booleans(), primary=st.booleans())
    def pods_move(self, ready: bool, primary: bool) -> None:
        ref = PRIMARY if primary else TARGET
        if ref in self.world.objects:
            (self.world.ready_pods if ready else self.world.start_pods)(ref)

    @precondition(lambda self: ROUTE in self.world.objects)
    @rule(weight=st.sampled_from([1, 33, 100]))
    def somebody_edits_the_route(self, weight: int) -> None:
        self.world.edit_route(weight)

    @rule(rounds=st.integers(1, 12))
    def go_on(self, rounds: int) -> None:
        """All goes well for a while: how a search gets to the interesting places."""
        for _ in range(rounds):
            self.fair_round()

    @rule()
    def push_into_promotion(self) -> None:
        """A bad version lands between the decision to promote and the copy."""
        if PRIMARY not in self.world.objects:
            return
        self.push(bad=False)
        for _ in range(60):
            self.think()
            if (self.world.canary.get("status") or {}).get("phase") == "Promoting":
                self.push(bad=True)
                break
            self.act()
        self.act()

    @rule()
    def another_analyzer_wakes(self) -> None:
        """It starts from the oldest news that is still about, after others have gone on."""
        self.think()
        self.act()
        self.analyzer.crash()
        self.analyzer.hear(self.bus.snapshots[0])
        self.world.now += INTERVAL_S
        self.analyzer.handle(patience=2)
        self.act()

    # --- what must hold -------------------------------------------------------------------------

    def check_safety(self) -> None:
        world = self.world
        if PRIMARY in world.objects:
            assert not is_bad(world.image_of(PRIMARY)), "the primary runs what failed its checks"
        weights = world.weights()
        if weights is None:
            return
        primary, canary = weights
        if not world.route_is_ours:
            return
        spec = self.spec
        assert primary + canary == 100, f"weights {weights}"
        steps_back = spec.analysis is not None and spec.analysis.step_weight_promotion
        if not steps_back:
            assert canary in reachable(spec), f"weight {canary} is no step of the manifest"
        assert not canary or world.available(TARGET), "traffic to a canary without pods"
        assert not primary or world.available(PRIMARY), "traffic to a primary without pods"
        if not steps_back:
            assert canary >= self.last_share or canary == 0, "the canary's share went back a step"
        self.last_share = canary
        memory = self.analyzer.memory
        if memory is not None:
            assert memory.current.status.failed_checks < threshold(spec), "a failed run goes on"

    @property
    def spec(self) -> CanarySpec:
        memory = self.analyzer.memory
        if memory is not None:
            return memory.current.spec
        return self.bus.snapshots[-1].spec

    # --- how it ends ----------------------------------------------------------------------------

    def fair_round(self) -> None:
        """Everybody does their work once."""
        self.think()
        self.act()

    def think(self) -> None:
        """Pods, watcher and analyzer."""
        for ref in (TARGET, PRIMARY):
            if ref in self.world.objects:
                self.world.ready_pods(ref)
        self.watcher.observe()
        self.analyzer.hear(self.bus.snapshots[-1])
        self.analyzer.handle()

    def act(self) -> None:
        """The router, up to the end of its plan; then a little time."""
        if self.bus.intents:
            self.router.take(self.bus.intents[-1])
        self.router.sync()
        for _ in range(20):
            wrote = self.router.step()
            self.check_safety()
            if not wrote:
                break
        self.world.now += 2.0

    def fair_play(self) -> None:
        """Faults have stopped: every run must end."""
        for _ in range(FAIR_ROUNDS):
            self.fair_round()
            if self.is_at_rest():
                return
        status = self.world.canary.get("status") or {}
        raise AssertionError(f"it never ends: {status.get('phase')} {self.world.weights()}")

    def is_at_rest(self) -> bool:
        status = self.world.canary.get("status") or {}
        if status.get("phase") not in ENDED or self.world.weights() != (100, 0):
            return False
        if self.world.objects[TARGET]["spec"]["replicas"]:
            return False
        known = (status.get("lastAppliedSpec"), status.get("lastPromotedSpec"))
        return self.world.revision_of(TARGET) in known

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.fair_play()
