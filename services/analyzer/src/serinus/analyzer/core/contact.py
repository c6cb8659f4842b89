"""Rules of first contact: a manifest that cannot work, a run of another controller."""

from __future__ import annotations

import msgspec

from serinus.analyzer.core.desired import RUNNING_PHASES
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision
from serinus.analyzer.core.status import stalled
from serinus.events import ManifestRefused
from serinus.events.canary import REVISION_PREFIX


def refused(m: Moment) -> Decision | None:
    """A manifest that cannot work is left alone and says so; the cure takes the complaint away."""
    found = m.problems
    status = stalled(m.status, m.at, found)
    if not found:
        if status == m.status:
            return None
        return Decision(reason="refused", status=status)
    if m.status.phase in RUNNING_PHASES:
        blocking = tuple(p for p in found if not p.path.startswith("spec.analysis.metrics"))
        if not blocking:
            return None
    told = tuple(
        m.tell(
            ManifestRefused,
            p.message if p.path == "spec.targetRef" else str(p),
            warning=True,
            problems=(p,),
            once=p.message,
        )
        for p in found
    )
    return Decision(reason="refused", status=status, facts=told)


def foreign_hash(m: Moment) -> Decision | None:
    """First contact with a canary of another controller: adopt its run, start nothing (11.5).

    In Initialized and Succeeded the target must run what the primary runs; if it does not, it is a
    new revision and a rollout begins. In Failed the failed revision is what the target runs.
    """
    applied = m.status.last_applied_spec
    if not applied or applied.startswith(REVISION_PREFIX) or not m.seen.target.revision:
        return None
    now = m.seen.target.revision
    same = m.seen.same_template is True
    promoted = now if same else m.status.last_promoted_spec
    if m.status.phase in ("Initialized", "Succeeded") and not same:
        return None
    # The stamp stays: adopting is no step, and the run's next check keeps its time.
    status = msgspec.structs.replace(
        m.status,
        last_applied_spec=now,
        last_promoted_spec=promoted,
        tracked_configs=m.seen.configs,
    )
    return Decision(reason="foreign_hash", status=status)
