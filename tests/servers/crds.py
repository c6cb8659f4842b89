"""Where the CRDs for tests come from: ours from the chart, the meshes' from their projects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.servers.process import ServerError
from tests.tools import crds as modules

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "deploy" / "chart" / "files" / "crds"
FOLDER = "SERINUS_MESH_CRDS"
BESIDE = ROOT.parent / "shared" / "crds"
# Whose CRDs every API server gets. Others are installed by the tests that need them.
MESHES = ("traefik", "gateway-api")


def files() -> Sequence[Path]:
    """Every CRD file that a test's API server gets. Raises ServerError that names what is missing.

    The meshes' are those in SERINUS_MESH_CRDS (a folder for each mesh), else in `shared/crds`
    beside the repository, else those of the projects' Go modules.
    """
    ours = sorted(OURS.glob("*.yaml"))
    if not ours:
        raise ServerError(f"missing: our own CRDs in {OURS} (make gen writes them)")
    return [*ours, *(file for mesh in MESHES for file in of_mesh(mesh))]


def of_mesh(mesh: str) -> Sequence[Path]:
    """The CRD files of one mesh; a named folder is taken at its word. Raises ServerError."""
    named = os.environ.get(FOLDER)
    folder = Path(named) if named else BESIDE
    if found := sorted((folder / mesh).glob("*.yaml")):
        return found
    if not named and mesh in modules.SOURCES:
        return modules.files(mesh)
    raise ServerError(
        f"missing: the CRDs of {mesh} in {folder / mesh}. {FOLDER} is to hold a folder for each "
        f"mesh; without it those of {', '.join(modules.SOURCES)} come from the projects' Go modules"
    )
