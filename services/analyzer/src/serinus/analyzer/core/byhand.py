"""Rules for what people ask for by annotation; the words are in `requests.py`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from serinus.analyzer.core import messages as say
from serinus.analyzer.core import record, requests
from serinus.analyzer.core.desired import UNDER_ANALYSIS
from serinus.analyzer.core.ends import copy_to_primary, is_copied, roll_back
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision
from serinus.analyzer.core.starts import QUIET_PHASES, restart
from serinus.events import Alert, RequestTaken, RollbackDecided, RolloutNoted
from serinus.events.canary import Undo

_RUNNING = frozenset({"Waiting", *UNDER_ANALYSIS})
# Where a request has, or may still get, something to do.
_USED_IN: Mapping[str, frozenset[str]] = {
    "approve": _RUNNING,
    "promote": _RUNNING,
    "abort": _RUNNING | {"Promoting"},
    "retry": frozenset({"Failed", "Waiting"}),
    "reset": _RUNNING | QUIET_PHASES,
    "undo": QUIET_PHASES,
}
_NOT_YET = frozenset({"", "Initializing", "Terminating"})


def abort_requested(m: Moment) -> Decision | None:
    """flagger.app/abort: back to the primary, in every phase before the copy."""
    if "abort" not in m.pending or m.status.phase not in _USED_IN["abort"]:
        return None
    if m.status.phase == "Promoting" and is_copied(m):
        return None
    who = requests.requester(m.seen, "abort")
    why = say.aborted(m.n, who)
    ended = roll_back(
        m,
        "abort_requested",
        why,
        alert=say.ALERT_ABORTED,
        severity="warn",
        say_why=True,
        by=who,
    )
    return msgspec.structs.replace(ended, takes=tuple(m.pending))


def reset_requested(m: Moment) -> Decision | None:
    """flagger.app/reset in mid-run: begin again from no traffic."""
    if "reset" not in m.pending or m.status.phase not in UNDER_ANALYSIS:
        return None
    return restart(m)


def promotion_requested(m: Moment) -> Decision | None:
    """flagger.app/promote: the revision under analysis, as soon as its pods are ready."""
    if "promote" not in m.pending or m.status.phase not in UNDER_ANALYSIS or not m.settled:
        return None
    decision = copy_to_primary(m, "promotion_requested", ())
    status, who = decision.status, requests.requester(m.seen, "promote")
    if status.history:
        run = msgspec.structs.replace(status.history[0], reason="promoted on request", by=who)
        status = msgspec.structs.replace(status, history=(run, *status.history[1:]))
    return msgspec.structs.replace(decision, status=status, takes=("promote",))


def undo_requested(m: Moment) -> Decision | None:
    """flagger.app/undo: the primary gets back what was live before; the target is left alone."""
    if "undo" not in m.pending or m.status.phase not in QUIET_PHASES or m.status.undo is not None:
        return None
    earlier = record.before(m.status, m.seen.primary.promoted)
    if earlier is None:
        told = m.tell(RolloutNoted, say.nothing_before(m.n), once=m.pending["undo"])
        return Decision(reason="unused", status=m.status, facts=(told,), takes=("undo",))
    who = requests.requester(m.seen, "undo")
    undo = Undo(revision=earlier.revision, configs=earlier.configs, by=who)
    why = say.undoing(m.n, earlier.revision, who)
    decided = m.tell(
        RollbackDecided,
        why,
        warning=True,
        reason=why,
        alert=Alert("warn", say.ALERT_UNDONE),
        once=m.pending["undo"],
    )
    return Decision(
        reason="undo_requested",
        status=m.status if m.dry_run else m.remembered(undo=undo),
        facts=(decided,),
        takes=("undo",),
    )


def unused(m: Moment) -> Decision | None:
    """What was asked for has nothing to do now, and must not lie in wait for a later rollout."""
    phase = m.status.phase
    if not m.pending or phase in _NOT_YET:
        return None
    idle = tuple(
        verb
        for verb in m.pending
        if phase not in _USED_IN[verb] or (phase == "Promoting" and is_copied(m))
    )
    if not idle:
        return None
    told = tuple(m.tell(RolloutNoted, say.unused(verb, m.n), once=m.pending[verb]) for verb in idle)
    return Decision(reason="unused", status=m.status, facts=told, takes=idle)


def taken(m: Moment, decision: Decision) -> tuple[RequestTaken, ...]:
    """Facts that say who asked for what a decision does."""
    if decision.reason == "unused":
        return ()
    told = []
    for verb in decision.takes:
        who = requests.requester(m.seen, verb)
        text = say.requested(verb, m.n, who)
        told.append(m.tell(RequestTaken, text, verb=verb, by=who, once=m.pending[verb]))
    return tuple(told)
