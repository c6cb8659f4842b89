"""docs/adding-a-mesh.md, followed to the letter: its blocks are the files that it tells of."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.gen import goldens
from tests.laws import test_mesh_laws as laws

from serinus.analyzer.core import observers
from serinus.analyzer.core.queries import DURATION, SUCCESS_RATE, builtin_query, names_of
from serinus.events import CanarySpec, ObjectRef, ServiceSpec
from serinus.router import meshes
from serinus.router.meshes import catalog

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding-a-mesh.md").read_text()
# Files that a newcomer makes: they are not there, and must not be.
MADE = re.compile(r"breeze")


def block(section: int) -> str:
    """The code of a numbered section."""
    text = PAGE.split(f"\n## {section}. ")[1].split("\n## ")[0]
    found = re.search(r"^```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, section
    return found[1]


@pytest.fixture
def breeze(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The mesh of the page with its row in the catalog."""
    name = "serinus.router.meshes.breeze"
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(meshes, "breeze", module, raising=False)
    exec(compile(block(2), "breeze.py", "exec"), module.__dict__)
    row = eval(block(3), {**vars(catalog), "breeze": module})
    monkeypatch.setitem(catalog.MESHES, row.name, row)
    monkeypatch.setitem(laws.STARTS, row.name, row)
    return module


def those_of(module: types.ModuleType | dict[str, Any]) -> list[Any]:
    names = vars(module) if isinstance(module, types.ModuleType) else module
    return [value for name, value in names.items() if name.startswith("test_")]


@pytest.mark.usefixtures("breeze")
def test_the_mesh_obeys_every_law() -> None:
    row = catalog.MESHES["breeze"]
    obeyed = 0
    for law in those_of(laws):
        marks = {mark.args[0]: mark.args[1] for mark in law.pytestmark}
        start = {"start": row.name} if "start" in marks else {"row": row}
        asked = [{**start, "ability": one} for one in marks.get("ability", ())]
        for arguments in asked or [start]:
            law(**arguments)
            obeyed += 1

    assert obeyed >= 10


@pytest.mark.usefixtures("breeze")
def test_its_own_tests_pass() -> None:
    names: dict[str, Any] = {}
    exec(compile(block(6), "test_breeze.py", "exec"), names)

    tests = those_of(names)
    for test in tests:
        test()
    assert len(tests) == 2


@pytest.mark.usefixtures("breeze")
def test_its_features_become_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "breeze.yaml").write_text(block(5))
    monkeypatch.setattr(goldens, "FEATURES", tmp_path)

    made = goldens.files()

    assert [f"{goldens.FOLDER}/breeze/{f}.yaml" for f in ("initialised", "weights")] == list(made)
    shown = yaml.safe_load(block(1))
    assert shown["spec"] == yaml.safe_load(list(made.values())[1])["spec"]


def test_its_metrics_become_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(observers.OBSERVERS, "breeze", eval(block(4), vars(observers)))
    target = ObjectRef(api_version="apps/v1", kind="Deployment", name="web")
    names = names_of("shop", "web", CanarySpec(target_ref=target, service=ServiceSpec(port=80)))

    rate = builtin_query("breeze", SUCCESS_RATE, names)
    duration = builtin_query("breeze", DURATION, names)

    assert 'breeze_requests_total{ namespace="shop", service="web-canary", code!~"5.." }' in rate
    assert "breeze_request_duration_milliseconds_bucket{" in duration


def test_every_file_that_the_page_names_is_there() -> None:
    """But those that the newcomer makes."""
    paths = set(re.findall(r"`((?:services|libs|tests|docs|core)/[\w./-]+)`", PAGE))
    folders = {"core": "services/router/src/serinus/router/core"}
    wrong = []
    for path in paths:
        first, _, rest = path.partition("/")
        is_there = (ROOT / folders.get(first, first) / rest).exists()
        if is_there == bool(MADE.search(path)):
            wrong.append(path)

    assert len(paths) > 12
    assert wrong == []
