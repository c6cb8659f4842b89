"""A story is a rollout told to the pure core: a perfect cluster around it, time that we move.

story = Story(step_weight=20, max_weight=40)
story.initialised().push("v2")
story.run()
assert story.phases == [...]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from serinus.analyzer.core.decide import decide
from serinus.analyzer.core.desired import desired
from serinus.analyzer.core.rollout import (
    Answer,
    Ask,
    Decision,
    HookAnswer,
    HookAsk,
    Look,
    MetricAsk,
    Policy,
    ProbeAsk,
    Rollout,
    Value,
)
from serinus.events import (
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    CanaryStatus,
    Fact,
    Intent,
    Readiness,
    RoutesObserved,
    Selector,
    WorkloadSeen,
)
from serinus.events.canary import REVISION_PREFIX

READY = Readiness(state="ready")
T0 = 1_767_225_600.0


def revision(version: str) -> str:
    return f"{REVISION_PREFIX}{version}"


def a_spec(**analysis: Any) -> CanarySpec:
    """An ordinary manifest; keywords are fields of the analysis in camelCase or snake_case."""
    spec_fields = {k: analysis.pop(k) for k in list(analysis) if k in CanarySpec.__struct_fields__}
    merged = {
        "interval": "10s",
        "threshold": 2,
        "metrics": [
            {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}},
            {"name": "request-duration", "interval": "30s", "thresholdRange": {"max": 500}},
        ],
        **{_camel(k): v for k, v in analysis.items()},
    }
    raw = {
        "provider": "traefik",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"port": 80},
        "analysis": merged,
        **{_camel(k): v for k, v in spec_fields.items()},
    }
    return msgspec.convert(raw, CanarySpec)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


class Story:
    """One canary, its perfect surroundings, and everything that was decided."""

    def __init__(self, spec: CanarySpec | None = None, **analysis: Any) -> None:
        self.spec = spec or a_spec(**analysis)
        self.status = CanaryStatus()
        self.seen = CanaryObserved(
            canary=CanaryRef("test", "web", "uid-1"),
            resource_version="1",
            generation=1,
            spec=self.spec,
            target=WorkloadSeen(
                name="web",
                found=True,
                revision=revision("v1"),
                replicas=2,
                selector=Selector("app", "web"),
                readiness=READY,
            ),
            configs={},
        )
        self.routes: RoutesObserved | None = None
        self.policy = Policy()
        self.now = T0
        self.answers: dict[str, Answer] = {}
        self.asked: list[Ask] = []
        self.facts: list[Fact] = []
        self.told: set[str] = set()
        self.decisions: list[Decision] = []
        self.statuses: list[CanaryStatus] = []
        self.due_at: float | None = None
        self.metric: Callable[[MetricAsk], Answer] = lambda ask: Value(key=ask.key, value=100.0)
        self.probe: Callable[[ProbeAsk], Answer] = lambda ask: Value(key=ask.key, value=1.0)
        # None: it has not answered yet.
        self.hook: Callable[[HookAsk], HookAnswer | None] = lambda a: HookAnswer(
            key=a.key, passed=True
        )
        self.turn_at: float | None = None
        self.obedient = True
        self.entropy: Callable[[], str] = lambda: "abcdefghijklmnopqrst"
        # "flagger": the cluster has Flagger's resource definition, which drops fields of ours.
        self.kept_fields = "all"

    # --- what the world does --------------------------------------------------------------------

    def see(self, **changes: Any) -> Story:
        self.seen = msgspec.structs.replace(self.seen, **changes)
        return self

    def see_target(self, **changes: Any) -> Story:
        return self.see(target=msgspec.structs.replace(self.seen.target, **changes))

    def see_primary(self, **changes: Any) -> Story:
        return self.see(primary=msgspec.structs.replace(self.seen.primary, **changes))

    def edit(self, **changes: Any) -> Story:
        self.spec = msgspec.structs.replace(self.spec, **changes)
        return self.see(spec=self.spec, generation=self.seen.generation + 1)

    def annotate(self, **values: str) -> Story:
        """kubectl annotate: `abort="alice"` is `flagger.app/abort: alice`; "" takes it away."""
        named = {f"flagger.app/{name.replace('_', '-')}": v for name, v in values.items()}
        kept = {k: v for k, v in {**self.seen.annotations, **named}.items() if v}
        return self.see(annotations=kept)

    def push(self, version: str) -> Story:
        """The user gives the target another image; looked at once, as when the watcher saw it."""
        self.see_target(revision=revision(version))
        self.look()
        return self

    def settle(self) -> Story:
        """The router does what is wanted and reads it back."""
        intent = self.intent
        running = intent.workload.canary == "running"
        self.see_target(replicas=2 if running else 0)
        if not self.seen.primary.found:
            primary = WorkloadSeen(name="web-primary", found=True, replicas=2, readiness=READY)
            self.see(primary=msgspec.structs.replace(primary, revision=revision("v1")))
        if undo := intent.workload.undo:
            self.see_primary(promoted=undo.revision, revision=undo.revision, readiness=READY)
        if intent.workload.promote:
            given = intent.revision
            self.see_primary(promoted=given, revision=given, readiness=READY)
        self.routes = RoutesObserved(
            canary=self.seen.canary,
            intent=intent.id,
            revision=intent.revision,
            settled=True,
            primary_weight=intent.routes.primary,
            canary_weight=intent.routes.canary,
        )
        return self

    def report(self, **fields: Any) -> Story:
        """The router reports something else than success on the current intent."""
        self.routes = RoutesObserved(canary=self.seen.canary, intent=self.intent.id, **fields)
        return self

    # --- what we do -----------------------------------------------------------------------------

    @property
    def rollout(self) -> Rollout:
        return Rollout(
            spec=self.spec,
            status=self.status,
            seen=self.seen,
            routes=self.routes,
            policy=self.policy,
        )

    @property
    def intent(self) -> Intent:
        return desired(self.rollout)

    def look(self) -> Decision:
        """One look and all that follows from it at this very moment."""
        for _ in range(100):
            decision = decide(
                self.rollout,
                Look(
                    at=self.now,
                    turn_at=self.turn_at,
                    answers=self.answers,
                    entropy=self.entropy(),
                ),
            )
            self.decisions.append(decision)
            self._tell(decision.facts)
            self.due_at = decision.due_at
            changed = decision.status != self.status
            if changed:
                self.status = self._kept(decision.status)
                self.statuses.append(decision.status)
                self.answers = {}
                self.turn_at = None
            failed: set[str] = set()
            for ask in decision.after:
                if ask.hook.type not in failed:
                    self.asked.append(ask)
                    answer = self.hook(ask)
                    failed |= set() if answer and answer.passed else {ask.hook.type}
            self._tell(decision.after_facts)
            answered = self._ask(decision.asks)
            if changed and self.obedient:
                self.settle()
            if not answered and not changed:
                return decision
        raise AssertionError("it never comes to rest")

    def tick(self, seconds: float = 10.0) -> Story:
        """Time passes; one look at its end."""
        self.now += seconds
        self.look()
        return self

    def initialised(self) -> Story:
        """Up to phase Initialized, then forget what was told."""
        self.look()
        assert self.status.phase == "Initialized", self.status.phase
        self.facts.clear()
        self.statuses.clear()
        self.asked.clear()
        return self

    def run(self, ticks: int = 50) -> Story:
        """Lets intervals pass until the run has ended."""
        for _ in range(ticks):
            if self.status.phase in ("Succeeded", "Failed"):
                break
            self.tick()
        return self

    def _ask(self, asks: tuple[Ask, ...]) -> bool:
        """Puts the questions; whether there is an answer that was not there before."""
        answered = False
        self.turn_at = (self.turn_at or self.now) if asks else None
        for ask in asks:
            if ask.key in self.answers:
                continue
            if ask not in self.asked[-len(asks) :]:
                self.asked.append(ask)
            answer = self._answer(ask)
            if answer is not None:
                self.answers[ask.key] = answer
                answered = True
        return answered

    def _kept(self, status: CanaryStatus) -> CanaryStatus:
        if self.kept_fields == "all":
            return status
        ours = ("observed_generation", "canary_analysis", "history", "requests", "undo")
        blank = {name: getattr(CanaryStatus(), name) for name in ours}
        return msgspec.structs.replace(status, **blank)

    def _answer(self, ask: Ask) -> Answer | None:
        if isinstance(ask, HookAsk):
            return self.hook(ask)
        if isinstance(ask, MetricAsk):
            return self.metric(ask)
        return self.probe(ask)

    def _tell(self, facts: tuple[Fact, ...]) -> None:
        for fact in facts:
            if fact.id not in self.told:
                self.told.add(fact.id)
                self.facts.append(fact)

    # --- what came of it ------------------------------------------------------------------------

    @property
    def texts(self) -> list[str]:
        return [f.text for f in self.facts if f.text]

    @property
    def alerts(self) -> list[tuple[str, str]]:
        return [(f.alert.severity, f.alert.message) for f in self.facts if f.alert]

    @property
    def phases(self) -> list[str]:
        return _changes([s.phase for s in self.statuses])

    @property
    def weights(self) -> list[int]:
        return _changes([s.canary_weight for s in self.statuses])


def _changes(values: list[Any]) -> list[Any]:
    return [v for i, v in enumerate(values) if i == 0 or v != values[i - 1]]
