"""The analyzer's settings."""

import pytest

from serinus.analyzer.core.rollout import Policy
from serinus.analyzer.settings import Settings, policy_of
from serinus.runtime.settings import SettingsError, load


def test_the_defaults_are_flaggers() -> None:
    assert policy_of(load(Settings, {})) == Policy(
        mesh="istio",
        metrics_server="http://prometheus:9090",
        min_interval_s=10.0,
        no_cross_namespace=False,
        labelled_secrets_only=False,
    )


def test_what_decisions_depend_on_comes_from_the_environment() -> None:
    environ = {
        "SERINUS_MESH_PROVIDER": "traefik",
        "SERINUS_METRICS_SERVER": "scrape:http://127.0.0.1:9100/metrics",
        "SERINUS_MIN_INTERVAL_S": "1",
        "SERINUS_NO_CROSS_NAMESPACE_REFS": "true",
        "SERINUS_LABELLED_SECRETS_ONLY": "true",
    }

    assert policy_of(load(Settings, environ)) == Policy(
        mesh="traefik",
        metrics_server="scrape:http://127.0.0.1:9100/metrics",
        min_interval_s=1.0,
        no_cross_namespace=True,
        labelled_secrets_only=True,
    )


@pytest.mark.parametrize(("name", "text"), [("MIN_INTERVAL_S", "0"), ("MAX_CONCURRENT_ASKS", "0")])
def test_numbers_that_cannot_work_stop_the_start(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"SERINUS_{name}"):
        load(Settings, {f"SERINUS_{name}": text})
