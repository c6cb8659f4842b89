"""Who comes in and what may run, by the settings alone."""

from __future__ import annotations

import pytest

from serinus.loadtester.access import callers, rules, tls
from serinus.loadtester.core.callers import Rule
from serinus.loadtester.settings import Settings
from serinus.runtime import SettingsError, load


def settings(**more: str) -> Settings:
    return load(Settings, {f"SERINUS_{name.upper()}": value for name, value in more.items()})


def test_by_default_nobody_may_call_and_nothing_gets_a_shell(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = callers(settings())

    assert found.of("") is None
    assert found.of("Bearer ") is None
    assert "nobody may call: set SERINUS_TOKEN" in caplog.text
    assert rules(settings()) == (Rule(shell=False),)


def test_open_is_said_aloud_and_is_as_the_reference(caplog: pytest.LogCaptureFixture) -> None:
    found = callers(settings(open="true"))

    assert found.of("") is not None
    assert "open: whoever reaches this port may run commands and open gates" in caplog.text
    assert rules(settings(open="true")) == (Rule(shell=True),)


def test_one_token_is_a_caller_for_all_namespaces(caplog: pytest.LogCaptureFixture) -> None:
    found = callers(settings(token="t")).of("Bearer t")

    assert found is not None
    assert (found.name, found.namespaces) == ("token", "")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"open": "true", "token": "t"}, "SERINUS_OPEN=true lets everybody in"),
        ({"callers": '[{"certificate": "a"}]'}, "set SERINUS_TLS_CLIENT_CA"),
        ({"callers": '[{"token": ""}]'}, "SERINUS_CALLERS: "),
    ],
)
def test_callers_that_contradict_each_other_stop_the_start(more: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        callers(settings(**more))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"tls_client_ca": "ca.pem"}, "SERINUS_TLS_CLIENT_CA needs"),
        ({"tls_cert": "nowhere.pem"}, "No such file"),
    ],
)
def test_certificates_that_cannot_work_stop_the_start(more: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        tls(settings(**more))
