"""What Prometheus is shown of waves and of the fleet. A series goes with what it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from serinus.coordinator.core.waves import WaveStatus
from serinus.kube.times import unix
from serinus.runtime.service import Gauge, Metrics

PHASES = ("Idle", "Running", "Waiting", "Frozen", "Paused", "Stopped", "Refused")


Labels = tuple[tuple[str, str], ...]


class Board:
    """The gauges of one coordinator."""

    def __init__(self, metrics: Metrics) -> None:
        self._phases = metrics.gauge("serinus_waves", "Waves of this cluster, by phase.")
        self._since = _Set(
            metrics.gauge(
                "serinus_wave_since_timestamp_seconds",
                "Since when a wave says what it says, by its phase.",
            )
        )
        self._canaries = _Set(
            metrics.gauge("serinus_wave_canaries", "Canaries of a wave, by their state.")
        )
        self._heard = _Set(
            metrics.gauge(
                "serinus_fleet_cluster_heard",
                "Whether there is news from another cluster that is known or named by a wave.",
            )
        )

    def shows(self, waves: Mapping[str, WaveStatus]) -> None:
        """All waves, by `<namespace>/<name>`."""
        phases: Counter[str] = Counter(status.phase for status in waves.values())
        for phase in PHASES:
            self._phases.set(phases[phase], {"phase": phase})
        since: dict[Labels, float] = {}
        canaries: dict[Labels, float] = {}
        for key, status in waves.items():
            namespace, _, name = key.partition("/")
            where = (("namespace", namespace), ("name", name))
            with suppress(ValueError):  # somebody else wrote it
                since[(*where, ("phase", status.phase))] = unix(status.since)
            states: Counter[str] = Counter()
            for step in status.steps:
                states.update(step.counts)
            for state, count in states.items():
                canaries[(*where, ("state", state))] = float(count)
        self._since.show(since)
        self._canaries.show(canaries)

    def hears(self, clusters: Mapping[str, bool]) -> None:
        """All other clusters, and whether there is news from them."""
        self._heard.show({(("cluster", name),): float(is_so) for name, is_so in clusters.items()})


class _Set:
    """A gauge whose series are replaced together."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._shown: set[Labels] = set()

    def show(self, values: Mapping[Labels, float]) -> None:
        for labels in self._shown - values.keys():
            self._gauge.remove(dict(labels))
        for labels, value in values.items():
            self._gauge.set(value, dict(labels))
        self._shown = set(values)
