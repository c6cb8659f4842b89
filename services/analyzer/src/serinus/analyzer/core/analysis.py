"""One round of a running analysis: is it due, what is asked, what counts against the canary.

Order of a round, as in the reference (2.3, 5.1): rollback hooks; at the beginning the pre-rollout
hooks, later the rollout hooks and the metrics, one after another, up to the first failure; then the
step with its gates. What was found goes into the status with the step that follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from serinus.analyzer.core import messages as say
from serinus.analyzer.core import polls, record
from serinus.analyzer.core.checks import Judged
from serinus.analyzer.core.desired import KUBERNETES
from serinus.analyzer.core.ends import lacks_what_it_was_given, roll_back
from serinus.analyzer.core.judging import is_scored
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.questions import judged, questions
from serinus.analyzer.core.rollout import Decision, MetricAsk, Sample
from serinus.analyzer.core.rulings import charge, forgives, held, noted, ruling
from serinus.analyzer.core.scoring import SCORE, scored, stands_alone
from serinus.analyzer.core.steps import step
from serinus.analyzer.core.times import rfc3339, unix_s
from serinus.events import (
    AnalysisBegun,
    CheckFailed,
    CheckPassed,
    Fact,
    HookAnswered,
    Measurement,
    Metric,
    RolloutNoted,
    RolloutWarned,
    Webhook,
)
from serinus.events.canary import delay_s, threshold

Facts = tuple[Fact, ...]


def analyse(m: Moment, troubles: Facts) -> Decision:
    """This round's questions, or what their answers amount to."""
    primary = m.seen.primary.readiness
    is_fix = m.status.canary_weight >= 100 or lacks_what_it_was_given(m)
    if primary.state != "ready" and not is_fix and not m.dry_run:
        # Judging a canary against nothing, and with nothing to go back to, helps nobody.
        why = say.primary_not_ready(m.kind, m.target, m.namespace, primary.text)
        told = (m.tell(RolloutWarned, why, warning=True),) if m.round else ()
        return m.stand_still("primary_not_ready", *told, due_at=m.next_round_at)
    if not m.settled:
        return m.stand_still("routes_not_settled", *troubles, due_at=m.next_round_at)
    at_once = m.beginning and m.status.failed_checks == 0
    if m.round < 1 and not at_once:
        return m.stand_still("not_due", due_at=m.next_round_at)
    if asks := polls.unanswered(m):
        return Decision(reason="rollback", status=m.status, asks=asks)
    if at_once and (warming := _warm_up(m)) is not None:
        return warming
    return _begin(m) if m.beginning else _check(m)


def _warm_up(m: Moment) -> Decision | None:
    """A ready canary gets `analysis.delay` before anything is asked of it."""
    seconds = delay_s(m.spec)
    if not seconds:
        return None
    begins_at = m.status.canary_analysis.begins_at if m.status.canary_analysis else ""
    if not m.status.observed_generation:
        # The resource definition drops what is ours: the time counts from the start of the run.
        begins_at = rfc3339(m.changed_at + seconds)
    if not begins_at:
        status = m.remembered(**record.warming(m.status, m.at + seconds))
        told = m.tell(RolloutNoted, say.warming_up(m.t, seconds))
        return Decision(reason="warming_up", status=status, facts=(told,))
    if m.at < unix_s(begins_at):
        return m.stand_still("warming_up", due_at=unix_s(begins_at))
    return None


def _begin(m: Moment) -> Decision:
    """The first round: nobody has been served yet, so there is nothing to measure."""
    facts: Facts = (m.tell(AnalysisBegun, say.starting(m.t)),)
    for index, hook in enumerate(m.hooks("pre-rollout")):
        # The key has no round: a hook that passed is not asked again while a gate holds the step.
        ask = m.hook_ask(hook, index)
        if not m.status.failed_checks:
            ask = msgspec.structs.replace(ask, key=f"{m.epoch}/pre-rollout/{index}")
        answer = m.hook_answer(ask)
        if answer is None:
            return Decision(reason="pre_rollout", status=m.status, asks=(ask,), facts=facts)
        if not answer.passed:
            text = say.pre_rollout_failed(m.n, hook.name, answer.text)
            return _failed(m, text, facts, hook=hook)
        passed = say.PASSED["pre-rollout"].format(hook.name)
        told = m.tell(HookAnswered, passed, hook=hook.name, hook_type="pre-rollout")
        facts = (*facts, told)
    return step(m, (*facts, *_coercions(m)))


def _coercions(m: Moment) -> Facts:
    """What provider kubernetes cannot do and makes of it instead (1.10); said once per run."""
    if m.mesh != KUBERNETES:
        return ()
    texts = [say.NO_AB_ON_KUBERNETES] if m.analysis.match else []
    if m.analysis.iterations < 1:
        texts += [say.NO_WEIGHTS_ON_KUBERNETES, say.SETTING_ITERATIONS]
    return tuple(m.tell(RolloutWarned, text, warning=True) for text in texts)


