"""Before the first release: can the metrics sources be asked at all (reference 2.3, step 6)?"""

from __future__ import annotations

from serinus.analyzer.core import messages as say
from serinus.analyzer.core.judging import builtin_source
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.questions import template_name
from serinus.analyzer.core.rollout import Decision, ProbeAsk, Unreachable
from serinus.events import RolloutNoted, RolloutWarned

FAILED = "Error checking metric providers: {}"


def probe(m: Moment) -> Decision:
    """Asks every source once per initialisation; the answers decide nothing but what is said."""
    quiet = Decision(reason="initialising", status=m.status)
    if m.skips_analysis:
        return quiet
    for missing in _missing(m):
        told = m.tell(RolloutWarned, FAILED.format(missing), warning=True)
        return Decision(reason="initialising", status=m.status, facts=(told,))
    for ask in _asks(m):
        answer = m.answer(ask.key)
        if answer is None:
            return Decision(reason="initialising", status=m.status, asks=(ask,))
        if isinstance(answer, Unreachable):
            told = m.tell(RolloutWarned, FAILED.format(answer.why), warning=True)
            return Decision(reason="initialising", status=m.status, facts=(told,))
    noted = m.tell(RolloutNoted, say.PROVIDERS_AVAILABLE)
    return Decision(reason="initialising", status=m.status, facts=(noted,))


def _missing(m: Moment) -> list[str]:
    found = []
    for metric in m.analysis.metrics:
        if metric.template_ref is None:
            continue
        key = template_name(m, metric.template_ref)
        if key not in m.seen.templates:
            namespace, _, name = key.partition("/")
            found.append(
                f"metric template {name}.{namespace} error: "
                f'metrictemplate.flagger.app "{name}" not found'
            )
    return found


def _asks(m: Moment) -> list[ProbeAsk]:
    asks = [
        ProbeAsk(key=f"{m.epoch}/probe/builtin", source=builtin_source(m.spec, m.rollout.policy))
    ]
    for metric in m.analysis.metrics:
        if metric.template_ref is not None:
            key = template_name(m, metric.template_ref)
            source = m.seen.templates[key]
            asks.append(ProbeAsk(key=f"{m.epoch}/probe/{key}", source=source, template=key))
    return asks
