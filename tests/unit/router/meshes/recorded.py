"""Recorded route objects, and the exposure and routes that must render them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml
from tests.gen.goldens import asked_for

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Live

GOLDEN = Path(__file__).parent / "golden"


class Recorded(msgspec.Struct, frozen=True):
    """One object that Flagger wrote, and the user's that were there before."""

    name: str
    mesh: str
    exposure: Exposure
    routes: Routes
    live: Live
    object: Obj


def recorded(file: str, *meshes: str) -> list[Recorded]:
    """The recorded objects of a golden file, of these providers only if any are named."""
    cases = yaml.safe_load_all((GOLDEN / file).read_text())
    return [_case(case) for case in cases if not meshes or case["mesh"] in meshes]


def _case(case: dict[str, Any]) -> Recorded:
    exposure, routes = asked_for(case["mesh"], case)
    live = Live({ref_of(obj): obj for obj in case.get("given", ())})
    return Recorded(case["case"], case["mesh"], exposure, routes, live, case["object"])
