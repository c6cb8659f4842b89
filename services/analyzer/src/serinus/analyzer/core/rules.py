"""The ordered list of small rules that `decide` consults. First answer wins.

A rule looks at one moment and returns a decision or None; its name is the reason in logs, replays
and tests. What happens inside a running analysis is in `analysis.py` and `steps.py`, how runs end
in `ends.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from serinus.analyzer.core import messages as say
from serinus.analyzer.core.affinity import retired
from serinus.analyzer.core.analysis import analyse
from serinus.analyzer.core.contact import foreign_hash, refused
from serinus.analyzer.core.desired import UNDER_ANALYSIS, failed_promotion
from serinus.analyzer.core.ends import abort, fail_promotion, finish, roll_back, skip
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.probes import probe
from serinus.analyzer.core.rollout import Decision
from serinus.analyzer.core.steps import shift_to_primary
from serinus.events import (
    Alert,
    ApprovalAwaited,
    HookAnswered,
    RolloutInitialized,
    RolloutNoted,
    RolloutRestarted,
    RolloutStarted,
    RolloutTerminated,
    RolloutTerminating,
    RolloutWarned,
)
from serinus.events.canary import FINALIZER

Rule = Callable[[Moment], Decision | None]

QUIET_PHASES = frozenset({"Initialized", "Succeeded", "Failed"})
ROUTER_SILENT = "waiting for the router: it has not answered for two intervals"


def deleted(m: Moment) -> Decision | None:
    """Deletion: with our finalizer everything is put back first, without it nothing is done."""
    if not m.seen.deleting:
        return None
    if FINALIZER not in m.seen.finalizers:
        return m.stand_still("deleted")
    if m.status.phase != "Terminating":
        return Decision(
            reason="deleted",
            status=m.remembered(phase="Terminating", canary_weight=0, iterations=0),
            facts=(m.tell(RolloutTerminating, say.terminating(m.n), phase="Terminating"),),
        )
    if m.settled:
        return Decision(
            reason="deleted",
            status=m.status,
            finalizer=False,
            facts=(m.tell(RolloutTerminated, say.terminated(m.n)),),
        )
    return m.stand_still("deleted", *_troubles(m))


def suspended(m: Moment) -> Decision | None:
    """spec.suspend: stand still. Said once, not at every interval."""
    if not m.spec.suspend:
        return None
    return m.stand_still("suspended", m.tell(RolloutNoted, say.SUSPENDED))


def first_seen(m: Moment) -> Decision | None:
    """A canary nobody has worked on yet."""
    if m.status.phase != "" or m.status.conditions:
        return None
    return Decision(reason="first_seen", status=m.remembered(phase="Initializing"))


def initialising(m: Moment) -> Decision | None:
    """Primary, services and routes must exist before anything can be released."""
    if m.status.phase not in ("", "Initializing"):
        return None
    probed = probe(m)
    if probed.asks:
        return probed
    if m.settled:
        now = m.seen.target.revision
        text = say.ALERT_INITIALIZED.format(kind=m.kind)
        status = m.remembered(
            phase="Initialized",
            canary_weight=0,
            iterations=0,
            last_applied_spec=now,
            last_promoted_spec=now,
            tracked_configs=m.seen.configs,
        )
        done = m.tell(
            RolloutInitialized,
            say.initialized(m.n),
            phase="Initialized",
            alert=Alert("info", text, metadata=True),
        )
        return Decision(reason="initialising", status=status, facts=(*probed.facts, done))
    primary = m.seen.primary
    if primary.found and primary.readiness.state == "stuck" and not m.spec.skip_analysis:
        why = say.primary_not_ready(m.kind, m.target, m.namespace, primary.readiness.text)
        warned = m.tell(RolloutWarned, why, warning=True)
        return roll_back(
            m,
            "initialising",
            why,
            alert=f"Progress deadline exceeded {why}",
            before=(*probed.facts, warned),
        )
    return m.stand_still("initialising", *probed.facts, *_troubles(m), due_at=_next_word(m))


def set_back(m: Moment) -> Decision | None:
    """The target went back to the promoted revision in mid-run: an abort, not a release."""
    if m.status.phase not in UNDER_ANALYSIS or not m.seen.target.revision:
        return None
    if m.status.last_applied_spec == m.seen.target.revision or not m.is_promoted:
        return None
    return abort(m)


def diverged(m: Moment) -> Decision | None:
    """A template pushed while promoting, before the copy: the router refused it, start again."""
    if m.status.phase != "Promoting" or m.answered is None or m.answered.refused != "Diverged":
        return None
    if m.is_promoted:
        return abort(m)
    if m.seen.target.revision == m.status.last_applied_spec and not m.configs_changed:
        return None  # the watcher has not seen it yet
    return _restart(m)


def revision_changed(m: Moment) -> Decision | None:
    """A newer revision or config replaces the one under analysis: start again from no traffic."""
    if m.status.phase not in UNDER_ANALYSIS or not m.seen.target.revision:
        return None
    if m.seen.target.revision == m.status.last_applied_spec and not m.configs_changed:
        return None
    return _restart(m)


def _restart(m: Moment) -> Decision:
    keeps = 100 if m.seen.primary.readiness.state == "stuck" and m.status.canary_weight else 0
    status = m.remembered(
        phase="Progressing",
        canary_weight=keeps,
        iterations=0,
        failed_checks=0,
        last_applied_spec=m.seen.target.revision,
        tracked_configs=m.seen.configs,
        **retired(m.status),
    )
    told = m.tell(RolloutRestarted, say.restarting(m.t), images=m.seen.target.images)
    return Decision(reason="revision_changed", status=status, facts=(told,))


def reverted_after_failure(m: Moment) -> Decision | None:
    """Failed, and the user put the promoted revision back: the failed one may be tried again."""
    if m.status.phase != "Failed" or not m.is_promoted or failed_promotion(m.status):
        return None
    if m.status.last_applied_spec == m.seen.target.revision:
        return None
    status = msgspec.structs.replace(
        m.status, last_applied_spec=m.seen.target.revision, tracked_configs=m.seen.configs
    )
    return Decision(reason="reverted_after_failure", status=status)


def new_revision(m: Moment) -> Decision | None:
    """A change of the target, or of what it mounts, begins a rollout once the gates agree."""
    waiting = m.status.phase == "Waiting"
    if m.status.phase not in QUIET_PHASES and not waiting:
        return None
    changed = m.seen.target.revision not in (
        m.status.last_applied_spec,
        m.status.last_promoted_spec,
    )
    if not waiting and not (changed and not m.is_promoted) and not m.configs_changed:
        return None
    if waiting and m.is_promoted and not m.configs_changed:
        return abort(m)
    if waiting and m.round < 1:
        return m.stand_still("new_revision", due_at=m.next_round_at)
    facts: list[HookAnswered] = []
    for index, hook in enumerate(m.hooks("confirm-rollout")):
        ask = m.hook_ask(hook, index)
        answer = m.hook_answer(ask)
        if answer is None:
            return Decision(
                reason="new_revision",
                status=m.status,
                asks=(ask,),
                facts=tuple(facts),
                due_at=m.next_round_at,
            )
        if not answer.passed:
            return _await_approval(m, hook.name, muted=hook.mute_alert)
        text = say.PASSED["confirm-rollout"].format(hook.name)
        facts.append(m.tell(HookAnswered, text, hook=hook.name, hook_type="confirm-rollout"))
    return _start(m, tuple(facts))


def _await_approval(m: Moment, hook: str, *, muted: bool) -> Decision:
    if m.status.phase == "Waiting":
        return m.stand_still("new_revision", due_at=m.next_round_at)
    alert = None if muted else Alert("warn", say.ALERT_WAITING)
    told = m.tell(ApprovalAwaited, say.awaiting(m.n, hook), warning=True, hook=hook, alert=alert)
    status = m.remembered(phase="Waiting")
    return Decision(reason="new_revision", status=status, facts=(told,), due_at=m.at + m.interval_s)


def _start(m: Moment, before: tuple[HookAnswered, ...]) -> Decision:
    # After a failed promotion the canary serves everybody and the primary is broken: the fixing
    # revision is judged where the traffic is, not behind a switch back to the broken one.
    serving = failed_promotion(m.status) and m.seen.primary.readiness.state != "ready"
    status = m.remembered(
        phase="Progressing",
        canary_weight=m.status.canary_weight if serving else 0,
        iterations=0,
        failed_checks=0,
        last_applied_spec=m.seen.target.revision,
        tracked_configs=m.seen.configs,
    )
    told = m.tell(
        RolloutStarted,
        say.scaling_up(m.t),
        phase="Progressing",
        images=m.seen.target.images,
        alert=Alert("info", say.ALERT_PROGRESSING, metadata=True),
    )
    return Decision(reason="new_revision", status=status, facts=(*before, told))


def canary_not_ready(m: Moment) -> Decision | None:
    """The canary's pods are not there yet, will never be, or crash while they serve."""
    if m.status.phase not in UNDER_ANALYSIS:
        return None
    readiness = m.seen.target.readiness
    started = m.seen.target.replicas != 0
    if readiness.state == "ready" and started:
        return None
    if not started or not readiness.text:
        return m.stand_still("canary_not_ready", *_troubles(m), due_at=_next_word(m))
    text = say.not_ready(m.kind, m.t, readiness.text)
    serving = m.status.canary_weight > 0 or (m.status.iterations > 0 and m.strategy != "canary")
    if readiness.crash and serving:
        return roll_back(
            m,
            "canary_crashed",
            say.crashed(m.n, readiness.crash),
            alert=f"Canary pods crash: {readiness.crash}",
            say_why=True,
        )
    warned = m.tell(RolloutWarned, text, warning=True)
    if readiness.state == "stuck" or _expired(m, readiness.stuck_at):
        return roll_back(
            m,
            "canary_stuck",
            text,
            alert=f"Progress deadline exceeded {text}",
            before=(warned,),
        )
    # Pods need a moment: only what lasts longer than an interval is worth an event.
    told = (warned,) if m.round else ()
    return m.stand_still("canary_not_ready", *told, due_at=_next_word(m, readiness.stuck_at))


