"""Flagger's metrics, by name and label; a canary takes its series along."""

from msgspec.structs import replace
from tests.builders import REF, a_canary_spec, a_routes_observed, a_status, an_observed

from serinus.analyzer.core.rollout import Sample
from serinus.analyzer.shell.exports import Exports
from serinus.events import CanaryRef, ObjectRef
from serinus.runtime.telemetry import PrometheusMetrics


class Bench:
    def __init__(self) -> None:
        self.metrics = PrometheusMetrics()
        self.exports = Exports(self.metrics, version="1.2.3", mesh="traefik")

    def lines(self, name: str) -> dict[str, float]:
        """Labels as they are written -> value, of one metric."""
        text = self.metrics.exposition().decode()
        found = (line.rpartition(" ") for line in text.splitlines() if line.startswith(f"{name}{{"))
        return {series.removeprefix(name): float(value) for series, _, value in found}


def test_version_and_mesh_are_told() -> None:
    assert Bench().lines("flagger_info") == {'{mesh_provider="traefik",version="1.2.3"}': 1.0}


def test_a_phase_is_a_number_under_the_targets_name() -> None:
    bench = Bench()
    numbers = {}
    for phase in ("Progressing", "Failed", "Succeeded", "Waiting", "Promoting"):
        bench.exports.observe(an_observed(status=a_status(phase)))
        ((labels, numbers[phase]),) = bench.lines("flagger_canary_status").items()
        assert labels == '{name="web",namespace="shop"}'

    assert numbers == {
        "Progressing": 0.0,
        "Failed": 2.0,
        "Succeeded": 1.0,
        "Waiting": 1.0,
        "Promoting": 1.0,
    }


def test_live_weights_are_told_per_workload() -> None:
    bench = Bench()
    bench.exports.observe_routes("web", a_routes_observed(canary_weight=20))

    assert bench.lines("flagger_canary_weight") == {
        '{namespace="shop",workload="web"}': 20.0,
        '{namespace="shop",workload="web-primary"}': 80.0,
    }


def test_weights_that_do_not_exist_yet_are_not_told() -> None:
    bench = Bench()
    none = replace(a_routes_observed(), primary_weight=None, canary_weight=None)
    bench.exports.observe_routes("web", none)

    assert bench.lines("flagger_canary_weight") == {}


def test_canaries_are_counted_by_namespace_and_an_empty_one_goes() -> None:
    """Flagger never takes a namespace back (2.18)."""
    bench = Bench()
    for name in ("a", "b"):
        bench.exports.observe(an_observed(canary=CanaryRef("shop", name, name)))
        bench.exports.observe(an_observed(canary=CanaryRef("shop", name, name)))
    assert bench.lines("flagger_canary_total") == {'{namespace="shop"}': 2.0}

    bench.exports.forget("shop/a")
    bench.exports.forget("shop/b")

    assert bench.lines("flagger_canary_total") == {}


def test_measured_values_are_gauges_and_ends_are_counted() -> None:
    bench = Bench()
    labels = {"name": "web", "namespace": "shop", "metric": "request-duration"}
    ended = {"name": "web", "namespace": "shop", "deployment_strategy": "canary"}
    ended["analysis_status"] = "completed"
    samples = (
        Sample(kind="analysis", labels=labels, value=0.515),
        Sample(kind="failure", labels=ended),
    )
    bench.exports.measured(REF.key, samples)
    bench.exports.measured(REF.key, samples)
    bench.exports.ended(REF.key, samples)

    assert list(bench.lines("flagger_canary_metric_analysis").values()) == [0.515]
    ((series, count),) = bench.lines("flagger_canary_failures_total").items()
    assert count == 1.0
    assert 'deployment_strategy="canary"' in series


def test_a_check_has_a_duration() -> None:
    bench = Bench()
    bench.exports.checked(an_observed(), 0.3)

    assert bench.lines("flagger_canary_duration_seconds_sum") == {
        '{name="web",namespace="shop"}': 0.3
    }


def test_a_canary_that_is_gone_takes_its_series_along() -> None:
    """Flagger keeps them for ever (2.18)."""
    bench = Bench()
    labels = {"name": "web", "namespace": "shop", "metric": "m"}
    bench.exports.observe(an_observed())
    bench.exports.observe_routes("web", a_routes_observed(canary_weight=20))
    bench.exports.measured(REF.key, (Sample(kind="analysis", labels=labels, value=1.0),))
    for kind in ("success", "failure"):
        bench.exports.ended(REF.key, (Sample(kind=kind, labels=labels),))
    bench.exports.checked(an_observed(), 0.3)
    assert 'namespace="shop"' in bench.metrics.exposition().decode()

    bench.exports.forget(REF.key)

    assert 'namespace="shop"' not in bench.metrics.exposition().decode()
    bench.exports.forget(REF.key)


def test_another_target_leaves_no_series_of_the_one_before() -> None:
    bench = Bench()
    spec = a_canary_spec(target_ref=ObjectRef(kind="Deployment", name="other"))
    bench.exports.observe(an_observed())

    bench.exports.observe(an_observed(spec=spec))

    assert bench.lines("flagger_canary_status") == {'{name="other",namespace="shop"}': 0.0}
    assert bench.lines("flagger_canary_total") == {'{namespace="shop"}': 1.0}


def test_how_long_rollouts_took_is_told_apart_by_their_end() -> None:
    bench = Bench()
    labels = {"name": "web", "namespace": "shop", "result": "success"}
    bench.exports.ended(REF.key, [Sample(kind="duration", labels=labels, value=660.0)])

    told = bench.lines("serinus_rollout_duration_seconds_sum")
    assert told == {'{name="web",namespace="shop",result="success"}': 660.0}
