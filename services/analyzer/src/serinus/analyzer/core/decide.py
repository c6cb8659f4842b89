"""The rollout machine. It never touches a socket, a clock or a die.

Theory of operation
-------------------
A canary's whole memory is its status. `decide` is given that memory, what was last seen of the
cluster, and one moment (a time, and answers to questions asked for this moment). It returns the
next status and what to find out or to tell. Whoever calls it remembers the status first (guarded by
the object's resourceVersion), then publishes `desired(...)`, then tells the facts, then asks.

    phases   "" -> Initializing -> Initialized -> [Waiting] -> Progressing <-> WaitingPromotion
                -> Promoting -> Finalising -> Succeeded,  or  -> Failed;  Terminating at the end
             (docs/phases.md shows them all, drawn from these rules)

- A run is judged in rounds: round r begins r intervals after `status.lastTransitionTime`. Round 0
  is used only at the very beginning of a run, which is immediate. Every status starts anew.
- Inside a round questions are asked one after another where their order matters: pre-rollout or
  rollout hooks, metrics, gates; rollback hooks side by side with everything. Each returned ask
  carries a key made of status and round, so the answer to an old question can never decide a new
  one. A crash loses at most the answers of one round.
- A step is taken only when the routes of the step before were read back (`settled`).
- Everything that is not a check happens as soon as it is seen: a new revision, ready pods, crashed
  pods, a primary that took the promotion.
- Facts may be told twice (their ids say so), never lost in order.

The rules are in `rules.py`; the first that has an answer gives it. What is true of every decision
is added here: the conditions, which generation they are about, what was asked for by hand.
"""

from __future__ import annotations

import msgspec

from serinus.analyzer.core import byhand, polls, requests, retold
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision, Look, Rollout
from serinus.analyzer.core.rules import RULES
from serinus.analyzer.core.status import lacked, reported
from serinus.analyzer.core.warnings import warned
from serinus.events import CanaryStatus, Fact
from serinus.events.canary import FINALIZER


def decide(rollout: Rollout, look: Look) -> Decision:
    """What to remember, ask and tell at this moment. Pure."""
    moment = Moment(rollout, look)
    for rule in RULES:
        decision = rule(moment)
        if decision is not None:
            found = _with_finalizer(moment, _recorded(moment, polls.beside(moment, decision)))
            return retold.named(rollout, look.at, found)
    raise AssertionError("the last rule always answers")


def _recorded(m: Moment, decision: Decision) -> Decision:
    """With conditions, generation and requests; nothing of it is written for its own sake only
    where the resource definition would drop it."""
    if m.seen.deleting or not decision.status.phase:
        return decision
    old = m.status
    takes = decision.takes
    if "approve" in m.pending and _moved(old, decision.status) and "approve" not in takes:
        takes = (*takes, "approve")
    is_step = decision.status.last_transition_time != old.last_transition_time
    lacks = decision.lacks or ("" if is_step else lacked(old))
    status = reported(decision.status, m.at, m.kind, m.blocking, dry_run=m.dry_run, lacks=lacks)
    facts: tuple[Fact, ...] = ()
    if takes:
        facts = byhand.taken(m, msgspec.structs.replace(decision, takes=takes))
    status = _asked(m, status, {verb: m.pending[verb] for verb in takes})
    generation = m.seen.generation
    if status.observed_generation != generation and (old.observed_generation or status != old):
        status = msgspec.structs.replace(status, observed_generation=generation)
        if old.observed_generation or old.phase in ("", "Initializing"):
            facts = (*warned(m), *facts)
    if status is decision.status and not facts:
        return decision
    return msgspec.structs.replace(
        decision, status=status, facts=(*facts, *decision.facts), takes=takes
    )


def _asked(m: Moment, status: CanaryStatus, taken: dict[str, str]) -> CanaryStatus:
    """With the requests that were taken. What lay there before us was meant for somebody else."""
    if not status.observed_generation and status is not m.status:
        taken = requests.standing(m.seen)
    known = requests.done(m.seen, status, taken)
    if known == status.requests:
        return status
    return msgspec.structs.replace(status, requests=known)


def _moved(old: CanaryStatus, new: CanaryStatus) -> bool:
    return (old.phase, old.canary_weight, old.iterations) != (
        new.phase,
        new.canary_weight,
        new.iterations,
    )


def _with_finalizer(m: Moment, decision: Decision) -> Decision:
    """revertOnDeletion needs our finalizer on the object, and its withdrawal takes it off."""
    if decision.finalizer is not None or m.seen.deleting:
        return decision
    present = FINALIZER in m.seen.finalizers
    if m.spec.revert_on_deletion == present:
        return decision
    return msgspec.structs.replace(decision, finalizer=m.spec.revert_on_deletion)
