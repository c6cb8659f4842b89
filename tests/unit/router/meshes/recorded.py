"""Recorded route objects, and the exposure and routes that must render them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml
from tests.gen.goldens import asked_for

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj

GOLDEN = Path(__file__).parent / "golden"


class Recorded(msgspec.Struct, frozen=True):
    """One object that Flagger wrote."""

    name: str
    mesh: str
    exposure: Exposure
    routes: Routes
    object: Obj


def recorded(file: str, *meshes: str) -> list[Recorded]:
    """The recorded objects of a golden file, of these providers only if any are named."""
    cases = yaml.safe_load_all((GOLDEN / file).read_text())
    return [_case(case) for case in cases if not meshes or case["mesh"] in meshes]


def _case(case: dict[str, Any]) -> Recorded:
    exposure, routes = asked_for(case["mesh"], case)
    return Recorded(case["case"], case["mesh"], exposure, routes, case["object"])
