"""Rollback hooks: asked at every interval of every phase in which there is something to roll back.

They are asked side by side, and beside everything else that is being decided: only an analysis
waits for them, so that no check and no step comes before the wish to go back. Flagger does not ask
while a rollout waits for approval or for its pods (reference 6.3).
"""

from __future__ import annotations

import msgspec

from serinus.analyzer.core import messages as say
from serinus.analyzer.core.ends import is_copied, roll_back
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision, HookAsk
from serinus.events import Fact, HookAnswered

ASKED_IN = frozenset({"Waiting", "Progressing", "WaitingPromotion", "Promoting"})


def polled(m: Moment) -> tuple[HookAsk, ...]:
    """The rollback hooks of this round; () where it is not the time, or too late."""
    if not m.analysis.webhooks or m.status.phase not in ASKED_IN:
        return ()
    if m.status.phase == "Promoting" and is_copied(m):
        return ()
    begins = m.status.phase == "Progressing" and m.beginning and not m.status.failed_checks
    if m.round < 1 and not begins:
        return ()
    return tuple(m.hook_ask(hook, i) for i, hook in enumerate(m.hooks("rollback")))


def unanswered(m: Moment) -> tuple[HookAsk, ...]:
    return tuple(ask for ask in polled(m) if m.hook_answer(ask) is None)


def rollback_requested(m: Moment) -> Decision | None:
    """A rollback hook says so; the first in the manifest's order is named."""
    for ask in polled(m):
        answer = m.hook_answer(ask)
        if answer is None or not answer.passed:
            continue
        name = ask.hook.name
        passed = m.tell(
            HookAnswered,
            say.rollback_passed(name),
            warning=True,
            hook=name,
            hook_type="rollback",
        )
        return roll_back(
            m,
            "rollback_requested",
            say.manual_rollback(m.n),
            alert=say.ALERT_MANUAL_ROLLBACK,
            severity="warn",
            say_why=True,
            before=(passed,),
        )
    return None


def beside(m: Moment, decision: Decision) -> Decision:
    """A decision with what is polled beside it, and what the hooks said."""
    asks = polled(m)
    if not asks:
        due = m.next_round_at if _has_polls(m) else None
        return _due(decision, due)
    heard: tuple[Fact, ...] = tuple(
        m.tell(
            HookAnswered,
            say.no_rollback(ask.hook.name),
            hook=ask.hook.name,
            hook_type="rollback",
            passed=False,
            once=str(m.round),
        )
        for ask in asks
        if (answer := m.hook_answer(ask)) is not None and not answer.passed
    )
    decision = msgspec.structs.replace(decision, facts=(*heard, *decision.facts))
    if decision.status != m.status:
        return decision
    known = {ask.key for ask in decision.asks}
    more = tuple(a for a in asks if a.key not in known and m.hook_answer(a) is None)
    return _due(msgspec.structs.replace(decision, asks=(*decision.asks, *more)), m.next_round_at)


def _has_polls(m: Moment) -> bool:
    return bool(m.analysis.webhooks) and m.status.phase in ASKED_IN and bool(m.hooks("rollback"))


def _due(decision: Decision, at: float | None) -> Decision:
    if at is None:
        return decision
    due = at if decision.due_at is None else min(at, decision.due_at)
    return msgspec.structs.replace(decision, due_at=due)
