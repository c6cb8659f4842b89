"""Alerts and dashboards speak of what is there: metrics of ours, pages of ours."""

from __future__ import annotations

import ast
import re

from tests.chart.metrics import alerts, asked_for
from tests.gen.tree import ROOT

RUNBOOKS = ROOT / "docs/runbooks"
PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
}


def registered() -> set[str]:
    """Names that the sources register as metrics."""
    found = set()
    for file in ROOT.glob("*/*/src/serinus/**/*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("counter", "gauge", "histogram")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(str(node.args[0].value))
    return found | PROCESS


def test_every_metric_that_is_asked_for_is_exported() -> None:
    exported = registered()
    missing = {where: names - exported for where, names in asked_for().items() if names - exported}
    assert missing == {}
    assert len(exported) > 20


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    pages = {file.stem for file in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {one["alert"] for one in alerts()}


def test_a_runbook_says_what_it_means_how_to_look_and_what_to_do() -> None:
    for page in RUNBOOKS.glob("Serinus*.md"):
        found = re.findall(r"^## (.*)$", page.read_text("utf-8"), re.MULTILINE)
        assert found == ["Meaning", "Look", "Do"], page.name
