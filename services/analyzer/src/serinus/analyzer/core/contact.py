"""Rules of first contact: a manifest that cannot work, a run of another controller."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from serinus.analyzer.core.affinity import retired
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision
from serinus.analyzer.core.status import is_dry
from serinus.events import Fact, ManifestRefused, Problem, RolloutWarned
from serinus.events.canary import REVISION_PREFIX


def refused(m: Moment) -> Decision | None:
    """A manifest that cannot work is left alone and says so, in `Stalled`, too."""
    found = m.blocking
    if not found:
        return None
    told = (fact for problem in found for fact in _said(m, problem))
    return m.stand_still("refused", *told)


def _said(m: Moment, found: Problem) -> Iterator[Fact]:
    """One sentence; about what is referred to Flagger's own, and another one with the field and the
    cure."""
    is_flaggers = found.path.endswith("Ref")
    text = found.message if is_flaggers else str(found)
    yield m.tell(ManifestRefused, text, warning=True, problems=(found,), once=found.message)
    if is_flaggers:
        cure = f"{found.path}: {found.cure}"
        yield m.tell(RolloutWarned, cure, warning=True, once=found.message)


def left_dry_run(m: Moment) -> Decision | None:
    """What was only thought is forgotten: the cluster says what is live."""
    if m.dry_run or not is_dry(m.status):
        return None
    live = m.seen.primary.promoted or (m.seen.target.revision if m.seen.same_template else "")
    known = m.seen.primary.found
    status = m.remembered(
        phase="Initialized" if known else "Initializing",
        canary_weight=0,
        iterations=0,
        failed_checks=0,
        last_applied_spec=live if known else "",
        last_promoted_spec=live if known else "",
        **retired(m.status),
    )
    return Decision(reason="left_dry_run", status=status)


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
