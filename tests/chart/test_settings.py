"""Single values and what becomes of them, where a golden would not say why."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.tools.helm import CHART, helm


def objects(*values: str) -> list[dict[str, Any]]:
    words = [word for value in values for word in ("--set", value)]
    text = helm("template", "serinus", str(CHART), *words)
    return [obj for obj in yaml.safe_load_all(text) if obj]


def variable(name: str, of: str, *values: str) -> Any:
    """What a service's environment says when these values are set."""
    (container,) = (
        obj["spec"]["template"]["spec"]["containers"][0]
        for obj in objects(*values)
        if obj["kind"] == "Deployment" and obj["metadata"]["name"] == f"serinus-{of}"
    )
    return {one["name"]: one.get("value") for one in container["env"]}.get(name)


@pytest.mark.parametrize("word", ["proxy", "proxyUrl"])
def test_either_word_for_the_proxy_of_slack_works(word: str) -> None:
    value = f"slack.{word}=http://proxy:3128"
    assert variable("SERINUS_SLACK_PROXY_URL", "notifier", value) == "http://proxy:3128"


@pytest.mark.parametrize(("replicas", "bound"), [(1, "maxUnavailable"), (2, "minAvailable")])
def test_a_budget_never_keeps_a_node_from_being_drained(replicas: int, bound: str) -> None:
    (budget,) = (
        obj["spec"]
        for obj in objects(f"router.replicas={replicas}")
        if obj["kind"] == "PodDisruptionBudget" and obj["metadata"]["name"] == "serinus-router"
    )
    assert {key: value for key, value in budget.items() if key != "selector"} == {bound: 1}


def test_settings_by_name_go_before_what_the_chart_says() -> None:
    value = "analyzer.settings.SERINUS_MESH_PROVIDER=linkerd"
    assert variable("SERINUS_MESH_PROVIDER", "analyzer", "meshProvider=istio", value) == "linkerd"


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("1h", "3600"), ("1h30m", "5400"), ("90s", "90"), ("2m1s", "121")]
)
def test_the_load_tester_reads_durations_as_go_does(timeout: str, seconds: str) -> None:
    value = f"loadtester.cmd.timeout={timeout}"
    assert variable("SERINUS_TIMEOUT_S", "loadtester", value) == seconds


def test_the_analyzer_knows_the_load_tester_by_every_name() -> None:
    urls = variable("SERINUS_LOADTESTER_URLS", "analyzer").split(",")
    assert "http://serinus-loadtester.default:80" in urls
    assert "http://serinus-loadtester.default.svc.cluster.local:80" in urls
    assert variable("SERINUS_LOADTESTER_URLS", "analyzer", "loadtester.open=true") is None


def test_a_bundled_prometheus_is_the_one_that_is_asked() -> None:
    found = variable("SERINUS_METRICS_SERVER", "analyzer", "prometheus.install=true")
    assert found == "http://serinus-prometheus:9090"
