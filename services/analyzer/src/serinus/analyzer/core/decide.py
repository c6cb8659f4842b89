"""The rollout machine. It never touches a socket, a clock or a die.

Theory of operation
-------------------
A canary's whole memory is its status. `decide` is given that memory, what was last seen of the
cluster, and one moment (a time, and answers to questions asked for this moment). It returns the
next status and what to find out or to tell. Whoever calls it remembers the status first (guarded by
the object's resourceVersion), then publishes `desired(...)`, then tells the facts, then asks.

    phases   "" -> Initializing -> Initialized -> [Waiting] -> Progressing <-> WaitingPromotion
                -> Promoting -> Finalising -> Succeeded,  or  -> Failed;  Terminating at the end

- A run is judged in rounds: round r begins r intervals after `status.lastTransitionTime`. Round 0
  is used only at the very beginning of a run, which is immediate. Every status starts anew.
- Inside a round questions are asked one after another: rollback hooks, pre-rollout or rollout
  hooks, metrics, gates. Each returned ask carries a key made of status and round, so the answer to
  an old question can never decide a new one. A crash loses at most the answers of one round.
- A step is taken only when the routes of the step before were read back (`settled`).
- Everything that is not a check happens as soon as it is seen: a new revision, ready pods, crashed
  pods, a primary that took the promotion.
- Facts may be told twice (their ids say so), never lost in order.

The rules are in `rules.py`; the first that has an answer gives it.
"""

from __future__ import annotations

import msgspec

from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision, Look, Rollout
from serinus.analyzer.core.rules import RULES
from serinus.events.canary import FINALIZER


def decide(rollout: Rollout, look: Look) -> Decision:
    """What to remember, ask and tell at this moment. Pure."""
    moment = Moment(rollout, look)
    for rule in RULES:
        decision = rule(moment)
        if decision is not None:
            return _with_finalizer(moment, decision)
    raise AssertionError("the last rule always answers")


def _with_finalizer(m: Moment, decision: Decision) -> Decision:
    """revertOnDeletion needs our finalizer on the object, and its withdrawal takes it off."""
    if decision.finalizer is not None or m.seen.deleting:
        return decision
    present = FINALIZER in m.seen.finalizers
    if m.spec.revert_on_deletion == present:
        return decision
    return msgspec.structs.replace(decision, finalizer=m.spec.revert_on_deletion)
