"""Settings come from the environment, complete or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, field

from serinus.runtime.settings import (
    RuntimeSettings,
    Secret,
    SettingsError,
    describe,
    load,
    show,
    variable,
)


class Settings(RuntimeSettings, frozen=True, kw_only=True):
    labels: Annotated[tuple[str, ...], Meta(description="labels to look at")] = ("app", "name")
    addresses: dict[str, str] = field(default_factory=dict)
    checks: Annotated[int, Meta(ge=1)] = 3
    loud: bool = False


class Needy(RuntimeSettings, frozen=True, kw_only=True):
    address: str


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load(Settings, {}) == Settings()


def test_texts_become_what_the_fields_are() -> None:
    settings = load(
        Settings,
        {
            "SERINUS_LABELS": "app, k8s-app,",
            "SERINUS_ADDRESSES": "a=http://x,b=http://y",
            "SERINUS_CHECKS": "5",
            "SERINUS_LOUD": "true",
            "SERINUS_DRAIN_S": "2.5",
            "PATH": "/bin",
        },
    )
    assert settings == Settings(
        labels=("app", "k8s-app"),
        addresses={"a": "http://x", "b": "http://y"},
        checks=5,
        loud=True,
        drain_s=2.5,
    )


def test_an_empty_number_or_switch_means_its_default() -> None:
    assert load(Settings, {"SERINUS_CHECKS": "", "SERINUS_LOUD": ""}) == Settings()


def test_an_empty_list_is_an_empty_list() -> None:
    assert load(Settings, {"SERINUS_LABELS": ""}).labels == ()


def test_a_typo_stops_the_start_and_names_the_nearest_setting() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, {"SERINUS_LABLES": "app", "SERINUS_NATSURL": "nats://x"})
    assert str(caught.value).splitlines() == [
        "SERINUS_LABLES: no such setting; did you mean SERINUS_LABELS?",
        "SERINUS_NATSURL: no such setting; did you mean SERINUS_NATS_URL?",
    ]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("SERINUS_CHECKS", "many", "SERINUS_CHECKS: expected `int`, got `str`"),
        ("SERINUS_CHECKS", "0", "SERINUS_CHECKS: expected `int` >= 1"),
        ("SERINUS_LOUD", "yes please", "SERINUS_LOUD: expected `bool`, got `str`"),
    ],
)
def test_a_wrong_value_is_an_error_with_the_variables_name(
    name: str, text: str, complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load(Settings, {name: text})


def test_an_address_to_listen_at_needs_a_port() -> None:
    with pytest.raises(SettingsError, match="SERINUS_LISTEN"):
        load(Settings, {"SERINUS_LISTEN": "localhost"})


def test_what_has_no_default_is_required() -> None:
    with pytest.raises(SettingsError, match=r"^SERINUS_ADDRESS: required$"):
        load(Needy, {})


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    settings = load(Settings, {"SERINUS_NATS_PASSWORD_FILE": str(file)})
    assert settings.nats_password.reveal() == "hunter2"


def test_a_secret_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SettingsError, match="SERINUS_NATS_PASSWORD_FILE: cannot read /nowhere/x"):
        load(Settings, {"SERINUS_NATS_PASSWORD_FILE": "/nowhere/x"})


def test_only_secrets_are_read_from_files() -> None:
    with pytest.raises(SettingsError, match="SERINUS_NATS_URL_FILE: no such setting"):
        load(Settings, {"SERINUS_NATS_URL_FILE": "/nowhere/x"})


def test_the_variables_that_kubernetes_adds_for_services_are_not_typos() -> None:
    links = {
        "SERINUS_LOADTESTER_SERVICE_HOST": "10.0.0.1",
        "SERINUS_LOADTESTER_SERVICE_PORT": "80",
        "SERINUS_LOADTESTER_SERVICE_PORT_HTTP": "80",
        "SERINUS_LOADTESTER_PORT": "tcp://10.0.0.1:80",
        "SERINUS_LOADTESTER_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert load(Settings, links) == Settings()
    with pytest.raises(SettingsError, match="SERINUS_LOADTESTER_PORT"):
        load(Settings, {"SERINUS_LOADTESTER_PORT": "80"})


def test_variables_of_the_test_tools_are_not_typos() -> None:
    assert load(Settings, {"SERINUS_TEST_ENGINE": "podman"}) == Settings()


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    assert secret.reveal() == "hunter2"
    assert "hunter2" not in repr(Settings(nats_password=secret))


def test_secrets_compare_by_content_and_are_true_when_there_is_one() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert (bool(Secret("a")), bool(Secret())) == (True, False)


def test_printed_settings_hold_no_secret() -> None:
    shown = show(
        load(
            Settings,
            {
                "SERINUS_NATS_PASSWORD": "hunter2",
                "SERINUS_NATS_URL": "nats://me:hunter3@host:4222",
                "SERINUS_LABELS": "a,b",
            },
        )
    ).splitlines()
    assert "SERINUS_NATS_PASSWORD=***" in shown
    assert "SERINUS_NATS_URL=nats://***@host:4222" in shown
    assert "SERINUS_LABELS=a,b" in shown


def test_printed_settings_can_be_loaded_again() -> None:
    settings = Settings(labels=("x", "y"), checks=7, loud=True, addresses={"a": "b"})
    environ = dict(line.split("=", 1) for line in show(settings).splitlines())
    assert load(Settings, environ) == settings


def test_the_help_names_every_variable_with_default_and_meaning() -> None:
    text = describe(Settings)
    for name in Settings.__struct_fields__:
        assert variable(name) in text
    assert "SERINUS_LABELS  labels to look at (default app,name)" in text
    assert "SERINUS_NATS_PASSWORD[_FILE]" in text
    assert "SERINUS_ADDRESS   (required)" in describe(Needy)
