"""One moment of one rollout, with the questions that rules keep asking about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from serinus.analyzer.core import messages as say
from serinus.analyzer.core import requests
from serinus.analyzer.core.desired import KUBERNETES, desired, mesh_of
from serinus.analyzer.core.hooktext import filled
from serinus.analyzer.core.rollout import Answer, Decision, HookAnswer, HookAsk, Look, Rollout
from serinus.analyzer.core.status import remembered
from serinus.analyzer.core.times import unix_s
from serinus.analyzer.core.validate import blocking, problems
from serinus.events import Alert, CanaryStatus, Fact, Problem, RoutesObserved, Webhook
from serinus.events.canary import (
    REVISION_PREFIX,
    HookType,
    Strategy,
    analysis_of,
    hooks,
    interval_s,
    strategy,
)

GRACE_S = 0.05
# Routes that follow later than this part of an interval have the interval begin with them.
LATE = 0.2

FactT = TypeVar("FactT", bound=Fact)
ValueT = TypeVar("ValueT")


class once(Generic[ValueT]):
    """A property that is worked out when it is first asked for.

    functools.cached_property takes a lock each time, which costs more than most of these.
    """

    def __init__(self, work: Callable[[Any], ValueT]) -> None:
        self._work = work
        self._name = work.__name__
        self.__doc__ = work.__doc__

    @overload
    def __get__(self, moment: None, owner: type) -> once[ValueT]: ...

    @overload
    def __get__(self, moment: object, owner: type) -> ValueT: ...

    def __get__(self, moment: object | None, owner: type) -> ValueT | once[ValueT]:
        if moment is None:
            return self
        found = moment.__dict__[self._name] = self._work(moment)
        return found


def checksum(status: CanaryStatus) -> str:
    """Names one revision with its configs: what hooks call `checksum` (reference 6.2)."""
    configs = sorted((status.tracked_configs or {}).items())
    text = f"{status.last_applied_spec}\n{configs}"
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class Moment:
    """A rollout, looked at once. Nothing here changes anything."""

    def __init__(self, rollout: Rollout, look: Look) -> None:
        self.rollout = rollout
        self.look = look
        self.at = look.at
        self.spec = rollout.spec
        self.status = rollout.status
        self.seen = rollout.seen
        self.analysis = analysis_of(rollout.spec)
        self.mesh = mesh_of(rollout)
        self.kind = rollout.spec.target_ref.kind
        self.target = rollout.spec.target_ref.name
        self.namespace = rollout.seen.canary.namespace
        self.n = f"{rollout.seen.canary.name}.{self.namespace}"
        self.t = f"{self.target}.{self.namespace}"
        self.dry_run = requests.is_dry_run(rollout)
        self.skips_analysis = requests.skips_analysis(rollout)
        self.pending = requests.pending(rollout.seen, rollout.status)

    # --- time -----------------------------------------------------------------------------------

    @once
    def interval_s(self) -> float:
        return interval_s(self.spec, self.rollout.policy.min_interval_s)

    @once
    def changed_at(self) -> float:
        """When the last step or check was decided."""
        return unix_s(self.status.last_transition_time)

    @once
    def round(self) -> int:
        """How many whole intervals have passed since then; a clock set back counts as none."""
        # Stamps are rounded, and grow by a millisecond where several are written at once.
        at = self.at if self.look.turn_at is None else self.look.turn_at
        return max(0, int((at - self.began_at + GRACE_S) / self.interval_s))

    @property
    def next_round_at(self) -> float:
        return self.began_at + (self.round + 1) * self.interval_s

    @once
    def began_at(self) -> float:
        """From when on rounds are counted: a share that came late gets its interval all the same.

        An API server that hung writes a status long after its stamp; a gateway may take its time.
        """
        settled_at = self.look.settled_at
        if settled_at is None or not self.settled or self.status.phase != "Progressing":
            return self.changed_at
        is_late = settled_at - self.changed_at > LATE * self.interval_s
        return min(settled_at, self.at) if is_late else self.changed_at

    # --- strategy -------------------------------------------------------------------------------

    @once
    def iterations(self) -> int:
        """Iterations asked for; provider kubernetes knows nothing else (reference 1.10)."""
        if self.mesh == KUBERNETES and self.analysis.iterations < 1:
            return say.KUBERNETES_ITERATIONS
        return self.analysis.iterations

    @once
    def strategy(self) -> Strategy:
        return "blue-green" if self.mesh == KUBERNETES else strategy(self.spec)

    @property
    def beginning(self) -> bool:
        """Nothing was shifted, iterated or mirrored yet in this run."""
        return self.status.canary_weight == 0 and self.status.iterations == 0

    # --- what was seen --------------------------------------------------------------------------

    @once
    def answered(self) -> RoutesObserved | None:
        """The router's report on exactly what is wanted now, or None."""
        routes = self.rollout.routes
        if routes is None or routes.intent != desired(self.rollout, self.problems).id:
            return None
        return routes

    @once
    def problems(self) -> tuple[Problem, ...]:
        """What keeps the manifest from working."""
        return problems(self.rollout)

    @once
    def blocking(self) -> tuple[Problem, ...]:
        """Those of them that nothing can go on with."""
        return blocking(self.status.phase, self.problems)

    @property
    def settled(self) -> bool:
        """Everything wanted now is true and was read back; in a dry run it is taken for true."""
        if self.dry_run:
            return True
        return self.answered is not None and self.answered.settled

    @property
    def is_promoted(self) -> bool:
        """The target runs what was promoted last, and the primary was given nothing else since."""
        promoted = self.status.last_promoted_spec
        if promoted and not promoted.startswith(REVISION_PREFIX):
            return self.seen.same_template is True
        return self.seen.target.revision == promoted and self.seen.primary.promoted in (
            "",
            promoted,
        )

    @property
    def configs_changed(self) -> bool:
        seen, known = self.seen.configs, self.status.tracked_configs
        if seen is None:
            return False
        return bool(seen) if known is None else seen != known

    # --- hooks ----------------------------------------------------------------------------------

    def key(self, kind: str, index: int) -> str:
        """Names a question of this moment: the same while status and round are the same."""
        return f"{self.epoch}/{self.round}/{kind}/{index}"

    @once
    def epoch(self) -> str:
        status = self.status
        return (
            f"{status.last_transition_time}/{status.phase}/{status.canary_weight}"
            f"/{status.iterations}/{status.failed_checks}"
        )

    def hooks(self, *types: HookType) -> tuple[Webhook, ...]:
        """Hooks may act, so a dry run asks none."""
        return () if self.dry_run else hooks(self.spec, *types)

    @property
    def paused(self) -> bool:
        """People want no further step; what is under way is watched on."""
        return requests.is_paused(self.rollout)

    def hook_ask(self, hook: Webhook, index: int, phase: str | None = None) -> HookAsk:
        kind = hook.type or "rollout"
        phase = self.status.phase if phase is None else phase
        return HookAsk(
            key=self.key(kind, index),
            hook=filled(hook, self.seen, self.status, phase),
            phase=phase,
            checksum=checksum(self.status),
        )

    def answer(self, key: str) -> Answer | None:
        return self.look.answers.get(key)

    def hook_answer(self, ask: HookAsk) -> HookAnswer | None:
        answer = self.look.answers.get(ask.key)
        return answer if isinstance(answer, HookAnswer) else None

    # --- what comes out -------------------------------------------------------------------------

    def remembered(self, **changes: object) -> CanaryStatus:
        return remembered(self.status, self.at, self.kind, **changes)

    def tell(
        self,
        make: Callable[..., FactT],
        text: str = "",
        *,
        warning: bool = False,
        phase: str | None = None,
        once: str = "",
        **fields: object,
    ) -> FactT:
        """A fact of this moment. Its id is derived, so telling it twice is telling it once.

        phase  as event webhooks report it; the current one unless given
        once   what makes it news again, instead of the text: e.g. the round
        revision (of `fields`)  what it is about; the one that was applied last unless given
        """
        if self.dry_run:
            text = say.dry(text)
            alert = fields.get("alert")
            if isinstance(alert, Alert):
                fields["alert"] = Alert(alert.severity, say.dry(alert.message), alert.metadata)
        tag = getattr(make, "__struct_config__").tag  # noqa: B009 - mypy sees a callable
        identity = f"{self.seen.canary.uid}|{self.epoch}|{tag}|{once}|{text}"
        return make(
            canary=self.seen.canary,
            id=hashlib.sha256(identity.encode()).hexdigest()[:24],
            at=self.at,
            phase=self.status.phase if phase is None else phase,
            checksum=checksum(self.status),
            severity="Warning" if warning else "Normal",
            text=text,
            **{"revision": self.status.last_applied_spec, **fields},
        )

    def stand_still(self, reason: str, *facts: Fact, due_at: float | None = None) -> Decision:
        """Nothing to remember; look again when something happens, or at `due_at`."""
        return Decision(reason=reason, status=self.status, facts=facts, due_at=due_at)
