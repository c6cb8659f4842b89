"""The ordered list of small rules that `decide` consults. First answer wins.

A rule looks at one moment and returns a decision or None; its name is the reason in logs, replays
and tests. How runs begin is in `starts.py`, what happens inside a running analysis in `analysis.py`
and `steps.py`, how runs end in `ends.py`, what people ask for in `byhand.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from serinus.analyzer.core import messages as say
from serinus.analyzer.core.analysis import analyse
from serinus.analyzer.core.byhand import (
    abort_requested,
    promotion_requested,
    reset_requested,
    undo_requested,
    unused,
)
from serinus.analyzer.core.contact import foreign_hash, left_dry_run, refused
from serinus.analyzer.core.desired import UNDER_ANALYSIS
from serinus.analyzer.core.ends import (
    fail_promotion,
    fail_undo,
    finish,
    go_back,
    is_copied,
    roll_back,
    skip,
)
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.polls import rollback_requested
from serinus.analyzer.core.probes import probe
from serinus.analyzer.core.rollout import Decision
from serinus.analyzer.core.starts import (
    QUIET_PHASES,
    copied_after_all,
    diverged,
    new_revision,
    reverted_after_failure,
    revision_changed,
    set_back,
)
from serinus.analyzer.core.steps import paused, shift_to_primary
from serinus.events import (
    Alert,
    RolloutInitialized,
    RolloutNoted,
    RolloutTerminated,
    RolloutTerminating,
    RolloutWarned,
)
from serinus.events.canary import FINALIZER, STATEFUL_SET

Rule = Callable[[Moment], Decision | None]

PARKED = "the canary is parked and nothing of it can be measured; start its pods to try a release"
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
        live = _live_revision(m)
        text = say.ALERT_INITIALIZED.format(kind=m.kind)
        status = m.remembered(
            phase="Initialized",
            canary_weight=0,
            iterations=0,
            last_applied_spec=live,
            last_promoted_spec=live,
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
    if primary.found and primary.readiness.state == "stuck" and not m.skips_analysis:
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


def _live_revision(m: Moment) -> str:
    """What the primary was made from: the target may have moved on while it came up."""
    reported = m.answered.primary_revision if m.answered is not None else ""
    return reported or m.seen.primary.promoted or m.seen.target.revision


def canary_not_ready(m: Moment) -> Decision | None:
    """The canary's pods are not there yet, will never be, or crash while they serve."""
    if m.status.phase not in UNDER_ANALYSIS:
        return None
    readiness = m.seen.target.readiness
    # A StatefulSet that runs nothing else has no pods of its own for the canary.
    is_all = m.kind == STATEFUL_SET and is_copied(m)
    started = m.seen.target.replicas != 0 or is_all
    if readiness.state == "ready" and started:
        return None
    if not started or not readiness.text:
        parked = (m.tell(RolloutNoted, PARKED),) if m.dry_run and not started else ()
        return m.stand_still("canary_not_ready", *parked, *_troubles(m), due_at=_next_word(m))
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
    """spec.skipAnalysis or its annotation: promote what is ready, without steps."""
    if not m.skips_analysis or m.status.phase not in UNDER_ANALYSIS:
        return None
    return paused(m) if m.paused else skip(m)


def promoting(m: Moment) -> Decision | None:
    """The primary is taking the new revision; traffic follows once it is ready."""
    if m.status.phase != "Promoting":
        return None
    stuck_at = m.seen.primary.readiness.stuck_at
    if _primary_is_lost(m):
        return _lost_primary(m)
    if m.settled:
        return finish(m) if m.skips_analysis else shift_to_primary(m)
    return m.stand_still("promoting", *_troubles(m), due_at=_next_word(m, stuck_at))


def _primary_is_lost(m: Moment) -> bool:
    """The primary has the new revision and will not come up with it."""
    readiness = m.seen.primary.readiness
    if not is_copied(m) and m.kind != STATEFUL_SET:
        return False
    return readiness.state == "stuck" or _expired(m, readiness.stuck_at)


def _lost_primary(m: Moment) -> Decision:
    """What promoted is left where it is; a StatefulSet that got stuck in the middle goes back: pods
    of the old revision are still there, and where they are not they can be made."""
    if m.kind != STATEFUL_SET:
        return fail_promotion(m)
    why = say.primary_not_ready(m.kind, m.target, m.namespace, m.seen.primary.readiness.text)
    alert = f"Promotion failed, primary not ready: {why}"
    return roll_back(
        m, "promotion_failed", say.promotion_failed(m.t, why), alert=alert, say_why=True
    )


def undoing(m: Moment) -> Decision | None:
    """The primary is being given back what was live before; once it has that, that is promoted."""
    undo, primary = m.status.undo, m.seen.primary
    if undo is None:
        return None
    if m.answered is not None and m.answered.refused:
        told = m.tell(RolloutWarned, say.cannot_undo(m.n, m.answered.error), warning=True)
        return Decision(reason="undoing", status=m.remembered(undo=None), facts=(told,))
    stuck_at = primary.readiness.stuck_at
    if primary.promoted == undo.revision:
        if primary.readiness.state == "stuck" or _expired(m, stuck_at):
            return fail_undo(m, undo)
        if m.settled or m.seen.target.revision != m.status.last_applied_spec:
            return go_back(m, undo)
    return m.stand_still("undoing", *_troubles(m), due_at=_next_word(m, stuck_at))


def finalising(m: Moment) -> Decision | None:
    """All traffic is on the primary: done as soon as that is true and the primary still works."""
    if m.status.phase != "Finalising":
        return None
    if m.kind != STATEFUL_SET and _primary_is_lost(m):
        return fail_promotion(m)
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
    if m.dry_run:
        return ()
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
    left_dry_run,
    foreign_hash,
    initialising,
    set_back,
    abort_requested,
    rollback_requested,
    diverged,
    revision_changed,
    reset_requested,
    undo_requested,
    undoing,
    reverted_after_failure,
    copied_after_all,
    unused,
    new_revision,
    canary_not_ready,
    promotion_requested,
    skipping_analysis,
    promoting,
    finalising,
    under_analysis,
    quiet,
)