def _check(m: Moment) -> Decision:
    facts: Facts = ()
    for index, hook in enumerate(m.hooks("rollout")):
        ask = m.hook_ask(hook, index, "Progressing")
        answer = m.hook_answer(ask)
        if answer is None:
            return Decision(reason="rollout_hook", status=m.status, asks=(ask,), facts=facts)
        if not answer.passed:
            text = say.rollout_hook_failed(m.n, hook.name, answer.text)
            return _failed(m, text, facts, hook=hook)
    measured: tuple[Measurement, ...] = ()
    samples: tuple[Sample, ...] = ()
    waits: Facts = ()
    for one in _verdicts(m):
        if isinstance(one, MetricAsk):
            return Decision(reason="metric", status=m.status, asks=(one,), facts=facts)
        found = one.found
        measured = (*measured, found.measurement)
        samples = (*samples, *_sample(m, found.measurement))
        if found.passed or not one.decides:
            continue
        match ruling(m, one.metric, found):
            case "note":
                facts = (*facts, noted(m, one.metric, found))
            case "hold":
                # The others are asked all the same: a source that is away hides no failure.
                waits = (*waits, held(m, found))
            case kind:
                counts = charge(m, one.metric, kind, found)
                facts = (*facts, *waits)
                return _failed(
                    m, found.text, facts, measured=measured, samples=samples, counts=counts
                )
    if waits:
        waiting = m.stand_still("no_evidence", *facts, *waits, due_at=m.next_round_at)
        return _with_samples(msgspec.structs.replace(waiting, lacks=waits[0].text), samples)
    passed = m.tell(CheckPassed, measurements=measured, once=str(m.round))
    decision = step(m, (*facts, passed))
    if decision.status != m.status:
        evidence = record.checked(m.status, m.at, measured, passed=True)
        failed = 0 if forgives(m) else decision.status.failed_checks
        status = msgspec.structs.replace(decision.status, failed_checks=failed, **evidence)
        decision = msgspec.structs.replace(decision, status=status)
    return _with_samples(decision, samples)


class _Verdict(Struct, frozen=True):
    """What one metric came to; `decides`: by itself, and not with others in the score."""

    metric: Metric
    found: Judged
    decides: bool = True


def _verdicts(m: Moment) -> Iterator[_Verdict | MetricAsk]:
    """Metric by metric, up to the first that has to be asked still; at last their score."""
    together: list[tuple[Metric, Judged]] = []
    for question in questions(m):
        if question.ask is not None and m.answer(question.ask.key) is None:
            yield question.ask
            return
        metric, found = question.metric, judged(m, question)
        is_part = is_scored(m.analysis, metric)
        if is_part:
            together.append((metric, found))
        yield _Verdict(metric, found, not is_part or stands_alone(m, metric, found))
    if together:
        found = scored(m, together)
        waits = any(stands_alone(m, *one) for one in together)
        yield _Verdict(SCORE, found, not (waits and found.measurement.outcome == "no-data"))


def _with_samples(decision: Decision, samples: tuple[Sample, ...]) -> Decision:
    return msgspec.structs.replace(decision, samples=(*samples, *decision.samples))


def _sample(m: Moment, measurement: Measurement) -> tuple[Sample, ...]:
    if measurement.value is None:
        return ()
    value = measurement.value / 1000 if measurement.unit == "ms" else measurement.value
    labels = {"name": m.target, "namespace": m.namespace, "metric": measurement.metric}
    return (Sample(kind="analysis", labels=labels, value=value),)


def _failed(
    m: Moment,
    text: str,
    facts: Facts,
    *,
    hook: Webhook | None = None,
    measured: tuple[Measurement, ...] = (),
    samples: tuple[Sample, ...] = (),
    counts: int = 1,
) -> Decision:
    """One more failed check, or as many as it counts for; at the threshold the run ends at once.

    Flagger ends it one interval later, and serves a known-bad canary for that long.
    """
    failed = m.status.failed_checks + counts
    told = m.tell(
        CheckFailed,
        text,
        warning=True,
        hook=hook.name if hook else "",
        measurements=measured,
        failed_checks=failed,
        once=str(m.round),
    )
    evidence = record.checked(
        m.status, m.at, measured, passed=False, hook=hook.name if hook else ""
    )
    if failed < threshold(m.spec):
        status = m.remembered(failed_checks=failed, **evidence)
        return Decision(reason="check_failed", status=status, facts=(*facts, told), samples=samples)
    ended = roll_back(
        m,
        "threshold_reached",
        say.threshold_reached(m.n, failed),
        alert=f"Failed checks threshold reached {failed}",
        say_why=True,
        before=(*facts, told),
        measurements=tuple(x for x in measured if x.outcome != "passed"),
        failed_checks=failed,
    )
    status = msgspec.structs.replace(ended.status, **evidence)
    return _with_samples(msgspec.structs.replace(ended, status=status), samples)
