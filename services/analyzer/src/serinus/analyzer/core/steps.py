"""The step after a passed check: more traffic, one more iteration, or promotion (reference 2.7)."""

from __future__ import annotations

from serinus.analyzer.core import messages as say
from serinus.analyzer.core.affinity import chosen, retired
from serinus.analyzer.core.desired import KUBERNETES
from serinus.analyzer.core.ends import copy_to_primary
from serinus.analyzer.core.gates import gate
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import Decision
from serinus.analyzer.core.status import since
from serinus.analyzer.core.weights import mirror_is_complete, next_weight, promotion_weight
from serinus.events import (
    Fact,
    IterationAdvanced,
    RolloutNoted,
    TrafficRouted,
    WeightAdvanced,
)
from serinus.events.canary import max_weight

Facts = tuple[Fact, ...]


def step(m: Moment, facts: Facts) -> Decision:
    """Move on by one, or wait for a gate."""
    if m.paused:
        return paused(m, facts)
    if m.strategy == "canary":
        return _step_weight(m, facts)
    if m.strategy == "ab-testing":
        return _step_ab(m, facts)
    return _step_blue_green(m, facts)


def paused(m: Moment, facts: Facts = ()) -> Decision:
    """No step; the checks go on, and what is wrong is rolled back."""
    noted = m.tell(RolloutNoted, say.PAUSED)
    return m.stand_still("paused", *facts, noted, due_at=m.next_round_at)


def _step_weight(m: Moment, facts: Facts) -> Decision:
    weight, rounds = m.status.canary_weight, max(0, m.status.iterations)
    mirroring = m.analysis.mirror and weight == 0 and rounds > 0
    if m.status.phase == "Progressing" and not mirroring:
        held, facts = gate(m, "confirm-traffic-increase", facts)
        if held is not None:
            return held
    if weight >= max_weight(m.spec):
        return _promote(m, facts)
    if m.analysis.mirror and weight == 0 and not mirror_is_complete(m.analysis, rounds):
        status = m.remembered(iterations=rounds + 1)
        told = m.tell(WeightAdvanced, say.advance_canary(m.n, 0), canary_weight=0)
        return Decision(reason="mirror", status=status, facts=(*facts, told))
    following = next_weight(m.spec, weight)
    cookies = chosen(m.status, m.analysis.session_affinity, m.look, rotate=True)
    status = m.remembered(canary_weight=following, iterations=0, **cookies)
    told = m.tell(WeightAdvanced, say.advance_canary(m.n, following), canary_weight=following)
    return Decision(reason="step", status=status, facts=(*facts, told))


def _iterate(m: Moment, facts: Facts) -> Decision:
    done = max(0, m.status.iterations) + 1
    told = m.tell(
        IterationAdvanced,
        say.advance_iteration(m.n, done, m.iterations),
        iteration=done,
        iterations=m.iterations,
    )
    cookies = chosen(m.status, m.analysis.session_affinity, m.look, rotate=False)
    status = m.remembered(iterations=done, **cookies)
    return Decision(reason="iterate", status=status, facts=(*facts, told))


def _step_ab(m: Moment, facts: Facts) -> Decision:
    if m.iterations > m.status.iterations:
        return _iterate(m, facts)
    return _promote(m, facts)


def _step_blue_green(m: Moment, facts: Facts) -> Decision:
    """Iterations without traffic, then all traffic for one more round, then promotion.

    The gate is asked once, before the switch; Flagger asks it again before the copy (11.3 no. 19).
    """
    done = m.status.iterations
    if m.iterations > done:
        return _iterate(m, facts)
    if done > m.iterations:
        return copy_to_primary(m, "promote", facts)
    held, facts = gate(m, "confirm-promotion", facts)
    if held is not None:
        return held
    status = m.remembered(iterations=m.iterations + 1)
    if m.mesh == KUBERNETES:
        return Decision(reason="switch", status=status, facts=facts)
    text = say.TO_CANARY_AFTER_MIRROR if m.analysis.mirror else say.TO_CANARY
    told = m.tell(TrafficRouted, text, to="canary")
    return Decision(reason="switch", status=status, facts=(*facts, told))


def _promote(m: Moment, facts: Facts) -> Decision:
    held, facts = gate(m, "confirm-promotion", facts)
    return held if held is not None else copy_to_primary(m, "promote", facts)


def shift_to_primary(m: Moment) -> Decision:
    """Traffic back to the primary once that runs the new revision and is ready (reference 2.8).

    The first step back is due at once, each further one an interval later.
    """
    weight = m.status.canary_weight
    if m.mesh == KUBERNETES:
        return Decision(reason="routed", status=m.remembered(phase="Finalising", iterations=0))
    stepwise = m.analysis.step_weight_promotion > 0 and weight > 0
    if not stepwise:
        status = m.remembered(
            phase="Finalising", canary_weight=0, iterations=0, **retired(m.status)
        )
        told = m.tell(TrafficRouted, say.TO_PRIMARY, to="primary")
        return Decision(reason="routed", status=status, facts=(told,))
    if m.paused:
        return paused(m)
    if m.round < 1 and since(m.status) < m.changed_at:
        return m.stand_still("routed", due_at=m.next_round_at)
    following = promotion_weight(m.spec, weight)
    text = say.advance_primary(m.n, 100 - following)
    told_step = m.tell(WeightAdvanced, text, canary_weight=following)
    if following:
        status = m.remembered(canary_weight=following)
    else:
        status = m.remembered(
            phase="Finalising", canary_weight=0, iterations=0, **retired(m.status)
        )
    return Decision(reason="routed", status=status, facts=(told_step,))
