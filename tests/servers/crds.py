"""Where the CRDs for tests come from: ours from the chart, the meshes' from their projects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.servers.process import ServerError

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "deploy" / "chart" / "crds"
# One folder of CRDs per mesh that tests use, below SERINUS_MESH_CRDS.
MESHES = ("traefik", "gateway-api")


def files() -> Sequence[Path]:
    """Every CRD file that a test's API server gets. Raises ServerError that names what is missing.

    The meshes' folder is SERINUS_MESH_CRDS, else `shared/crds` beside the repository.
    """
    folder = Path(os.environ.get("SERINUS_MESH_CRDS") or ROOT.parent / "shared" / "crds")
    return [*_ours(folder), *(file for mesh in MESHES for file in _of_mesh(folder, mesh))]


def _ours(folder: Path) -> Sequence[Path]:
    """The chart's CRDs; a checkout that has not generated them yet gets Flagger's own."""
    return sorted(OURS.glob("*.yaml")) or _of_mesh(folder, "flagger")


def _of_mesh(folder: Path, mesh: str) -> Sequence[Path]:
    found = sorted((folder / mesh).glob("*.yaml"))
    if not found:
        raise ServerError(
            f"missing: the CRDs of {mesh} in {folder / mesh}. Set SERINUS_MESH_CRDS to a folder "
            f"that has a folder each for {', '.join(MESHES)} with the project's CRD files "
            "(Traefik: docs/content/reference/dynamic-configuration of its repository; "
            "Gateway API: config/crd/standard)"
        )
    return found
