"""How runs end: promoted, rolled back, failed at promotion, withdrawn (reference 2.8 to 2.11)."""

from __future__ import annotations

from serinus.analyzer.core import messages as say
from serinus.analyzer.core import record
from serinus.analyzer.core.affinity import retired
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision, HookAnswer, HookAsk, Sample
from serinus.analyzer.core.times import unix_s
from serinus.events import (
    Alert,
    Fact,
    HookAnswered,
    Measurement,
    Promoted,
    PromotionFailed,
    RollbackDecided,
    RolledBack,
    RolloutAborted,
    TemplateCopied,
)
from serinus.events.canary import STATEFUL_SET, Undo

Facts = tuple[Fact, ...]


def copy_to_primary(m: Moment, reason: str, facts: Facts) -> Decision:
    """The analysed revision goes to the primary; traffic stays where it is until that is ready."""
    told = m.tell(TemplateCopied, say.copying(m.kind, m.target, m.namespace))
    changes: dict[str, object] = {"canary_weight": 0} if m.skips_analysis else {}
    status = m.remembered(phase="Promoting", **changes)
    return Decision(reason=reason, status=status, facts=(*facts, told))


def skip(m: Moment) -> Decision:
    """Promote without steps, but not before the canary's pods are there and never unready pods."""
    return copy_to_primary(m, "skipping_analysis", ())


def is_copied(m: Moment) -> bool:
    """Whether the primary was given the revision under analysis."""
    return m.seen.primary.promoted == m.status.last_applied_spec != ""


def is_broken(m: Moment) -> bool:
    """Whether requests must not go back to the primary: it was given what was never promoted, as
    after a failed promotion, and has not come up with it. It may look as if it still might: scaling
    a workload that exceeded its deadline makes the controller wait for it once more.

    A StatefulSet's primary is made of the canary's own pods, one after another.
    """
    is_stuck = m.kind != STATEFUL_SET and m.seen.primary.readiness.state == "stuck"
    return is_stuck or lacks_what_it_was_given(m)


def lacks_what_it_was_given(m: Moment) -> bool:
    """Whether a promotion or an undo failed, and the primary has not come up with it since. Only
    another revision can change that."""
    primary, promoted = m.seen.primary, m.status.last_promoted_spec
    if m.kind == STATEFUL_SET or primary.readiness.state == "ready":
        return False
    return primary.promoted not in ("", promoted)


def finish(m: Moment) -> Decision:
    """Everybody is served by the new revision; the canary may go."""
    skipped = m.skips_analysis
    status = m.remembered(
        phase="Succeeded",
        canary_weight=0,
        iterations=0,
        last_promoted_spec=m.status.last_applied_spec,
        **retired(m.status),
        **record.closed(m.status, m.at, "skipped" if skipped else "promoted"),
    )
    text = say.promoted_without_analysis(m.t) if skipped else say.promoted(m.t)
    message = say.ALERT_SKIPPED if skipped else say.ALERT_PROMOTED
    told = m.tell(
        Promoted,
        text,
        phase="Succeeded",
        skipped_analysis=skipped,
        alert=Alert("info", message),
    )
    after = hooks_after(m, "Succeeded", "post-rollout")
    return Decision(
        reason="promoted",
        status=status,
        facts=() if after else (told,),
        after=after,
        after_facts=(told,) if after else (),
        samples=_ended(m, "success", "skipped" if skipped else "completed"),
    )


def roll_back(
    m: Moment,
    reason: str,
    why: str,
    *,
    alert: str,
    before: Facts = (),
    say_why: bool = False,
    severity: str = "error",
    measurements: tuple[Measurement, ...] = (),
    failed_checks: int = 0,
    by: str = "",
) -> Decision:
    """Traffic back to the primary, then the canary goes.

    why           the reason as a sentence; told as an event of its own with `say_why`
    alert         what people are told
    by            who asked for it, where somebody did
    A primary that is broken itself gets no traffic: the canary keeps what it had (reference 2.9).
    What was refused is not tried again by itself, whether it was begun or still waited.
    """
    broken = is_broken(m) and m.status.canary_weight == 100
    begun = m.status.phase != "Waiting" and m.status.last_applied_spec
    status = m.remembered(
        phase="Failed",
        canary_weight=100 if broken else 0,
        iterations=0,
        failed_checks=0,
        **({} if broken else retired(m.status)),
        **({} if begun else _this_revision(m)),
        **record.closed(m.status, m.at, "rolled-back", why, by),
    )
    decided = m.tell(
        RollbackDecided,
        why if say_why else "",
        warning=True,
        reason=why,
        measurements=measurements,
        alert=Alert("warn" if severity == "warn" else "error", alert),
        once=f"{reason}{failed_checks}",
    )
    ended = m.tell(RolledBack, say.canary_failed(m.n), warning=True, phase="Failed", reason=why)
    return Decision(
        reason=reason,
        status=status,
        facts=(*before, decided, ended),
        after=hooks_after(m, "Failed", "on-rollback", "post-rollout"),
        samples=_ended(m, "failure", "completed"),
    )


