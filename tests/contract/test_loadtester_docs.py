"""docs/loadtester.md and its example: settings that exist, an image that stays unprivileged."""

from __future__ import annotations

import re

from tests.gen.tree import ROOT

from serinus.analyzer.settings import Settings as Analyzer
from serinus.cli import gates
from serinus.loadtester.core.tasks import TASKS
from serinus.loadtester.settings import Settings

TEXT = (ROOT / "docs/loadtester.md").read_text("utf-8")
DOCKERFILE = (ROOT / "docs/examples/loadtester-tools/Dockerfile").read_text("utf-8")
INSTRUCTIONS = {"ARG", "FROM", "USER", "RUN", "ENV", "COPY"}


def instructions() -> list[tuple[str, str]]:
    """Instruction and words, one per line of the file after continued lines are joined."""
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    parts = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return [(word, rest.strip()) for word, _, rest in parts]


def test_every_setting_that_is_named_exists() -> None:
    fields = (*Settings.__struct_fields__, *Analyzer.__struct_fields__)
    known = {f"SERINUS_{field.upper()}" for field in fields} | {gates.URL, gates.TOKEN}
    named = set(re.findall(r"SERINUS_[A-Z_]+[A-Z]", TEXT))
    assert {name for name in named if name.removesuffix("_FILE") not in known} == set()


def test_every_type_of_task_is_there() -> None:
    table = TEXT.split("## Types of tasks")[1].split("## Routes")[0]
    assert set(TASKS) <= set(re.findall(r"`(\w+)`", table))


def test_every_route_is_there() -> None:
    source = (ROOT / "services/loadtester/src/serinus/loadtester/web.py").read_text("utf-8")
    routes = set(re.findall(r'\("(/[a-z/]*)"', source)) - {"/"}
    assert len(routes) >= 12
    assert {route for route in routes if f"`{route}" not in TEXT} == set()


def test_the_example_is_a_dockerfile_on_top_of_our_image() -> None:
    found = instructions()
    assert {word for word, _ in found} <= INSTRUCTIONS
    assert ("FROM", "${LOADTESTER} AS tools") in found


def test_the_example_ends_without_rights_and_pins_what_it_installs() -> None:
    users = [rest for word, rest in instructions() if word == "USER"]
    assert users[-1] == "65532:65532"
    runs = [rest for word, rest in instructions() if word == "RUN" and "apt-get" not in rest]
    packages = re.findall(
        r"(?:newman|artillery|pytest|requests)(@|==)(\d+\.\d+\.\d+)", " ".join(runs)
    )
    assert len(packages) == 4
