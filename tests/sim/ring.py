"""The ring without its shells: the watcher's compose, the analyzer's decide, the router's plan.

Each has the memory that its real shell has, and loses it when it crashes. The bus keeps the last
snapshot, intent and report; what is delivered late is taken from their histories.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from tests.sim.world import Conflict, View, World, as_status

from serinus.analyzer.core.decide import decide
from serinus.analyzer.core.desired import desired, failed_promotion
from serinus.analyzer.core.requests import is_paused
from serinus.analyzer.core.rollout import (
    Answer,
    Ask,
    Decision,
    HookAnswer,
    HookAsk,
    Look,
    MetricAsk,
    Rollout,
    Value,
)
from serinus.analyzer.core.times import unix_s
from serinus.analyzer.shell.remember import Memory
from serinus.events import CanaryObserved, CanaryStatus, Intent, RoutesObserved
from serinus.events.canary import interval_s
from serinus.kube.refs import Obj, Ref
from serinus.router.core import plan
from serinus.router.core.objects import Live, Refusal
from serinus.router.core.scene import Scene, needs
from serinus.router.core.serving import Serving
from serinus.router.core.steps import Options, Read, Write
from serinus.router.core.steps import World as Seen
from serinus.watcher.core.compose import compose
from serinus.watcher.core.workloads import Policy as WatchPolicy

SETTLE_S = 3.0
HISTORY = 6


class Bus:
    """Last values with their histories, oldest first."""

    def __init__(self) -> None:
        self.snapshots: list[CanaryObserved] = []
        self.intents: list[Intent] = []
        self.reports: list[RoutesObserved] = []


class Watcher:
    def __init__(self, world: World, bus: Bus) -> None:
        self.world, self.bus = world, bus

    def observe(self) -> None:
        found = compose(self.world.canary, View(self.world), WatchPolicy(), self.world.now)
        self.bus.snapshots.append(found.snapshot)
        del self.bus.snapshots[:-HISTORY]


class Analyzer:
    """Remember, intend. `is_bad` says whether an image answers with errors."""

    def __init__(self, world: World, bus: Bus, is_bad: Callable[[str], bool]) -> None:
        self.world, self.bus, self.is_bad = world, bus, is_bad
        self.memory: Memory | None = None
        self.answers: dict[str, Answer] = {}
        # What its checks found in order, and what people were told of their requests.
        self.judged: set[str] = set()
        self.agreed: set[str] = set()
        # Revisions that began where everybody already was, after a failed promotion.
        self.fixing: set[str] = set()
        self.decided: list[CanaryStatus] = []
        self.taken: list[tuple[str, str]] = []
        self.gate_is_open = True
        self.wishes_rollback = False
        self.hooks_are_silent = False

    def crash(self) -> None:
        self.memory, self.answers = None, {}

    def hear(self, snapshot: CanaryObserved) -> None:
        if self.memory is None:
            self.memory = Memory(snapshot)
        else:
            self.memory.take(snapshot)

    def handle(self, *, patience: int = 50) -> None:
        """Looks, remembers, intends, asks, until nothing follows. `patience` ends it early: a
        crash between any two of these."""
        for _ in range(patience):
            if self.memory is None:
                return
            seen = self.memory.current
            report = self.bus.reports[-1] if self.bus.reports else None
            rollout = Rollout(
                spec=seen.spec,
                status=seen.status,
                seen=seen,
                routes=report,
            )
            look = Look(at=self.world.now, answers=self.answers, entropy=self._entropy())
            decision = decide(rollout, look)
            if decision.status != seen.status:
                self._check(rollout, decision.status)
                if not self._remember(seen, decision.status):
                    return
                self.answers = {}
                self._note(rollout, decision)
                continue
            self._intend(desired(rollout))
            answers = {ask.key: self._answer(ask) for ask in decision.asks}
            found = {key: answer for key, answer in answers.items() if answer is not None}
            if not found.keys() - self.answers.keys():
                return
            self.answers |= found

    def _entropy(self) -> str:
        return f"{len(self.decided):020d}"

    def _check(self, rollout: Rollout, new: CanaryStatus) -> None:
        """What no decision may do, whatever becomes of it."""
        old = rollout.status
        if failed_promotion(old) and new.phase == "Progressing":
            self.fixing.add(new.last_applied_spec)
        if is_paused(rollout) and new.phase in ("Progressing", "WaitingPromotion"):
            had, has = ((status.requests or {}).get("reset") for status in (old, new))
            restarted = had != has or new.last_applied_spec != old.last_applied_spec
            same = (new.canary_weight, new.iterations) == (old.canary_weight, old.iterations)
            assert same or restarted, "a step although it is paused"
        raised = new.phase == "Progressing" == old.phase and new.canary_weight > old.canary_weight
        if raised and old.canary_weight:
            waited = self.world.now - unix_s(old.last_transition_time)
            assert waited >= interval_s(rollout.spec) - 0.1, "a step before its time"

    def _note(self, rollout: Rollout, decision: Decision) -> None:
        for verb in decision.takes:
            asked = (verb, rollout.seen.annotations[f"flagger.app/{verb}"])
            assert asked not in self.taken, "a request was acted upon twice"
            self.taken.append(asked)
            if verb == "promote":
                self.judged.add(rollout.status.last_applied_spec)
            if verb in ("approve", "promote"):
                self.agreed.add(rollout.status.last_applied_spec)

    def _answer(self, ask: Ask) -> Answer | None:
        if isinstance(ask, MetricAsk):
            return self._measure(ask)
        if not isinstance(ask, HookAsk):
            return Value(key=ask.key, value=1.0)
        if self.hooks_are_silent:
            return None
        if ask.hook.type == "rollback":
            return HookAnswer(key=ask.key, passed=self.wishes_rollback)
        assert self.memory is not None
        if self.gate_is_open:
            self.agreed.add(self.memory.current.status.last_applied_spec)
        return HookAnswer(key=ask.key, passed=self.gate_is_open)

    def _remember(self, seen: CanaryObserved, status: CanaryStatus) -> bool:
        newest = self.world.canary["metadata"]["resourceVersion"]
        try:
            obj = self.world.patch_status(seen.resource_version, as_status(status))
        except Conflict:
            return False
        assert seen.resource_version == newest, "a status was decided on an old version"
        assert self.memory is not None
        self.memory.wrote(obj)
        self.decided.append(status)
        return True

    def _measure(self, ask: MetricAsk) -> Answer:
        """What the canary's real requests would show now."""
        image, revision = self.world.tried()
        bad = self.is_bad(image)
        if not bad:
            self.judged.add(revision)
        return Value(key=ask.key, value=50.0 if bad else 100.0)

    def _intend(self, intent: Intent) -> None:
        newest = self.bus.intents[-1] if self.bus.intents else None
        if newest is not None and intent.stamp < newest.stamp:
            return
        self.bus.intents.append(intent)
        del self.bus.intents[:-HISTORY]


