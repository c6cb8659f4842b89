"""What the chart gives to Prometheus, before its own checker: rules fire, configs are read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.metrics import alerts
from tests.chart.render import rendered
from tests.tools import debian

# alert -> series under which it fires; without any, those of a suite that is not there
HEALTHY = {
    f'serinus_mailbox_depth{{service="{service}"}}': "0x60"
    for service in ("watcher", "analyzer", "router")
}
TROUBLE: dict[str, dict[str, str]] = {
    "SerinusServiceDown": {},
    "SerinusApiErrors": {
        'serinus_kube_requests_total{pod="a",resource="pods",code="403",verb="list"}': "0+60x60"
    },
    "SerinusBehind": {'serinus_mailbox_depth{service="notifier"}': "2000x60"},
    "SerinusSlowHands": {
        'serinus_intent_lag_seconds_bucket{le="5"}': "0+10x60",
        'serinus_intent_lag_seconds_bucket{le="30"}': "0+60x60",
        'serinus_intent_lag_seconds_bucket{le="+Inf"}': "0+60x60",
    },
    "SerinusMessageParked": {'serinus_dead_total{pod="a",reason="undecodable"}': "0+1x60"},
    "SerinusBug": {'serinus_analyzer_setbacks_total{reason="bug"}': "0+1x60"},
    "SerinusNotTold": {'serinus_notifications_total{kind="slack",outcome="refused"}': "0+1x60"},
    "SerinusRolloutFailed": {
        'flagger_canary_failures_total{namespace="shop",name="web"}': "0+1x60"
    },
    # Times of the test begin at zero: since five hours before that.
    "SerinusWaveWaits": {
        'serinus_wave_since_timestamp_seconds{namespace="shop",name="web",phase="Waiting"}': (
            "-18000x60"
        )
    },
    "SerinusWaveStopped": {
        'serinus_wave_since_timestamp_seconds{namespace="shop",name="web",phase="Refused"}': "1x60"
    },
    "SerinusClusterSilent": {'serinus_fleet_cluster_heard{cluster="eu"}': "0x60"},
}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The groups of the chart's PrometheusRule in a file of Prometheus' own form."""
    (rule,) = (o for o in rendered("monitored") if o["kind"] == "PrometheusRule")
    file = tmp_path_factory.mktemp("rules") / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": rule["spec"]["groups"]}))
    return file


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [debian.program("promtool"), *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def test_every_alert_is_made_to_fire_here() -> None:
    assert [one["alert"] for one in alerts()] == [*TROUBLE]


@pytest.mark.parametrize("alert", TROUBLE)
def test_an_alert_fires_in_trouble_and_no_other_does(alert: str, rules: Path) -> None:
    healthy = {} if alert == "SerinusServiceDown" else HEALTHY
    assert fires(alert, rules, {**healthy, **TROUBLE[alert]})


def test_no_alert_fires_while_all_is_well(rules: Path) -> None:
    assert fires("", rules, HEALTHY)


def fires(alert: str, rules: Path, series: dict[str, str]) -> bool:
    """Whether this alert, and none of the others, fires after 20 minutes."""
    tests: list[dict[str, Any]] = []
    for one in alerts():
        mine = one["alert"] == alert
        expression = f'count(ALERTS{{alertname="{one["alert"]}",alertstate="firing"}}) > bool 0'
        samples = [{"labels": "{}", "value": 1}] if mine else []
        tests.append({"expr": expression, "eval_time": "20m", "exp_samples": samples})
    given = [{"series": name, "values": values} for name, values in series.items()]
    case = {"interval": "1m", "input_series": given, "promql_expr_test": tests}
    file = rules.parent / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "tests": [case]}))
    done = promtool("test", "rules", file)
    print(done.stdout, done.stderr)
    return done.returncode == 0


def test_the_bundled_prometheus_would_start(tmp_path: Path) -> None:
    """But for its discovery of pods, which Debian's Prometheus is built without."""
    (config,) = (o for o in rendered("flagger") if "prometheus.yml" in o.get("data", {}))
    file = tmp_path / "prometheus.yml"
    found = re.compile(r"kubernetes_sd_configs: \[{role: \w+}\]")
    text, replaced = found.subn(
        "static_configs: [{targets: [a]}]", config["data"]["prometheus.yml"]
    )
    assert replaced == text.count("job_name") == 3
    file.write_text(text)
    done = promtool("check", "config", "--syntax-only", file)
    assert done.returncode == 0, done.stderr
