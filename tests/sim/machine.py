"""A search for trouble: Hypothesis chooses what happens next, every write is checked for safety.

Safety, after every write of the router:
  a  no share for a canary without a pod that can answer, and none for such a primary
  b  the primary gets only what was judged and found good, or what somebody promoted by hand; with a
     gate only what the gate agreed to. By an undo it gets what was live before, and only that
  c  weights add up to 100 and are weights that the manifest's steps lead to; requests that do not
     match an A/B condition stay on the primary; no more is mirrored than was asked for
  d  failed checks never reach the threshold without the run being over
  e  the canary's share never goes back by one step: only on, or to nothing
  f  beyond its first step a revision gets a larger share only once it was judged
  g  while nothing is to be changed (suspended, held) nothing is written
  h  the primary gets no larger share than the pods bear that it has, whatever its autoscaler thinks
And of every decision (`ring.Analyzer`): no step while paused, none before its time, no request
acted upon twice, no status decided on an old version.
Liveness: when the faults stop every run ends, all traffic on the primary, the canary parked, the
primary with what the status says is promoted, every pushed revision begun or live. After a failed
promotion all traffic stays on the canary instead. A wish to go back is followed.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.sim.manifests import GATE, ROLLBACK, manifests
from tests.sim.ring import Analyzer, Bus, Router, Watcher
from tests.sim.world import BASELINE, PRIMARY, SCALERS, TARGET, World, pods_for

from serinus.analyzer.core.desired import failed_promotion
from serinus.analyzer.core.weights import next_weight
from serinus.events import CanaryStatus
from serinus.events.canary import Analysis, CanarySpec, threshold

INTERVAL_S = 10.0
FAIR_ROUNDS = 400
ENDED = ("Initialized", "Succeeded", "Failed")
KINDS = ("good", "good", "good", "bad", "bad", "stuck", "half", "late")
VERBS = ("approve", "promote", "abort", "retry", "reset", "undo")


def is_bad(image: str) -> bool:
    return "bad" in image


def reachable(spec: CanarySpec) -> list[int]:
    """The weights that the steps of this manifest lead to, in order, 0 first."""
    found = [0]
    while (weight := next_weight(spec, found[-1])) > found[-1]:
        found.append(weight)
    return found


class RingMachine(RuleBasedStateMachine):
    """One canary, its ring, its user, and bad luck."""

    @initialize(manifest=manifests(), settled=st.booleans(), is_scaled=st.booleans())
    def begin(self, manifest: tuple[str, Analysis], settled: bool, is_scaled: bool) -> None:
        mesh, self.analysis = manifest
        self.world = World(mesh, self.analysis, is_scaled=is_scaled)
        self.primary_share = 0
        self.somebody_in_routes = False
        self.bus = Bus()
        self.watcher = Watcher(self.world, self.bus)
        self.analyzer = Analyzer(self.world, self.bus, is_bad)
        self.router = Router(self.world, self.bus)
        self.router.sync()
        self.number = 1
        self.last_share = 0
        self.primary_image = ""
        self.interfered = False
        # A parked canary that somebody scales up is theirs until the next release; one that is
        # taken back at once may never be seen, and ends nothing.
        self.was_scaled = self.was_scaled_before = False
        if settled:
            self.fair_play()

    # --- what users do --------------------------------------------------------------------------

    @rule(kind=st.sampled_from(KINDS))
    def push(self, kind: str) -> None:
        """The user releases something; what is live before there is a primary is not judged."""
        kind = kind if PRIMARY in self.world.objects else "good"
        self.number += 1
        self.was_scaled_before = self.was_scaled_before or self.was_scaled
        self.interfered = self.was_scaled = False
        self.world.push(f"example.test/web:{kind}-{self.number}")

    @rule(recorded=st.booleans())
    def push_back(self, recorded: bool = False) -> None:
        """The user puts the live version back, or what is on record as that."""
        if PRIMARY in self.world.objects:
            self.interfered = True
            self.was_scaled = self.was_scaled or self.was_scaled_before
            promoted = self.world.images.get(self.status.last_promoted_spec) if recorded else None
            self.world.push(promoted or self.world.image_of(PRIMARY))

    @precondition(lambda self: PRIMARY in self.world.objects)
    @rule(verb=st.sampled_from(VERBS))
    def ask(self, verb: str) -> None:
        """kubectl annotate; nobody promotes by hand what answers with errors."""
        if verb == "promote" and "good" not in self.world.image_of(TARGET):
            return
        self.number += 1
        self.interfered = True
        self.world.annotate(**{verb: f"somebody-{self.number}"})

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.world.annotate(pause="somebody" if paused else "")

    @rule(suspended=st.booleans())
    def suspend(self, suspended: bool) -> None:
        self.world.suspend(suspended)

    @rule(is_open=st.booleans(), are_silent=st.booleans())
    def hooks_change_their_minds(self, is_open: bool, are_silent: bool) -> None:
        self.analyzer.gate_is_open, self.analyzer.hooks_are_silent = is_open, are_silent

    @precondition(lambda self: self.world.rules())
    @rule(weight=st.sampled_from([1, 33, 100]), gone=st.booleans())
    def somebody_edits_the_route(self, weight: int, gone: bool) -> None:
        self.interfered = self.somebody_in_routes = True
        if gone:
            self.world.delete_route()
        else:
            self.world.edit_route(weight)

    @rule(primary=st.booleans())
    def somebody_scales(self, primary: bool) -> None:
        if PRIMARY in self.world.objects:
            self.was_scaled = self.was_scaled or not primary
            self.world.scale_up(PRIMARY if primary else TARGET)

    # --- what machines do -----------------------------------------------------------------------

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

    @precondition(lambda self: self.bus.reports)
    @rule(age=st.integers(1, 5))
    def a_report_comes_late(self, age: int) -> None:
        """Over the newer one: the bus keeps the last that came."""
        self.bus.reports.append(self.bus.reports[max(-len(self.bus.reports), -1 - age)])
        self.analyzer.handle()

    @rule()
    def analyzer_dies(self) -> None:
        self.analyzer.crash()

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0, 10.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.interfered = self.interfered or seconds > INTERVAL_S
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

    @rule()
    def autoscalers_act(self) -> None:
        self.world.autoscale()

    # --- stories that random steps seldom find ---------------------------------------------------

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
        self.calm()
        self.push("good")
        for _ in range(60):
            self.think()
            if self.status.phase == "Promoting":
                self.push("bad")
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

    @precondition(lambda self: PRIMARY in self.world.objects)
    @rule(kind=st.sampled_from(["bad", "half", "late", "stuck", "good"]), back=st.booleans())
    def release(self, kind: str, back: bool) -> None:
        """One whole release, perhaps with a change of heart in its middle."""
        self.calm()
        self.push(kind)
        for number in range(150):
            self.fair_round()
            if back and number == 8:
                self.push_back()
            if number > 8 and self.status.phase in ENDED:
                break

    @precondition(lambda self: PRIMARY in self.world.objects)
    @rule(by_hook=st.booleans(), paused=st.booleans())
    def want_it_back(self, by_hook: bool, paused: bool) -> None:
        """A good release is under way when somebody wants it back: it must not go live."""
        if not self.is_running_a_good_one():
            return
        if paused:
            self.world.annotate(pause="somebody")
        if by_hook and ROLLBACK in self.analysis.webhooks:
            self.analyzer.wishes_rollback = True
        else:
            self.ask("abort")
        before = self.status.last_promoted_spec
        self.interfered = True
        for _ in range(60):
            self.fair_round()
            if self.status.phase in ENDED:
                break
        self.analyzer.wishes_rollback = False
        assert self.status.phase == "Failed", "a wish to go back was not followed"
        assert self.status.last_promoted_spec == before
        self.world.annotate(pause="")

    @precondition(lambda self: PRIMARY in self.world.objects)
    @rule()
    def want_back_what_was_live(self) -> None:
        """A good release is live when somebody wants back what was before it, and has a rest."""
        self.calm()
        self.go_on(30)
        before = self.status.last_promoted_spec
        self.push("good")
        self.go_on(60)
        if self.status.phase != "Succeeded" or not self.revision_is_seen():
            return
        self.ask("undo")
        self.go_on(40)
        assert self.status.phase == "Failed", "a wish to undo was not followed"
        assert self.status.last_promoted_spec == before, "something else was given back"

    def is_running_a_good_one(self) -> bool:
        self.calm()
        self.push("good")
        for _ in range(20):
            self.fair_round()
            if self.status.phase == "Progressing" and self.revision_is_seen():
                return True
        return False

    def revision_is_seen(self) -> bool:
        return self.status.last_applied_spec == self.world.revision_of(TARGET)

    # --- what must hold -------------------------------------------------------------------------

    def check_safety(self) -> None:
        self.check_the_primary()
        if BASELINE in self.world.objects:
            assert not is_bad(self.world.image_of(BASELINE)), "the baseline runs what failed"
        rules = self.world.rules()
        if not rules or not self.world.route_is_ours:
            return
        for found in rules:
            assert found.primary + found.canary == 100, f"weights {found}"
            assert not found.canary or self.world.available(TARGET), "no pod for the canary's share"
            assert not found.primary or self.world.available(PRIMARY), "no pod for the primary's"
            most = self.analysis.max_mirror_weight or self.analysis.mirror_weight or 100
            assert found.mirrored <= (most if self.analysis.mirror else 0), "mirrors too much"
            if self.analysis.match and not found.is_matched:
                assert not found.canary or self.lets_everybody_in(), "an experiment on everybody"
        self.check_share()
        self.check_capacity()

    def lets_everybody_in(self) -> bool:
        """Only a failed promotion sends everybody to the canary of an A/B analysis."""
        return self.router.intent is not None and self.router.intent.phase == "Failed"

    def check_the_primary(self) -> None:
        if PRIMARY not in self.world.objects or self.router.intent is None:
            return
        image, revision = self.world.image_of(PRIMARY), self.router.intent.revision
        assert not is_bad(image), "the primary runs what failed its checks"
        undo = self.router.intent.workload.undo
        if undo is not None and image != self.primary_image:
            assert image == self.world.images[undo.revision], "not what was to be given back"
            assert undo.revision in self.were_live, "what was never live was given back"
        elif self.primary_image and image != self.primary_image:
            assert revision in self.analyzer.judged, "what nobody judged was promoted"
            if GATE in self.analysis.webhooks:
                assert revision in self.analyzer.agreed, "promoted behind a shut gate"
        self.primary_image = image

    def check_share(self) -> None:
        weights, intent = self.world.weights(), self.router.intent
        assert weights is not None
        assert intent is not None
        _, share = weights
        iterates = self.analysis.iterations > 0
        allowed = [0] if iterates else reachable(self.spec)
        steps_back = self.analysis.step_weight_promotion
        if not steps_back:
            assert share in {*allowed, 100}, f"weight {share} is no step of the manifest"
            assert share >= self.last_share or share == 0, "the canary's share went back a step"
        first = 100 if self.analysis.match else max(allowed[:2])
        if share > self.last_share and share > first:
            known = self.analyzer.judged | self.analyzer.fixing
            assert intent.revision in known, "a larger share for what nobody judged"
        self.last_share = share
        memory = self.analyzer.memory
        if memory is not None:
            assert memory.current.status.failed_checks < threshold(self.spec), (
                "a failed run goes on"
            )

    def check_capacity(self) -> None:
        share, before = self.world.shares()[0], self.primary_share
        self.primary_share = share
        if share > before and SCALERS[PRIMARY] in self.world.objects:
            size = self.world.objects[PRIMARY]["spec"]["replicas"]
            # Autoscalers believe what somebody writes into routes, too.
            assert size >= pods_for(share) or self.somebody_in_routes, "too few for what they get"

    @property
    def were_live(self) -> set[str]:
        return {status.last_promoted_spec for status in self.analyzer.decided}

    @property
    def spec(self) -> CanarySpec:
        memory = self.analyzer.memory
        return memory.current.spec if memory is not None else self.bus.snapshots[-1].spec

    @property
    def status(self) -> CanaryStatus:
        return self.world.status

    # --- how it ends ----------------------------------------------------------------------------

    def calm(self) -> None:
        """Nobody interferes any more."""
        self.world.annotate(pause="")
        self.world.suspend(False)
        self.analyzer.gate_is_open, self.analyzer.hooks_are_silent = True, False
        self.analyzer.wishes_rollback = False

    def fair_round(self) -> None:
        """Everybody does their work once."""
        self.think()
        self.act()

    def think(self) -> None:
        """Pods, watcher and analyzer."""
        for ref in (TARGET, PRIMARY):
            if ref in self.world.objects:
                self.world.ready_pods(ref)
        self.world.autoscale()
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
        self.calm()
        for _ in range(FAIR_ROUNDS):
            self.fair_round()
            if self.is_at_rest():
                self.check_rest()
                return
        status = self.world.status
        raise AssertionError(f"it never ends: {status.phase} {self.world.weights()}")

    def is_at_rest(self) -> bool:
        status = self.world.status
        if status.phase not in ENDED or status.undo is not None:
            return False
        if failed_promotion(status):
            # Where neither side comes up with its new pods, those that the primary had serve on.
            served = self.world.weights() == (0, 100) or self.world.never_ready(TARGET)
            return self.revision_is_seen() and served
        is_parked = self.was_scaled or not self.world.objects[TARGET]["spec"]["replicas"]
        if self.world.weights() != (100, 0) or not is_parked:
            return False
        known = (status.last_applied_spec, status.last_promoted_spec)
        return self.world.revision_of(TARGET) in known

    def check_rest(self) -> None:
        status, revision = self.world.status, self.world.revision_of(TARGET)
        if failed_promotion(status):
            assert self.world.available(TARGET), "all traffic to a canary without pods"
            return
        assert BASELINE not in self.world.objects, "a baseline that nothing is compared with"
        live = self.world.images.get(status.last_promoted_spec)
        assert self.world.image_of(PRIMARY) == live, "the record says what is not live"
        begun = {s.last_applied_spec for s in self.analyzer.decided if s.phase == "Progressing"}
        assert revision in begun | {status.last_promoted_spec}, "a revision was swallowed"
        if not self.interfered and "good" in self.world.image_of(TARGET):
            assert status.last_promoted_spec == revision, "a good revision is not live"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.fair_play()
