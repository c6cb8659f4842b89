"""Which metrics the chart's alerts and dashboards ask for."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from tests.tools.helm import CHART

NAME = re.compile(r"\b(?:flagger|serinus|process)_\w+")
OF_HISTOGRAMS = re.compile(r"_(bucket|count|sum)$")


def alerts() -> list[dict[str, Any]]:
    """The alerts as they are written down."""
    text = (CHART / "files/alerts.yaml").read_text("utf-8")
    found: list[dict[str, Any]] = yaml.safe_load(text)["alerts"]
    return found


def asked_for() -> dict[str, set[str]]:
    """Names of metrics by the alert or dashboard that asks for them."""
    found = {one["alert"]: names(one["expr"]) for one in alerts()}
    for file in sorted((CHART / "files/dashboards").glob("*.json")):
        panels = json.loads(file.read_text("utf-8"))["panels"]
        asked = [names(target["expr"]) for panel in panels for target in panel["targets"]]
        found[file.stem] = set().union(*asked)
    return found


def names(expression: str) -> set[str]:
    return {OF_HISTOGRAMS.sub("", name) for name in NAME.findall(expression)}
