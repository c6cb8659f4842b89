"""compose.yaml and the images: five services that would start, each as its own user."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from tests.gen import images
from tests.gen.subjects import CONFIG, password_variable
from tests.gen.tree import ROOT

from serinus.events.subjects import SERVICES
from serinus.runtime.settings import load

TEXT = (ROOT / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / "deploy/docker/example.env").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
VARIABLE = re.compile(r"\$\{(\w+)(?::[-?][^}]*)?\}")


def test_the_example_sets_every_variable_and_nothing_else() -> None:
    assert set(VARIABLE.findall(TEXT)) == set(EXAMPLE)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_would_start_with_its_environment(service: str) -> None:
    settings = importlib.import_module(f"serinus.{service}.settings").Settings
    environment = {
        name: VARIABLE.sub(lambda found: EXAMPLE[found[1]], str(value))
        for name, value in COMPOSE["services"][service]["environment"].items()
    }
    loaded = load(settings, environment)
    assert loaded.nats_user == service
    assert loaded.nats_password.reveal() == EXAMPLE[password_variable(service)]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_an_image_of_its_own_and_no_rights_in_it(service: str) -> None:
    declared = COMPOSE["services"][service]
    assert declared["build"]["args"]["SERVICE"] == service
    assert declared["build"]["dockerfile"] == "deploy/docker/Dockerfile"
    assert declared["read_only"] is True
    assert declared["cap_drop"] == ["ALL"]


def test_the_load_tester_gets_no_kubeconfig() -> None:
    assert COMPOSE["services"]["loadtester"]["volumes"] == []


def test_nats_knows_the_password_of_every_user() -> None:
    config = (ROOT / CONFIG).read_text("utf-8")
    assert set(re.findall(r"password: \$(\w+)", config)) == set(
        COMPOSE["services"]["nats"]["environment"]
    )


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_installs_only_pinned_packages_with_hashes(service: str) -> None:
    pick = [sys.executable, str(ROOT / "deploy/docker/pick.py")]
    argv = [*pick, f"{ROOT}/{images.FOLDER}/{service}.txt", f"{ROOT}/requirements.lock"]
    picked = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    entries = re.split(r"\n(?=\S)", picked.strip())
    assert all(re.match(r"[\w.-]+==\S+.*--hash=sha256:", e, re.DOTALL) for e in entries)
    assert {"msgspec", "nats-py"} <= {entry.split("==")[0] for entry in entries}
    assert not {"pytest", "ruff", "uv"} & {entry.split("==")[0] for entry in entries}


def test_a_need_that_is_not_locked_stops_the_build() -> None:
    script = str(ROOT / "deploy/docker/pick.py")
    argv = [sys.executable, script, "/dev/stdin", f"{ROOT}/requirements.lock"]
    done = subprocess.run(argv, input="left-pad\n", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "left-pad" in done.stderr


def test_every_service_can_be_run_as_a_module() -> None:
    missing = [s for s in SERVICES if not importlib.util.find_spec(f"serinus.{s}.__main__")]
    assert missing == []