def _this_revision(m: Moment) -> dict[str, object]:
    """A revision that was never begun is still one that is not to be tried again by itself."""
    return {"last_applied_spec": m.seen.target.revision, "tracked_configs": m.seen.configs}


def abort(m: Moment) -> Decision:
    """The promoted revision is back on the target: withdraw the run, release nothing."""
    was_waiting = m.status.phase == "Waiting"
    text = say.set_back(m.n)
    status = m.remembered(
        phase="Initialized" if was_waiting else "Failed",
        canary_weight=0,
        iterations=0,
        failed_checks=0,
        last_applied_spec=m.seen.target.revision,
        last_promoted_spec=m.seen.target.revision,
        tracked_configs=m.seen.configs,
        **retired(m.status),
        **({} if was_waiting else record.closed(m.status, m.at, "aborted", text)),
    )
    facts: Facts = (m.tell(RolloutAborted, text, warning=True, alert=Alert("warn", text)),)
    if was_waiting:
        return Decision(reason="set_back", status=status, facts=facts)
    ended = m.tell(RolledBack, say.canary_failed(m.n), warning=True, phase="Failed", reason=text)
    return Decision(
        reason="set_back",
        status=status,
        facts=(*facts, ended),
        after=hooks_after(m, "Failed", "on-rollback", "post-rollout"),
        samples=_ended(m, "failure", "completed"),
    )


def fail_promotion(m: Moment) -> Decision:
    """The primary does not come up with the new revision: everybody stays on the canary."""
    why = say.primary_not_ready(m.kind, m.target, m.namespace, m.seen.primary.readiness.text)
    status = m.remembered(
        phase="Failed",
        canary_weight=100,
        iterations=0,
        **record.closed(m.status, m.at, "promotion-failed", why),
    )
    told = m.tell(
        PromotionFailed,
        say.promotion_failed(m.t, why),
        warning=True,
        alert=Alert("error", f"Promotion failed, primary not ready: {why}"),
    )
    return Decision(
        reason="promotion_failed",
        status=status,
        facts=(told,),
        after=hooks_after(m, "Failed", "post-rollout"),
        samples=_ended(m, "failure", "completed"),
    )


def go_back(m: Moment, undo: Undo) -> Decision:
    """The primary has what was live before. What was undone counts as failed: the target still
    runs it, and it is not tried again by itself."""
    text = say.went_back(m.n, undo.revision)
    status = m.remembered(
        phase="Failed",
        canary_weight=0,
        iterations=0,
        last_promoted_spec=undo.revision,
        **record.undone(m.status, m.at, undo, say.undoing(m.n, undo.revision, undo.by)),
    )
    told = m.tell(RolledBack, text, warning=True, phase="Failed", reason=text)
    return Decision(
        reason="undoing",
        status=status,
        facts=(told,),
        after=hooks_after(m, "Failed", "on-rollback", "post-rollout"),
    )


def fail_undo(m: Moment, undo: Undo) -> Decision:
    """The primary does not come up with what was live before: whoever serves now serves on.

    As after a failed promotion the record keeps what was promoted: the primary runs something else.
    """
    why = say.primary_not_ready(m.kind, m.target, m.namespace, m.seen.primary.readiness.text)
    text = say.undo_failed(m.n, why)
    status = m.remembered(phase="Failed", **record.undone(m.status, m.at, undo, text))
    alert = Alert("error", f"{say.ALERT_UNDO_FAILED}: {why}")
    told = m.tell(PromotionFailed, text, warning=True, phase="Failed", alert=alert)
    return Decision(
        reason="undoing",
        status=status,
        facts=(told,),
        after=hooks_after(m, "Failed", "post-rollout"),
    )


def hooks_after(m: Moment, phase: str, *types: say.AfterHook) -> tuple[HookAsk, ...]:
    """Hooks of these types, one type after the other."""
    return tuple(m.hook_ask(h, i, phase) for t in types for i, h in enumerate(m.hooks(t)))


def hook_told(m: Moment, ask: HookAsk, answer: HookAnswer) -> Fact:
    """What a hook answered that is asked after the end. Then the rest of its type is not asked."""
    name, kind = ask.hook.name, ask.hook.type
    passed = say.PASSED[kind].format(name)
    return m.tell(
        HookAnswered,
        passed if answer.passed else say.after_hook_failed(kind, name, answer.text),
        warning=not answer.passed,
        phase=ask.phase,
        hook=name,
        hook_type=kind,
        passed=answer.passed,
        answer=answer.text,
    )


def _ended(m: Moment, kind: str, analysis: str) -> tuple[Sample, ...]:
    """One more rollout of this end, and how long it took where its beginning is known."""
    if m.dry_run:
        return ()
    labels = {
        "name": m.target,
        "namespace": m.namespace,
        "deployment_strategy": m.strategy,
        "analysis_status": analysis,
    }
    counted = Sample(kind="success" if kind == "success" else "failure", labels=labels)
    history = m.status.history
    if not history or history[0].outcome or not history[0].started_at:
        return (counted,)
    took_s = max(0.0, m.at - unix_s(history[0].started_at))
    about = {"name": m.target, "namespace": m.namespace, "result": kind}
    return counted, Sample(kind="duration", labels=about, value=took_s)
