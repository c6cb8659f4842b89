"""Steps that were never told, ends whose hooks were never asked: a crash came between.

They are told plainly: only the prose is lost (which check, which number), never the outcome, which
the status knows. Hooks are asked again unless the bus knows what they answered.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from serinus.analyzer.core import messages as say
from serinus.analyzer.core.desired import failed_promotion
from serinus.analyzer.core.ends import hooks_after, lacks_what_it_was_given
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision, HookAsk, Look, Rollout
from serinus.analyzer.core.times import unix_s
from serinus.events import (
    Alert,
    ApprovalAwaited,
    CanaryStatus,
    CheckFailed,
    Fact,
    HookAnswered,
    IterationAdvanced,
    Promoted,
    PromotionFailed,
    RolledBack,
    RolloutAborted,
    RolloutRestarted,
    RolloutStarted,
    WeightAdvanced,
)
from serinus.events.canary import REVISION_PREFIX

RECENT_S = 600.0
# Statuses are stamped to the millisecond, facts are not.
STAMP_S = 0.002

_TOLD_BY: dict[str, tuple[type[Fact], ...]] = {
    "Succeeded": (Promoted,),
    "Failed": (RolledBack, PromotionFailed, RolloutAborted),
    "Progressing": (
        WeightAdvanced,
        IterationAdvanced,
        CheckFailed,
        RolloutStarted,
        RolloutRestarted,
        ApprovalAwaited,
    ),
}


def witnesses(rollout: Rollout, at: float) -> tuple[type[Fact], ...]:
    """The facts that would tell the last step of this canary; () where it is not worth asking.

    Old steps were told, or nobody waits for them any more; another controller's are not ours.
    """
    status = rollout.status
    if at - unix_s(status.last_transition_time) > RECENT_S:
        return ()
    if not status.last_applied_spec.startswith(REVISION_PREFIX):
        return ()
    if status.phase == "Progressing" and status.canary_weight <= 0:
        return ()
    kinds = _TOLD_BY.get(status.phase, ())
    return (*kinds, HookAnswered) if _hooks_after(rollout, at) else kinds


def left(rollout: Rollout, at: float, told: Iterable[Fact]) -> Decision | None:
    """What the decision that led to this status left undone; None: nothing.

    told  the newest facts of the kinds of `witnesses`, as far as there are any
    """
    kinds = witnesses(rollout, at)
    if not kinds:
        return None
    recent = [fact for fact in told if is_told(rollout, fact)]
    hooks = _hooks_after(rollout, at)
    types = {ask.hook.type for ask in hooks}
    if any(isinstance(fact, HookAnswered) and fact.hook_type in types for fact in recent):
        hooks = ()
    outcome = any(not isinstance(fact, HookAnswered) for fact in recent)
    found = None if outcome else plainly(rollout, at)
    facts = () if found is None else (found,)
    if not hooks and not facts:
        return None
    # As in the decision itself: hooks before the word of the promotion, after that of a failure.
    last = rollout.status.phase == "Succeeded" and bool(hooks)
    return Decision(
        reason="left_undone",
        status=rollout.status,
        facts=() if last else facts,
        after=hooks,
        after_facts=facts if last else (),
    )


def _hooks_after(rollout: Rollout, at: float) -> tuple[HookAsk, ...]:
    m = Moment(rollout, Look(at=at))
    if m.status.phase == "Succeeded" or failed_promotion(m.status):
        return hooks_after(m, m.status.phase, "post-rollout")
    if m.status.phase == "Failed":
        return hooks_after(m, m.status.phase, "on-rollback", "post-rollout")
    return ()


def is_told(rollout: Rollout, fact: Fact | None) -> bool:
    """Whether this fact was told with the last status or after it."""
    if fact is None:
        return False
    return fact.at >= unix_s(rollout.status.last_transition_time) - STAMP_S


def plainly(rollout: Rollout, at: float) -> Fact | None:
    """The last step in plain words."""
    m = Moment(rollout, Look(at=at))
    match m.status.phase:
        case "Succeeded":
            skipped = m.skips_analysis
            text = say.promoted_without_analysis(m.t) if skipped else say.promoted(m.t)
            alert = Alert("info", say.ALERT_SKIPPED if skipped else say.ALERT_PROMOTED)
            return m.tell(Promoted, text, skipped_analysis=skipped, alert=alert)
        case "Failed" if failed_promotion(m.status):
            why = m.seen.primary.readiness.text or "see the primary's pods"
            text = say.promotion_failed(m.t, why)
            return m.tell(PromotionFailed, text, warning=True, alert=Alert("error", text))
        case "Failed" if _is_undone(m.status) and lacks_what_it_was_given(m):
            why = m.seen.primary.readiness.text
            text = say.undo_failed(m.n, say.primary_not_ready(m.kind, m.target, m.namespace, why))
            return m.tell(PromotionFailed, text, warning=True, alert=Alert("error", text))
        case "Failed" if _is_undone(m.status):
            text = say.went_back(m.n, m.status.last_promoted_spec)
            return m.tell(RolledBack, text, warning=True, alert=Alert("warn", text))
        case "Failed":
            text = say.canary_failed(m.n)
            return m.tell(RolledBack, text, warning=True, alert=Alert("error", text))
        case "Progressing":
            weight = m.status.canary_weight
            text = say.advance_canary(m.n, weight)
            return m.tell(WeightAdvanced, text, canary_weight=weight)
        case _:
            return None


def named(rollout: Rollout, at: float, decision: Decision) -> Decision:
    """A step whose outcome has the id that `plainly` gives it: where the bus forgot that it was
    told it is told again, and whoever hears it twice knows."""
    status = decision.status
    if status.last_transition_time == rollout.status.last_transition_time:
        return decision
    outcome = plainly(replace(rollout, status=status), at)
    if outcome is None:
        return decision

    def renamed(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        same = (type(outcome), outcome.text)
        return tuple(
            replace(fact, id=outcome.id) if (type(fact), fact.text) == same else fact
            for fact in facts
        )

    facts, after = renamed(decision.facts), renamed(decision.after_facts)
    return replace(decision, facts=facts, after_facts=after)


def _is_undone(status: CanaryStatus) -> bool:
    """Whether what failed had been live before."""
    at = unix_s(status.last_transition_time) - STAMP_S
    return any(r.outcome == "undone" and unix_s(r.ended_at) >= at for r in status.history)
