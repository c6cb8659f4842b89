"""A search for trouble: Hypothesis chooses what happens next, every write is checked for safety.

Safety, after every write of the router:
  a  no share for a canary without a pod that can answer, and none for such a primary; no first one
     before the addresses of the canary's pods are announced
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

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tests.sim.manifests import GATE, ROLLBACK
from tests.sim.ring import Analyzer, Bus, Router, Watcher
from tests.sim.world import Rule, World

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


# Hypothesis' machines have a metaclass of their own, which an ABC's would clash with: what each
# kind of workload has to say for itself raises here.
class Machine(RuleBasedStateMachine):
    """One canary, its ring, its user, and bad luck; what it releases is said by who inherits."""

    def begin_with(self, world: World, analysis: Analysis) -> None:
        self.world, self.analysis = world, analysis
        self.somebody_in_routes = False
        self.bus = Bus()
        self.watcher = Watcher(self.world, self.bus)
        self.analyzer = Analyzer(self.world, self.bus, is_bad)
        self.router = Router(self.world, self.bus)
        self.router.sync()
        self.number = 1
        self.last_share = 0
        self.interfered = False
        # A parked canary that somebody scales up is theirs until the next release; one that is
        # taken back at once may never be seen, and ends nothing.
        self.was_scaled = self.was_scaled_before = False

    # --- what users do --------------------------------------------------------------------------

    @rule(kind=st.sampled_from(KINDS))
    def push(self, kind: str) -> None:
        """The user releases something; what is live before there is a primary is not judged."""
        kind = kind if self.world.is_made else "good"
        self.number += 1
        self.was_scaled_before = self.was_scaled_before or self.was_scaled
        self.interfered = self.was_scaled = False
        self.world.push(f"example.test/web:{kind}-{self.number}")

    @rule(recorded=st.booleans())
    def push_back(self, recorded: bool = False) -> None:
        """The user puts the live version back, or what is on record as that."""
        if self.world.is_made:
            self.interfered = True
            self.was_scaled = self.was_scaled or self.was_scaled_before
            promoted = self.world.images.get(self.status.last_promoted_spec) if recorded else None
            self.world.push(promoted or self.world.live_image)

    @precondition(lambda self: self.world.is_made)
    @rule(verb=st.sampled_from(VERBS))
    def ask(self, verb: str) -> None:
        """kubectl annotate; nobody promotes by hand what answers with errors."""
        if verb == "promote" and "good" not in self.world.image_of(self.world.target):
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
            if not self.router_steps():
                break
        if crash:
            self.router.crash()
            if self.bus.intents:
                self.router.take(self.bus.intents[-1])

    # --- stories that random steps seldom find ---------------------------------------------------

    @rule(rounds=st.integers(1, 12))
    def go_on(self, rounds: int) -> None:
        """All goes well for a while: how a search gets to the interesting places."""
        for _ in range(rounds):
            self.fair_round()

    @rule()
    def push_into_promotion(self) -> None:
        """A bad version lands between the decision to promote and the copy."""
        if not self.world.is_made:
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

    @precondition(lambda self: self.world.is_made)
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

    @precondition(lambda self: self.world.is_made)
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
        withdrawn = self.status.last_applied_spec
        self.interfered = True
        for _ in range(60):
            self.fair_round()
            if self.status.phase in ENDED:
                break
        self.analyzer.wishes_rollback = False
        assert self.status.phase == "Failed", "a wish to go back was not followed"
        # What failed its promotion before may come up late meanwhile.
        assert self.status.last_promoted_spec != withdrawn, "what was withdrawn went live"
        self.world.annotate(pause="")

    def is_running_a_good_one(self) -> bool:
        self.calm()
        self.push("good")
        for _ in range(20):
            self.fair_round()
            if self.status.phase == "Progressing" and self.revision_is_seen():
                return True
        return False

    def revision_is_seen(self) -> bool:
        return self.status.last_applied_spec == self.world.revision_of(self.world.target)

    # --- what must hold -------------------------------------------------------------------------

    def router_steps(self) -> bool:
        """One step of the router, and a look at what it did."""
        wrote = self.router.step()
        self.check_safety()
        return wrote

    def check_safety(self) -> None:
        """After every step of the router."""
        raise NotImplementedError

    def check_rules(self) -> list[Rule]:
        """What the live rules say, where they are ours; [] where they are not."""
        rules = self.world.rules()
        if not rules or not self.world.route_is_ours:
            return []
        for found in rules:
            assert found.primary + found.canary == 100, f"weights {found}"
            most = self.analysis.max_mirror_weight or self.analysis.mirror_weight or 100
            assert found.mirrored <= (most if self.analysis.mirror else 0), "mirrors too much"
            if self.analysis.match and not found.is_matched:
                assert not found.canary or self.lets_everybody_in(), "an experiment on everybody"
        return rules

    def check_judged(self, revision: str) -> None:
        """This revision may be promoted."""
        assert revision in self.analyzer.judged, "what nobody judged was promoted"
        if GATE in self.analysis.webhooks:
            assert revision in self.analyzer.agreed, "promoted behind a shut gate"

    def lets_everybody_in(self) -> bool:
        """Only a failed promotion sends everybody to the canary of an A/B analysis."""
        return self.router.intent is not None and self.router.intent.phase == "Failed"

    def check_share(self) -> None:
        weights, intent = self.world.weights(), self.router.intent
        assert weights is not None
        assert intent is not None
        _, share = weights
        iterates = self.analysis.iterations > 0
        allowed = [0] if iterates else reachable(self.spec)
        if not self.analysis.step_weight_promotion:
            assert self.may_be(share, allowed), f"weight {share} is no step of the manifest"
            assert share >= self.last_share or share == 0, "the canary's share went back a step"
        if share and not self.last_share:
            assert self.world.announced(), "a first share before proxies can know its pods"
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

    def may_be(self, share: int, allowed: Sequence[int]) -> bool:
        """Whether the canary may have this share; the steps lead to those that are allowed."""
        return share in {*allowed, 100}

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
        self.world.move()
        self.watcher.observe()
        self.analyzer.hear(self.bus.snapshots[-1])
        self.analyzer.handle()

    def act(self) -> None:
        """The router, up to the end of its plan; then a little time."""
        if self.bus.intents:
            self.router.take(self.bus.intents[-1])
        self.router.sync()
        for _ in range(20):
            if not self.router_steps():
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
        """Whether nothing will follow by itself any more."""
        raise NotImplementedError

    def check_rest(self) -> None:
        raise NotImplementedError

    def check_record(self) -> None:
        """What the status says at rest is true, and every revision had its turn."""
        status, revision = self.world.status, self.world.revision_of(self.world.target)
        live = self.world.images.get(status.last_promoted_spec)
        assert self.world.live_image == live, "the record says what is not live"
        begun = {s.last_applied_spec for s in self.analyzer.decided if s.phase == "Progressing"}
        assert revision in begun | {status.last_promoted_spec}, "a revision was swallowed"
        if not self.interfered and "good" in self.world.image_of(self.world.target):
            assert status.last_promoted_spec == revision, "a good revision is not live"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.fair_play()
