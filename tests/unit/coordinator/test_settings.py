"""What an operator may set."""

from __future__ import annotations

import pytest

from serinus.coordinator.settings import Settings
from serinus.runtime.settings import SettingsError, load


def test_alone_by_default() -> None:
    settings = load(Settings, {})
    assert ("local", "") == (settings.cluster, settings.fleet_url)


@pytest.mark.parametrize("name", ["us east", "us.east", "-", "*"])
def test_a_cluster_s_name_is_one_word(name: str) -> None:
    """It is a token of subjects."""
    with pytest.raises(SettingsError, match="SERINUS_CLUSTER"):
        load(Settings, {"SERINUS_CLUSTER": name})


def test_the_password_comes_from_a_file_and_is_not_shown(tmp_path: object) -> None:
    path = f"{tmp_path}/password"
    with open(path, "w") as file:
        file.write("hunter2\n")
    settings = load(Settings, {"SERINUS_FLEET_PASSWORD_FILE": path})
    assert "hunter2" == settings.fleet_password.reveal()
    assert "hunter2" not in repr(settings)
