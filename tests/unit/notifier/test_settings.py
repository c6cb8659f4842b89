"""The global channel from the environment."""

from __future__ import annotations

import pytest

from serinus.notifier.core.audience import Target
from serinus.notifier.settings import Settings, global_target
from serinus.runtime.settings import SettingsError, load, show

SLACK = {"SERINUS_SLACK_URL": "https://hooks.test/T0", "SERINUS_SLACK_CHANNEL": "deploys"}


def from_env(**environ: str) -> Settings:
    return load(Settings, environ)


def test_nothing_set_is_no_global_channel() -> None:
    assert global_target(from_env()) is None


def test_slack_speaks_as_flagger_unless_told_otherwise() -> None:
    target = global_target(from_env(**SLACK, SERINUS_SLACK_TOKEN="xoxb-1"))

    assert target == Target(
        type="slack",
        address="https://hooks.test/T0",
        channel="deploys",
        username="flagger",
        token="xoxb-1",
    )


def test_teams_goes_before_slack() -> None:
    target = global_target(
        from_env(**SLACK, SERINUS_MSTEAMS_URL="https://teams.test/x", SERINUS_MSTEAMS_PROXY_URL="p")
    )

    assert target == Target(type="msteams", address="https://teams.test/x", proxy="p")


@pytest.mark.parametrize(
    "environ",
    [
        {"SERINUS_SLACK_URL": "https://hooks.test/T0"},
        {**SLACK, "SERINUS_SLACK_URL": "hooks.test"},
        {"SERINUS_MSTEAMS_URL": "teams.test"},
        {"SERINUS_EVENT_WEBHOOK": "events"},
    ],
)
def test_settings_that_cannot_work_stop_the_start_and_name_the_variable(
    environ: dict[str, str],
) -> None:
    with pytest.raises(SettingsError, match=r"^SERINUS_(SLACK|MSTEAMS|EVENT)_"):
        global_target(from_env(**environ))


def test_addresses_are_not_shown() -> None:
    shown = show(from_env(**SLACK, SERINUS_EVENT_WEBHOOK="http://u:pw@events.test/"))

    assert "hooks.test" not in shown
    assert "pw@" not in shown
