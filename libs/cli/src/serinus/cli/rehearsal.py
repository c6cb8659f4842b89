"""A release without a cluster: the analyzer's own decisions in a world where all else goes well.

Pods are ready at once, routes are what was ordered, hooks agree; only metrics say what they are
told to say. Time jumps from one decision to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import msgspec
from msgspec import Struct

from serinus.analyzer.core.decide import decide
from serinus.analyzer.core.desired import desired
from serinus.analyzer.core.rollout import (
    Answer,
    Ask,
    HookAnswer,
    HookAsk,
    Look,
    MetricAsk,
    Policy,
    Rollout,
    Value,
)
from serinus.analyzer.core.status import remembered
from serinus.analyzer.core.validate import problems
from serinus.cli.manifest import Manifest, refuse
from serinus.events import (
    CanaryObserved,
    CanaryStatus,
    Readiness,
    RoutesObserved,
    Selector,
    WorkloadSeen,
)
from serinus.events.canary import REVISION_PREFIX

T0 = 1_800_000_000.0
OLD, NEW = f"{REVISION_PREFIX}old", f"{REVISION_PREFIX}new"
READY = Readiness(state="ready")
TURNS_MAX = 200
ENDED = ("Succeeded", "Failed")

Measure = Callable[[MetricAsk, float, int], Answer]
"""The answer to an ask, so many seconds into the release, with so many percent for the canary."""


class Moment(Struct, frozen=True, kw_only=True):
    """One decision that told something or moved.

    at_s   seconds since the new revision was seen
    """

    at_s: float
    phase: str
    weight: int
    failed_checks: int
    texts: tuple[str, ...]


class Rehearsal:
    """One release of one canary. Raises Unusable where none would begin."""

    def __init__(
        self,
        manifest: Manifest,
        measure: Measure,
        mesh: str = "istio",
    ) -> None:
        spec = manifest.spec
        self._spec = spec
        self._measure = measure
        self._policy = Policy(mesh=spec.provider or mesh)
        self._status = remembered(
            CanaryStatus(), T0, spec.target_ref.kind, phase="Initialized", last_applied_spec=OLD
        )
        self._status = msgspec.structs.replace(self._status, last_promoted_spec=OLD)
        name = spec.target_ref.name
        serving = WorkloadSeen(name=f"{name}-primary", found=True, replicas=2, readiness=READY)
        self._seen = CanaryObserved(
            canary=manifest.ref,
            resource_version="1",
            spec=spec,
            status=self._status,
            target=WorkloadSeen(
                name=name,
                found=True,
                revision=NEW,
                replicas=2,
                selector=Selector("app", name),
                readiness=READY,
            ),
            primary=msgspec.structs.replace(serving, revision=OLD, promoted=OLD),
            configs={},
            templates=manifest.templates,
        )
        self._routes: RoutesObserved | None = None
        self._now = T0
        self._told: set[str] = set()
        refuse(manifest.path, problems(self._rollout()))

    def run(self, longest_s: float) -> Iterator[Moment]:
        """Every decision until the release has ended, or so many seconds have passed."""
        while self._now - T0 <= longest_s:
            due_at = yield from self._look()
            if self._status.phase in ENDED or due_at is None:
                return
            self._now = max(due_at, self._now + 0.001)

    def _look(self) -> Generator[Moment, None, float | None]:
        answers: dict[str, Answer] = {}
        for _ in range(TURNS_MAX):
            look = Look(at=self._now, answers=answers, entropy="rehearsal" * 4)
            decision = decide(self._rollout(), look)
            texts = [f.text for f in decision.facts if f.text and f.id not in self._told]
            self._told |= {fact.id for fact in decision.facts}
            changed = decision.status != self._status
            self._status = decision.status
            if texts:
                yield self._moment(texts)
            if changed:
                answers = {}
                self._settle()
            for ask in decision.asks:
                answers[ask.key] = self._answer(ask)
            if not changed and not decision.asks:
                return decision.due_at
        return None

    def _moment(self, texts: list[str]) -> Moment:
        return Moment(
            at_s=self._now - T0,
            phase=self._status.phase,
            weight=self._status.canary_weight,
            failed_checks=self._status.failed_checks,
            texts=tuple(texts),
        )

    def _answer(self, ask: Ask) -> Answer:
        match ask:
            case MetricAsk():
                return self._measure(ask, self._now - T0, self._status.canary_weight)
            case HookAsk():
                # Nobody calls for a rollback, and every gate is open.
                return HookAnswer(key=ask.key, passed=ask.hook.type != "rollback")
            case _:
                return Value(key=ask.key, value=1.0)

    def _rollout(self) -> Rollout:
        seen = msgspec.structs.replace(self._seen, status=self._status)
        return Rollout(
            spec=self._spec,
            status=self._status,
            seen=seen,
            routes=self._routes,
            policy=self._policy,
        )

    def _settle(self) -> None:
        """Everything that is wanted becomes true."""
        intent = desired(self._rollout())
        if intent.workload.promote:
            primary = msgspec.structs.replace(
                self._seen.primary, promoted=intent.revision, revision=intent.revision
            )
            self._seen = msgspec.structs.replace(self._seen, primary=primary)
        self._routes = RoutesObserved(
            canary=self._seen.canary,
            intent=intent.id,
            revision=intent.revision,
            settled=True,
            primary_weight=intent.routes.primary,
            canary_weight=intent.routes.canary,
        )