def _expired(m: Moment, stuck_at: float | None) -> bool:
    return stuck_at is not None and m.at >= stuck_at


def _next_word(m: Moment, stuck_at: float | None = None) -> float:
    """When silence becomes worth a word, or waiting becomes hopeless."""
    return m.next_round_at if stuck_at is None else min(m.next_round_at, stuck_at)


def skipping_analysis(m: Moment) -> Decision | None:
    """spec.skipAnalysis: promote what is ready, without steps."""
    if not m.spec.skip_analysis or m.status.phase not in UNDER_ANALYSIS:
        return None
    return skip(m)


def promoting(m: Moment) -> Decision | None:
    """The primary is taking the new revision; traffic follows once it is ready."""
    if m.status.phase != "Promoting":
        return None
    primary = m.seen.primary
    given = primary.promoted == m.status.last_applied_spec
    stuck_at = primary.readiness.stuck_at
    if given and (primary.readiness.state == "stuck" or _expired(m, stuck_at)):
        return fail_promotion(m)
    if m.settled:
        return finish(m) if m.spec.skip_analysis else shift_to_primary(m)
    return m.stand_still("promoting", *_troubles(m), due_at=_next_word(m, stuck_at))


def finalising(m: Moment) -> Decision | None:
    """All traffic is on the primary: done as soon as that is true."""
    if m.status.phase != "Finalising":
        return None
    if m.settled:
        return finish(m)
    return m.stand_still("finalising", *_troubles(m), due_at=_next_word(m))


