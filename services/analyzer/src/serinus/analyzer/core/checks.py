"""A measured value held against its bound: passed, failed, no data, unreachable.

Texts are the reference's (2.14), byte for byte where Flagger has one; comparisons those of 5.2.
A missing value is never a pass, and it is reported as missing, with its cause, never as a bad one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, assert_never

from msgspec import Struct
from msgspec.structs import replace

from serinus.analyzer.core.comparison import Verdict, verdict
from serinus.analyzer.core.queries import (
    DURATION,
    SUCCESS_RATE,
    Side,
    factor,
    observer_of,
    unit_of,
)
from serinus.analyzer.core.rollout import (
    NoData,
    Reading,
    Single,
    Table,
    Unreachable,
    Value,
)
from serinus.analyzer.judge.mannwhitney import Label
from serinus.events import CanaryRef, Measurement, Metric
from serinus.events.canary import MetricJudge
from serinus.gotemplate.text import fixed, go_float, milliseconds

NO_VALUES = "no values found"
NO_SERIES = "the answer holds no series"
NOT_A_NUMBER = "the answer is NaN"
# Causes that "no values found" says already: the texts of these must stay Flagger's.
_SAID_ALREADY = frozenset({"", NO_SERIES, NOT_A_NUMBER})


# Texts that say which template is at fault are whole sentences already.
_TEMPLATE = "Metric template "


class Judged(Struct, frozen=True, kw_only=True):
    """One metric of one check. `text` is the halt event's sentence, "" when it passed.

    away   the source could not be asked at all; the canary has nothing to do with it
    final  more of the same would not change the verdict: no need to see it `threshold` times
    label  of a `mann-whitney` judge; `extreme`: bad enough for a critical metric
    ruling  what becomes of it where that is not the manifest's to say
    """

    passed: bool
    measurement: Measurement
    text: str = ""
    away: bool = False
    final: bool = False
    label: Label = "no-data"
    extreme: bool = False
    ruling: Literal["", "hold", "note"] = ""


class Limits(Struct, frozen=True, kw_only=True):
    """Inclusive bounds; None where there is none."""

    low: float | None = None
    high: float | None = None

    def crossed(self, value: float) -> tuple[str, float] | None:
        """The sign and the bound that `value` is on the wrong side of."""
        if self.low is not None and value < self.low:
            return "<", self.low
        if self.high is not None and value > self.high:
            return ">", self.high
        return None

    def __str__(self) -> str:
        parts = [
            *([] if self.low is None else [f">= {go_float(self.low)}"]),
            *([] if self.high is None else [f"<= {go_float(self.high)}"]),
        ]
        return " and ".join(parts)


def limits_of(metric: Metric, check: str) -> Limits:
    """The bounds of a metric; `check` is a built-in's name or "".

    The deprecated `threshold` is a floor for success rates and a ceiling for all else; where it is
    missing too, it is 0 as in Flagger. Durations are compared in whole milliseconds.
    """
    whole: Callable[[float], float] = math.trunc if check == DURATION else float
    if metric.threshold_range is not None:
        low, high = metric.threshold_range.min, metric.threshold_range.max
        return Limits(
            low=None if low is None else whole(low), high=None if high is None else whole(high)
        )
    bound = whole(metric.threshold or 0.0)
    return Limits(low=bound) if check == SUCCESS_RATE else Limits(high=bound)


def judge(
    metric: Metric,
    builtin: bool,
    reading: Reading,
    *,
    canary: CanaryRef,
    target: str,
    provider: str,
    interval: str,
    query: str,
    template: bool | None = None,
    place: str = "",
    against: Side = "primary",
) -> Judged:
    """Whether `reading` passes, what was measured, and the halt event's text.

    builtin   the metric is one of the two built-in checks, not a query
    provider  as `queries.metrics_provider` names it for built-ins; else the source's type
    template  the query came from a MetricTemplate; None: it did if the metric names one
    place     the MetricTemplate's name and namespace, "" where there is none
    against   what a judge compares the canary with
    """
    check = metric.name if builtin else ""
    limits = limits_of(metric, check)
    if template is None:
        template = metric.template_ref is not None
    say = _Sentences(metric.name, check, str(canary), f"{target}.{canary.namespace}", provider)
    base = Measurement(
        metric=metric.name,
        outcome="passed",
        unit=unit_of(check),
        bound=str(limits),
        query=query,
        interval=interval,
        source=provider,
    )
    if isinstance(reading, Table):
        rules = metric.judge or MetricJudge()
        compared = verdict(rules, check, observer_of(provider), reading, against)
        return _comparison(metric, compared, base, say, template=template)
    match _enough(reading, metric.min_samples):
        case Value(value=value, samples=samples):
            measured = replace(base, value=_scaled(value, check, provider), samples=samples)
            return _compared(measured, limits, say)
        case NoData(cause=cause):
            return Judged(
                passed=False,
                measurement=replace(base, outcome="no-data", cause=cause or NO_VALUES),
                text=say.no_values(cause, template=template),
            )
        case Unreachable(why=why, away=away):
            why = _placed(why, place)
            return Judged(
                away=away,
                passed=False,
                measurement=replace(base, outcome="unreachable", cause=why),
                text=say.unreachable(why, template=template),
            )
        case _ as never:
            assert_never(never)


def _placed(why: str, place: str) -> str:
    """What went wrong, with the MetricTemplate that it went wrong with."""
    return why if not place or why.startswith(_TEMPLATE) else f"{why} (metric template {place})"


def _comparison(
    metric: Metric, compared: Verdict, base: Measurement, say: _Sentences, *, template: bool
) -> Judged:
    wanted = max(1, metric.min_samples)
    if compared.worse is None or compared.samples < wanted:
        nothing = f"nothing to compare yet: {compared.samples:.0f} samples, {wanted} are wanted"
        cause = compared.lack or nothing
        lacking = replace(base, outcome="no-data", cause=cause)
        return Judged(
            passed=False, measurement=lacking, text=say.no_values(cause, template=template)
        )
    measured = replace(
        base,
        value=compared.value,
        unit="",
        bound="",
        finding=compared.finding,
        samples=compared.samples,
    )
    if not compared.worse:
        return Judged(passed=True, measurement=measured, label=compared.label)
    return Judged(
        passed=False,
        measurement=replace(measured, outcome="failed"),
        text=say.worse(compared.finding),
        final=metric.judge is None or metric.judge.kind == "sequential",
        label=compared.label,
        extreme=compared.extreme,
    )


def _enough(reading: Single, wanted: int) -> Single:
    """The reading, or no data where its value rests on too little."""
    if not wanted or not isinstance(reading, Value):
        return reading
    if reading.samples is None:
        return NoData(key=reading.key, cause="nobody knows on how many samples: set samplesQuery")
    if reading.samples < wanted:
        return NoData(key=reading.key, cause=f"{reading.samples:.0f} samples, {wanted} are wanted")
    return reading


def metric_value(reading: Reading, metric: Metric, builtin: bool, provider: str) -> float | None:
    """The value for `flagger_canary_metric_analysis`: durations in seconds, others as they are."""
    if not isinstance(reading, Value):
        return None
    if builtin and metric.name == DURATION:
        return _scaled(reading.value, DURATION, provider) / 1000
    return reading.value


def _scaled(value: float, check: str, provider: str) -> float:
    """The value in the check's unit; durations cut to whole milliseconds."""
    if check != DURATION:
        return value
    in_ms = value * factor(observer_of(provider), DURATION)
    return float(math.trunc(in_ms)) if math.isfinite(in_ms) else in_ms


