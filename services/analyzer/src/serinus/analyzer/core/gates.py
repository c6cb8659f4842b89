"""Gates: confirm hooks, the approvals that open them by hand, and how long they may stay shut.

How long a gate has been shut follows from the status alone, so it survives every restart: since the
phase that waits for it was entered or, where no phase says so, since the step became due.
"""

from __future__ import annotations

from collections.abc import Mapping

from serinus.analyzer.core import messages as say
from serinus.analyzer.core import requests
from serinus.analyzer.core.ends import roll_back
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision, HookAsk
from serinus.analyzer.core.status import since
from serinus.events import Alert, ApprovalAwaited, Fact, HookAnswered, Webhook
from serinus.events.canary import HookType, Phase, duration_s

Facts = tuple[Fact, ...]
WAITS: Mapping[str, Phase] = {
    "confirm-rollout": "Waiting",
    "confirm-promotion": "WaitingPromotion",
}


def gate(m: Moment, kind: HookType, facts: Facts) -> tuple[Decision | None, Facts]:
    """Asks the hooks of a gate in order; a decision to ask or to wait, or None when all agree."""
    hooks = m.hooks(kind)
    if hooks and "approve" in m.pending:
        who = requests.requester(m.seen, "approve")
        told = m.tell(HookAnswered, say.approved(kind, who), hook_type=kind)
        return None, (*facts, told)
    phase = m.status.phase if kind == "confirm-rollout" else "Progressing"
    for index, hook in enumerate(hooks):
        ask = m.hook_ask(hook, index, phase)
        answer = m.hook_answer(ask)
        if answer is None:
            return _asking(m, kind, ask, facts), facts
        if not answer.passed:
            return _shut(m, kind, hook, facts), facts
        text = say.PASSED[kind].format(hook.name)
        once = "" if kind == "confirm-rollout" else str(m.round)
        told = m.tell(HookAnswered, text, hook=hook.name, hook_type=kind, once=once)
        facts = (*facts, told)
    return None, facts


def _asking(m: Moment, kind: str, ask: HookAsk, facts: Facts) -> Decision:
    due_at = m.next_round_at if kind == "confirm-rollout" else None
    return Decision(reason=kind, status=m.status, asks=(ask,), facts=facts, due_at=due_at)


def _shut(m: Moment, kind: HookType, hook: Webhook, facts: Facts) -> Decision:
    """Waits at a gate, and gives up when that has lasted too long."""
    expires_at = _expires_at(m, kind, hook)
    if expires_at is not None and m.at >= expires_at:
        return roll_back(
            m,
            "approval_expired",
            say.expired(m.n, hook.name, hook.expiry),
            alert=f"{say.ALERT_WAITED_TOO_LONG}: {hook.name}",
            severity="warn",
            say_why=True,
            before=facts,
        )
    due_at = m.next_round_at if expires_at is None else min(m.next_round_at, expires_at)
    text, message = _awaited(m, kind, hook.name)
    alert = None if hook.mute_alert else Alert("warn", message)
    told = m.tell(ApprovalAwaited, text, warning=True, hook=hook.name, alert=alert)
    phase = WAITS.get(kind)
    if phase == m.status.phase or m.status.phase == "WaitingPromotion":
        return m.stand_still(kind, *facts, due_at=due_at)
    if phase is None:
        return m.stand_still(kind, *facts, told, due_at=due_at)
    # The weight stays true: it is what the traffic gets while people make up their minds.
    return Decision(reason=kind, status=m.remembered(phase=phase), facts=(*facts, told))


def _awaited(m: Moment, kind: HookType, hook: str) -> tuple[str, str]:
    if kind == "confirm-rollout":
        return say.awaiting(m.n, hook), say.ALERT_WAITING
    if kind == "confirm-promotion":
        return say.awaiting_promotion(m.n, hook), say.ALERT_WAITING_PROMOTION
    return say.awaiting_traffic(m.n, hook), say.ALERT_WAITING_TRAFFIC


def _expires_at(m: Moment, kind: HookType, hook: Webhook) -> float | None:
    """When this gate has been shut for too long; None where it may stay so, or is shut only now."""
    seconds = duration_s(hook.expiry)
    if seconds is None:
        return None
    if kind in WAITS:
        return since(m.status) + seconds if m.status.phase == WAITS[kind] else None
    due_at = m.changed_at if m.beginning else m.changed_at + m.interval_s
    return due_at + seconds
