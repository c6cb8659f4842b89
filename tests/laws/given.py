"""What a mesh finds when it is first asked: the references it needs and the objects behind them.

Most need nothing. One that copies or changes an object of the user's gets a row here: the fields of
the Exposure that name it, and the object itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.builders import APP, an_exposure

from serinus.events import Exposure
from serinus.events.canary import ServiceSpec
from serinus.kube.refs import Obj

# Mesh -> (fields of the Exposure, objects of the user's that are there before us).
Given = Callable[[ServiceSpec], tuple[Mapping[str, Any], list[Obj]]]
GIVEN: dict[str, Given] = {}


def beginning(mesh: str, service: ServiceSpec) -> tuple[Exposure, list[Obj]]:
    """An exposure on this mesh and the user's objects that it refers to."""
    fields, sources = GIVEN[mesh](service) if mesh in GIVEN else ({}, [])
    return an_exposure(mesh, service=service, selector=APP, **fields), sources
