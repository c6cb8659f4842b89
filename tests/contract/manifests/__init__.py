"""Manifests that must be accepted, and where recorded ones are found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KINDS = ("Canary", "MetricTemplate", "AlertProvider")
_HERE = Path(__file__).parent
_BESIDE = Path(__file__).resolve().parents[4] / "shared" / "traces"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def of_flagger() -> list[dict[str, Any]]:
    """Forms that Flagger accepts."""
    return _documents(_HERE / "flagger.yaml")


def of_the_guide() -> list[dict[str, Any]]:
    """Forms that the guide shows and Flagger refuses or prunes."""
    return _documents(_HERE / "guide.yaml")


def of_the_examples() -> list[dict[str, Any]]:
    """The guide's worked examples."""
    return _documents(_HERE / "examples.yaml")


def recorded() -> Iterator[dict[str, Any]]:
    """The custom resources of the recorded runs, where they are at hand."""
    for file in sorted(traces().glob("*/scenario.yaml")):
        for scenario in _documents(file):
            for step in scenario["steps"]:
                yield from (m for m in step.get("apply", ()) if m["kind"] in KINDS)


def traces() -> Path:
    """Where the recorded runs (SERINUS_TRACES) are, if they are at hand."""
    return Path(os.environ.get("SERINUS_TRACES") or _BESIDE)


def _documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.load_all(file.read_text("utf-8"), Loader=_Loader))
