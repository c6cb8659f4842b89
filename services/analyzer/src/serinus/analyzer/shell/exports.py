"""What the analyzer tells Prometheus: Flagger's names and labels (reference 2.18), and its own.

A canary's series go when the canary goes, or when it gets another target.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

from serinus.analyzer.core.rollout import Sample
from serinus.events import CanaryObserved, RoutesObserved
from serinus.runtime.service import Gauge, Metrics, Series

DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROLLOUT_BUCKETS = (60.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0)
STATUS = {"Progressing": 0.0, "Failed": 2.0}
OTHERWISE = 1.0

Labels = tuple[tuple[str, str], ...]


class Exports:
    """The analyzer's metrics. Labels called `name` hold the target's name, as with Flagger."""

    def __init__(self, metrics: Metrics, *, version: str, mesh: str) -> None:
        info = metrics.gauge("flagger_info", "Version and default mesh provider.")
        info.set(1.0, {"version": version, "mesh_provider": mesh})
        self._total = metrics.gauge("flagger_canary_total", "Canaries per namespace.")
        self._status = metrics.gauge(
            "flagger_canary_status", "0 while progressing, 2 after a failure, else 1."
        )
        self._weight = metrics.gauge("flagger_canary_weight", "Live weight of a workload.")
        self._analysis = metrics.gauge(
            "flagger_canary_metric_analysis", "Last value of each metric."
        )
        self._duration = metrics.histogram(
            "flagger_canary_duration_seconds", "Seconds that one check took.", DURATION_BUCKETS
        )
        self._ended = {
            "success": metrics.counter("flagger_canary_successes_total", "Rollouts promoted."),
            "failure": metrics.counter("flagger_canary_failures_total", "Rollouts that failed."),
        }
        self._took = metrics.histogram(
            "serinus_rollout_duration_seconds",
            "Seconds from the start of a rollout to its end.",
            ROLLOUT_BUCKETS,
        )
        self._errors = metrics.counter(
            "serinus_analyzer_setbacks_total", "Turns that ended early, by reason."
        )
        self._rules = metrics.counter("serinus_decisions_total", "Decisions, by rule.")
        self._per_namespace: Tally[str] = Tally()
        # (namespace, target) of each canary
        self._known: dict[str, tuple[str, str]] = {}
        self._series: dict[str, dict[tuple[int, Labels], Series]] = {}

    def observe(self, seen: CanaryObserved) -> None:
        """A canary and its phase."""
        key, namespace = seen.canary.key, seen.canary.namespace
        target = seen.spec.target_ref.name
        if self._known.get(key) != (namespace, target):
            self.forget(key)
            self._known[key] = namespace, target
            self._count(namespace, 1)
        labels = {"name": target, "namespace": namespace}
        self._set(key, self._status, STATUS.get(seen.status.phase, OTHERWISE), labels)

    def observe_routes(self, target: str, routes: RoutesObserved) -> None:
        """Live weights, as read back."""
        key, namespace = routes.canary.key, routes.canary.namespace
        for workload, weight in (
            (f"{target}-primary", routes.primary_weight),
            (target, routes.canary_weight),
        ):
            if weight is not None:
                labels = {"workload": workload, "namespace": namespace}
                self._set(key, self._weight, float(weight), labels)

    def measured(self, key: str, samples: Iterable[Sample]) -> None:
        """Values that a decision was made of. Repeating them changes nothing."""
        for sample in samples:
            if sample.kind == "analysis":
                self._set(key, self._analysis, sample.value, sample.labels)

    def ended(self, key: str, samples: Iterable[Sample]) -> None:
        """Rollouts that ended; to be told once."""
        for sample in samples:
            if sample.kind == "duration":
                self._took.observe(sample.value, sample.labels)
                self._note(key, self._took, sample.labels)
            elif sample.kind != "analysis":
                counter = self._ended[sample.kind]
                counter.inc(sample.labels, sample.value)
                self._note(key, counter, sample.labels)

    def checked(self, seen: CanaryObserved, seconds: float) -> None:
        labels = {"name": seen.spec.target_ref.name, "namespace": seen.canary.namespace}
        self._duration.observe(seconds, labels)
        self._note(seen.canary.key, self._duration, labels)

    def decided(self, rule: str) -> None:
        self._rules.inc({"rule": rule})

    def set_back(self, reason: str) -> None:
        self._errors.inc({"reason": reason})

    def forget(self, key: str) -> None:
        """Takes a canary's series away."""
        known = self._known.pop(key, None)
        if known is not None:
            self._count(known[0], -1)
        for (_, labels), metric in self._series.pop(key, {}).items():
            metric.remove(dict(labels))

    def _count(self, namespace: str, change: int) -> None:
        self._per_namespace[namespace] += change
        if self._per_namespace[namespace] > 0:
            self._total.set(float(self._per_namespace[namespace]), {"namespace": namespace})
        else:
            del self._per_namespace[namespace]
            self._total.remove({"namespace": namespace})

    def _set(self, key: str, gauge: Gauge, value: float, labels: dict[str, str]) -> None:
        gauge.set(value, labels)
        self._note(key, gauge, labels)

    def _note(self, key: str, metric: Series, labels: dict[str, str]) -> None:
        self._series.setdefault(key, {})[id(metric), tuple(sorted(labels.items()))] = metric
