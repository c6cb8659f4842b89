"""The chart's Grafana dashboards, from a short list of panels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).with_name("dashboards.yaml")
FOLDER = "deploy/chart/files/dashboards"
WIDTH = 24
HEIGHTS = {"stat": 4, "timeseries": 8}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

Row = list[dict[str, Any]]


def files() -> dict[str, str]:
    """One file for each dashboard."""
    listed = yaml.safe_load(SOURCE.read_text("utf-8"))
    return {
        f"{FOLDER}/serinus-{name}.json": json.dumps(_dashboard(name, one), indent=1) + "\n"
        for name, one in listed.items()
    }


def _dashboard(name: str, board: dict[str, Any]) -> dict[str, Any]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    queries = [
        {
            "name": variable,
            "type": "query",
            "query": query,
            "datasource": DATASOURCE,
            "includeAll": True,
            "multi": True,
            "refresh": 2,
        }
        for variable, query in board.get("variables", {}).items()
    ]
    return {
        "uid": f"serinus-{name}",
        "title": board["title"],
        "tags": ["serinus"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source, *queries]},
        "panels": list(_panels(board["rows"])),
    }


def _panels(rows: list[Row]) -> Iterator[dict[str, Any]]:
    number = y = 0
    for row in rows:
        kind = "stat" if row[0].get("stat") else "timeseries"
        width = WIDTH // len(row)
        for place, panel in enumerate(row):
            number += 1
            yield {
                "id": number,
                "type": kind,
                "title": panel["title"],
                "datasource": DATASOURCE,
                "gridPos": {"x": place * width, "y": y, "w": width, "h": HEIGHTS[kind]},
                "fieldConfig": {"defaults": {"unit": panel.get("unit", "short")}},
                "targets": [
                    {
                        "refId": "A",
                        "datasource": DATASOURCE,
                        "expr": panel["expr"],
                        "legendFormat": panel.get("legend", panel["title"]),
                    }
                ],
            }
        y += HEIGHTS[kind]