class Router:
    """One write at a time, each followed by a look; `view` lags behind for what others write."""

    def __init__(self, world: World, bus: Bus) -> None:
        self.world, self.bus = world, bus
        self.intent: Intent | None = None
        self.view: dict[Ref, Obj] = {}
        self.signature: object = None
        self.since = world.now
        self.serving = Serving()
        self.parked_for = ""

    def crash(self) -> None:
        self.intent, self.signature, self.parked_for = None, None, ""
        self.since, self.serving = self.world.now, Serving()
        self.sync()

    def sync(self) -> None:
        self.view = dict(self.world.objects)

    def take(self, intent: Intent) -> None:
        if self.intent is not None and intent.stamp < self.intent.stamp:
            return
        if self.intent is not None and intent.id != self.intent.id:
            self.parked_for = ""
        self.intent = intent

    def step(self) -> bool:
        """One write, or a report; whether there was something to write."""
        if self.intent is None:
            return False
        scene = self._scene(self.intent, {})
        try:
            found = plan.next_step(scene)
            if isinstance(found, Read) and found.service:
                self.serving.hear(self.world.announced(), self.world.now)
                scene = self._scene(self.intent, {})
                found = plan.next_step(scene)
            if isinstance(found, Read):
                pods: Obj = {"items": self.world.pod_documents()}
                scene = self._scene(self.intent, dict.fromkeys(found.keys, pods))
                found = plan.next_step(scene)
        except Refusal as refusal:
            report = plan.Report(error=refusal.text, refused=refusal.reason)
            self._report(self.intent, report)
            return False
        if not isinstance(found, Write):
            self._report(self.intent, plan.report(scene, found))
            return False
        assert not self.intent.hold, "a write although nothing was to be changed"
        with contextlib.suppress(Conflict):  # planned from something old: the newest is taken
            self.world.write(found)
        if found.ref in self.world.objects:
            self.view[found.ref] = self.world.objects[found.ref]
        else:
            self.view.pop(found.ref, None)
        return True

    def _scene(self, intent: Intent, contents: dict[str, Obj | None]) -> Scene:
        live = Live({ref: self.view[ref] for ref in needs(intent) if ref in self.view})
        seen = Seen(
            live=live,
            was_parked=self.parked_for == intent.id,
            options=Options(settle_s=SETTLE_S),
            unchanged_s=0.0,
        )
        scene = Scene(intent, seen)
        self.serving.see(scene, self.world.now)
        if scene.signature != self.signature:
            self.signature, self.since = scene.signature, self.world.now
        if scene.target_rests and scene.is_parked:
            self.parked_for = intent.id
        seen = Seen(
            live=live,
            was_parked=self.parked_for == intent.id,
            options=Options(settle_s=SETTLE_S),
            unchanged_s=self.world.now - self.since,
            earlier=self.world.kept,
            contents=contents,
        )
        return Scene(intent, self.serving.told(seen, self.world.now))

    def _report(self, intent: Intent, told: plan.Report) -> None:
        fields = {name: getattr(told, name) for name in told.__struct_fields__}
        report = RoutesObserved(
            canary=intent.canary, intent=intent.id, revision=intent.revision, **fields
        )
        self.bus.reports.append(report)
        del self.bus.reports[:-HISTORY]
