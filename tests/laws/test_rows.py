"""Every row of the acceptance scenarios and of the list of defects has something that proves it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml
from tests.contract import manifests

ROOT = Path(__file__).resolve().parents[2]
ROWS = yaml.safe_load(Path(__file__).with_name("rows.yaml").read_text())
RUN = "run: "


@pytest.mark.parametrize(("table", "last"), [("scenarios", 37), ("defects", 34)])
def test_no_row_is_left_out(table: str, last: int) -> None:
    assert list(ROWS[table]) == list(range(1, last + 1))
    assert all(ROWS[table].values())


@pytest.mark.parametrize("table", ROWS)
def test_what_is_named_is_a_test(table: str) -> None:
    """One that is renamed takes its row along."""
    named = {one for proofs in ROWS[table].values() for one in proofs if not one.startswith(RUN)}
    assert [one for one in sorted(named) if not _exists(*one.split("::"))] == []


def test_what_is_named_is_a_recorded_run() -> None:
    """As far as they are at hand, as in `tests/contract`."""
    known = {file.parent.name for file in manifests.traces().glob("*/scenario.yaml")}
    named = {one for row in ROWS["scenarios"].values() for one in row if one.startswith(RUN)}

    assert not known or {one.removeprefix(RUN) for one in named} <= known


def _exists(file: str, name: str) -> bool:
    return name in _tests(ROOT / file)


@cache
def _tests(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text())
    functions = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions)