def under_analysis(m: Moment) -> Decision | None:
    """Check, then step."""
    if m.status.phase not in UNDER_ANALYSIS:
        return None
    return analyse(m, _troubles(m))


def quiet(m: Moment) -> Decision | None:
    """Nothing to do until something happens."""
    return m.stand_still("quiet", *_troubles(m))


def _troubles(m: Moment) -> tuple[RolloutWarned, ...]:
    """What keeps the router from doing what is wanted; each told once, errors at once.

    Plain waiting is told when it lasts longer than an interval, the router's silence after two.
    """
    routes = m.answered
    if routes is None:
        if m.round < 2 or m.status.phase in QUIET_PHASES:
            return ()
        return (m.tell(RolloutWarned, ROUTER_SILENT, warning=True),)
    if routes.settled or routes.refused == "Diverged":
        return ()
    text = routes.error or (routes.waiting if m.round else "")
    return (m.tell(RolloutWarned, text, warning=True),) if text else ()


RULES: tuple[Rule, ...] = (
    deleted,
    suspended,
    first_seen,
    refused,
    foreign_hash,
    initialising,
    set_back,
    diverged,
    revision_changed,
    reverted_after_failure,
    new_revision,
    canary_not_ready,
    skipping_analysis,
    promoting,
    finalising,
    under_analysis,
    quiet,
)