def _compared(measured: Measurement, limits: Limits, say: _Sentences) -> Judged:
    value = measured.value if measured.value is not None else math.nan
    crossed = limits.crossed(value)
    if crossed is None:
        return Judged(passed=True, measurement=measured)
    sign, bound = crossed
    return Judged(
        passed=False,
        measurement=replace(measured, outcome="failed"),
        text=say.failed(value, sign, bound),
    )


class _Sentences(Struct, frozen=True):
    """The halt texts of one metric. `n` is the canary, `t` the target, with their namespace."""

    metric: str
    check: str
    n: str
    t: str
    provider: str

    def failed(self, value: float, sign: str, bound: float) -> str:
        lead = f"Halt {self.n} advancement"
        if self.check == SUCCESS_RATE:
            return f"{lead} success rate {fixed(value)}% {sign} {go_float(bound)}%"
        if self.check == DURATION:
            return f"{lead} request duration {milliseconds(value)} {sign} {milliseconds(bound)}"
        return f"{lead} {self.metric} {fixed(value)} {sign} {go_float(bound)}"

    def worse(self, finding: str) -> str:
        return f"Halt {self.n} advancement {self.metric} of the canary is worse: {finding}"

    def no_values(self, cause: str, *, template: bool) -> str:
        why = "" if cause in _SAID_ALREADY else f": {cause}"
        if self.check:
            text = (
                f"Halt advancement {NO_VALUES} for {self.provider} metric {self.check} "
                f"probably {self.t} is not receiving traffic"
            )
            said = f": running query failed: {NO_VALUES}" if self.check == SUCCESS_RATE else ""
            return text + said + why
        if template:
            return (
                f"Halt advancement {NO_VALUES} for custom metric: {self.metric}: {NO_VALUES}{why}"
            )
        return f"Halt advancement {NO_VALUES} for metric: {self.metric}{why}"

    def unreachable(self, why: str, *, template: bool) -> str:
        if why.startswith(_TEMPLATE):
            return why
        if self.check:
            return f"Prometheus query failed: running query failed: {why}"
        source = "Metric" if template else "Prometheus"
        return f"{source} query failed for {self.metric}: {why}"


# --- metrics that could not be asked at all -----------------------------------------------------

NOT_USABLE = "Metric query failed for no usable metrics template and query were configured"


def template_missing(name: str, namespace: str) -> str:
    """The MetricTemplate does not exist."""
    return f"{_TEMPLATE}{_not_found(name, namespace)}"


def render_failed(name: str, namespace: str, why: str) -> str:
    """The MetricTemplate's query did not render; `why` is template.TemplateError's text."""
    return f"{_TEMPLATE}{name}.{namespace} query render error: {why}"


def secret_failed(name: str, namespace: str, secret: str, why: str) -> str:
    """The Secret with the credentials of a MetricTemplate could not be read."""
    return f"{_TEMPLATE}{name}.{namespace} secret {secret} error: {why}"


def not_asked(metric: str, cause: str, *, interval: str = "", query: str = "") -> Measurement:
    """The measurement of a metric that could not be asked, with the reason."""
    return Measurement(
        metric=metric, outcome="unreachable", cause=cause, interval=interval, query=query
    )


def probe_failed(why: str) -> str:
    """A metrics source did not answer while the canary was initialised."""
    return f"Error checking metric providers: {why}"


def probe_template_missing(name: str, namespace: str) -> str:
    return probe_failed(f"metric template {_not_found(name, namespace)}")


def probe_unreachable(source: str, why: str, *, name: str = "", namespace: str = "") -> str:
    """`source` is the provider's type; `name` and `namespace` are its template's, if any."""
    where = f" in metric template {name}.{namespace}" if name else ""
    return probe_failed(f"{source}{where} not available: {why}")


def _not_found(name: str, namespace: str) -> str:
    return f'{name}.{namespace} error: metrictemplate.flagger.app "{name}" not found'
