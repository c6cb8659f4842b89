"""How runs end: promoted, rolled back, failed at promotion, withdrawn (reference 2.8 to 2.11)."""

from __future__ import annotations

from serinus.analyzer.core import messages as say
from serinus.analyzer.core.affinity import retired
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision, HookAnswer, HookAsk, Sample
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


def copy_to_primary(m: Moment, reason: str, facts: tuple[Fact, ...]) -> Decision:
    """The analysed revision goes to the primary; traffic stays where it is until that is ready."""
    told = m.tell(TemplateCopied, say.copying(m.target, m.namespace))
    changes: dict[str, object] = {"canary_weight": 0} if m.spec.skip_analysis else {}
    status = m.remembered(phase="Promoting", **changes)
    return Decision(reason=reason, status=status, facts=(*facts, told))


def skip(m: Moment) -> Decision:
    """Promote without steps, but not before the canary's pods are there and never unready pods."""
    return copy_to_primary(m, "skipping_analysis", ())


def finish(m: Moment) -> Decision:
    """Everybody is served by the new revision; the canary may go."""
    status = m.remembered(
        phase="Succeeded",
        canary_weight=0,
        iterations=0,
        last_promoted_spec=m.status.last_applied_spec,
        **retired(m.status),
    )
    skipped = m.spec.skip_analysis
    text = say.promoted_without_analysis(m.t) if skipped else say.promoted(m.t)
    message = say.ALERT_SKIPPED if skipped else say.ALERT_PROMOTED
    told = m.tell(
        Promoted,
        text,
        phase="Succeeded",
        skipped_analysis=skipped,
        alert=Alert("info", message),
    )
    after = _post_rollout(m, "Succeeded")
    return Decision(
        reason="promoted",
        status=status,
        facts=() if after else (told,),
        after=after,
        after_facts=(told,) if after else (),
        samples=(_ended(m, "success", "skipped" if skipped else "completed"),),
    )


def roll_back(
    m: Moment,
    reason: str,
    why: str,
    *,
    alert: str,
    before: tuple[Fact, ...] = (),
    say_why: bool = False,
    severity: str = "error",
    measurements: tuple[Measurement, ...] = (),
    failed_checks: int = 0,
) -> Decision:
    """Traffic back to the primary, then the canary goes.

    why           the reason as a sentence; told as an event of its own with `say_why`
    alert         what people are told
    A primary that is broken itself gets no traffic: the canary keeps what it had (reference 2.9).
    """
    broken = m.seen.primary.readiness.state == "stuck" and m.status.canary_weight == 100
    status = m.remembered(
        phase="Failed",
        canary_weight=100 if broken else 0,
        iterations=0,
        failed_checks=0,
        **({} if broken else retired(m.status)),
        **({} if m.status.last_applied_spec else _first_revision(m)),
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
        after=_post_rollout(m, "Failed"),
        samples=(_ended(m, "failure", "completed"),),
    )


def _first_revision(m: Moment) -> dict[str, object]:
    """A primary that never came up still has a revision that is not to be tried again by itself."""
    return {"last_applied_spec": m.seen.target.revision, "tracked_configs": m.seen.configs}


def abort(m: Moment) -> Decision:
    """The promoted revision is back on the target: withdraw the run, release nothing."""
    was_waiting = m.status.phase == "Waiting"
    status = m.remembered(
        phase="Initialized" if was_waiting else "Failed",
        canary_weight=0,
        iterations=0,
        failed_checks=0,
        last_applied_spec=m.seen.target.revision,
        last_promoted_spec=m.seen.target.revision,
        tracked_configs=m.seen.configs,
        **retired(m.status),
    )
    text = say.set_back(m.n)
    facts: tuple[Fact, ...] = (
        m.tell(RolloutAborted, text, warning=True, alert=Alert("warn", text)),
    )
    if not was_waiting:
        facts = (
            *facts,
            m.tell(RolledBack, say.canary_failed(m.n), warning=True, phase="Failed", reason=text),
        )
    return Decision(
        reason="set_back",
        status=status,
        facts=facts,
        after=() if was_waiting else _post_rollout(m, "Failed"),
        samples=() if was_waiting else (_ended(m, "failure", "completed"),),
    )


def fail_promotion(m: Moment) -> Decision:
    """The primary does not come up with the new revision: everybody stays on the canary."""
    why = say.primary_not_ready(m.kind, m.target, m.namespace, m.seen.primary.readiness.text)
    status = m.remembered(phase="Failed", canary_weight=100, iterations=0)
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
        after=_post_rollout(m, "Failed"),
        samples=(_ended(m, "failure", "completed"),),
    )


def _post_rollout(m: Moment, phase: str) -> tuple[HookAsk, ...]:
    return tuple(m.hook_ask(h, i, phase) for i, h in enumerate(m.hooks("post-rollout")))


def post_rollout_told(m: Moment, phase: str, ask: HookAsk, answer: HookAnswer) -> Fact:
    """What a post-rollout hook answered, as a fact. After a failure the rest is not asked."""
    name = ask.hook.name
    text = (
        say.PASSED["post-rollout"].format(name)
        if answer.passed
        else say.post_rollout_failed(name, answer.text)
    )
    return m.tell(
        HookAnswered,
        text,
        warning=not answer.passed,
        phase=phase,
        hook=name,
        hook_type="post-rollout",
        passed=answer.passed,
        answer=answer.text,
    )


def _ended(m: Moment, kind: str, analysis: str) -> Sample:
    labels = {
        "name": m.target,
        "namespace": m.namespace,
        "deployment_strategy": m.strategy,
        "analysis_status": analysis,
    }
    return Sample(kind="success" if kind == "success" else "failure", labels=labels)
