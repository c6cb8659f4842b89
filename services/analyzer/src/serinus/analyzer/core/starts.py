"""How runs begin, begin again, and wait for leave to begin (reference 2.4, 2.5)."""

from __future__ import annotations

import msgspec

from serinus.analyzer.core import messages as say
from serinus.analyzer.core import record
from serinus.analyzer.core.affinity import retired
from serinus.analyzer.core.desired import UNDER_ANALYSIS, failed_promotion
from serinus.analyzer.core.ends import abort, is_broken
from serinus.analyzer.core.gates import gate
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision
from serinus.analyzer.core.steps import paused
from serinus.events import Alert, Fact, RolloutRestarted, RolloutStarted, RolloutWarned

QUIET_PHASES = frozenset({"Initialized", "Succeeded", "Failed"})
BEGINS_ANEW = frozenset({"retry", "reset"})
"""Requests that begin a rollout without a change of the target."""


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
    return restart(m)


def revision_changed(m: Moment) -> Decision | None:
    """A newer revision or config replaces the one under analysis: start again from no traffic."""
    if m.status.phase not in UNDER_ANALYSIS or not m.seen.target.revision:
        return None
    if m.seen.target.revision == m.status.last_applied_spec and not m.configs_changed:
        return None
    return restart(m)


def restart(m: Moment) -> Decision:
    """From no traffic, without asking for leave again. Requests were about what ran before.

    Where everybody is on the canary of a broken primary, they stay there.
    """
    keeps = m.status.canary_weight if m.status.canary_weight == 100 and is_broken(m) else 0
    status = m.remembered(
        phase="Progressing",
        canary_weight=keeps,
        iterations=0,
        failed_checks=0,
        last_applied_spec=m.seen.target.revision,
        tracked_configs=m.seen.configs,
        **retired(m.status),
        **record.opened(m.status, m.at, m.seen),
    )
    told = m.tell(
        RolloutRestarted,
        say.restarting(m.t),
        images=m.seen.target.images,
        revision=m.seen.target.revision,
    )
    takes = tuple(verb for verb in ("approve", "promote", "reset") if verb in m.pending)
    return Decision(reason="revision_changed", status=status, facts=(told,), takes=takes)


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


def copied_after_all(m: Moment) -> Decision | None:
    """What the primary runs is what was promoted, although the run failed: a rollback came while
    the copy was under way, or what failed its promotion came up late.

    Where the canary serves after a failed promotion it goes on until the next release.
    """
    given, status = m.seen.primary.promoted, m.status
    if status.phase != "Failed" or given in ("", status.last_promoted_spec):
        return None
    if not status.last_promoted_spec:
        return None  # the primary was made and never came up; nothing was promoted
    is_copy = given == status.last_applied_spec and not failed_promotion(status)
    if not is_copy and m.seen.primary.readiness.state != "ready":
        return None
    text = say.copied_after_all(m.t) if is_copy else say.came_up_after_all(m.t)
    told = m.tell(RolloutWarned, text, warning=True)
    status = msgspec.structs.replace(
        status, last_promoted_spec=given, **record.went_live(status, given)
    )
    return Decision(reason="copied_after_all", status=status, facts=(told,))


def new_revision(m: Moment) -> Decision | None:
    """A change of the target, or of what it mounts, begins a rollout once the gates agree."""
    waiting = m.status.phase == "Waiting"
    if m.status.phase not in QUIET_PHASES and not waiting:
        return None
    asked = not BEGINS_ANEW.isdisjoint(m.pending)
    if not waiting and not asked and not _is_new(m) and not m.configs_changed:
        return None
    if waiting and not asked and m.is_promoted and not m.configs_changed:
        return abort(m)
    if m.paused:
        return paused(m)
    if failed_promotion(m.status) and not m.settled and m.round < 1:
        # First everybody goes to the canary that was judged; for an interval, if need be.
        return m.stand_still("new_revision", due_at=m.next_round_at)
    if waiting and m.round < 1 and "approve" not in m.pending and "promote" not in m.pending:
        return m.stand_still("new_revision", due_at=m.next_round_at)
    if "promote" in m.pending:
        return _start(m, ())
    held, facts = gate(m, "confirm-rollout", ())
    return held if held is not None else _start(m, facts)


def _is_new(m: Moment) -> bool:
    """Neither the revision that was applied last nor the live one.

    After a failed promotion no revision is live: going back to the promoted one is a fix, too.
    """
    if m.seen.target.revision == m.status.last_applied_spec:
        return False
    if failed_promotion(m.status):
        return True
    return m.seen.target.revision != m.status.last_promoted_spec and not m.is_promoted


def _start(m: Moment, before: tuple[Fact, ...]) -> Decision:
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
        **record.opened(m.status, m.at, m.seen),
    )
    told = m.tell(
        RolloutStarted,
        say.scaling_up(m.t),
        phase="Progressing",
        images=m.seen.target.images,
        revision=m.seen.target.revision,
        alert=Alert("info", say.ALERT_PROGRESSING, metadata=True),
    )
    takes = tuple(verb for verb in BEGINS_ANEW if verb in m.pending)
    return Decision(reason="new_revision", status=status, facts=(*before, told), takes=takes)
