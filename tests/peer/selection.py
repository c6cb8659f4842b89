"""Which recorded runs are replayed, and why the others are not. Pure.

A run is played when the catalogs have rows for its mesh, its target and its autoscaler: a new row
brings its runs along.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from tests.peer.scenario import Scenario, read
from tests.servers.process import ServerError

from serinus.router.meshes.catalog import MESHES
from serinus.router.scalers.catalog import SCALERS
from serinus.router.workloads.catalog import WORKLOADS

ROOT = Path(__file__).resolve().parents[2]


def folder() -> Path:
    """The recorded runs: SERINUS_TRACES, else `shared/traces` beside the repository.

    Raises ServerError when there are none.
    """
    found = Path(os.environ.get("SERINUS_TRACES") or ROOT.parent / "shared" / "traces")
    if not any(found.glob("*/scenario.yaml")):
        raise ServerError(
            f"missing: recorded runs (*/scenario.yaml, */trace.jsonl) in {found}; "
            "set SERINUS_TRACES to their folder (tests/peer/README.md)"
        )
    return found


# Whose CRDs are needed beyond those that every API server of ours gets.
PROJECTS = (
    "apisix",
    "appmesh",
    "contour",
    "gloo",
    "istio",
    "keda",
    "knative",
    "kuma",
    "smi",
)
# What a recorded run calls the CRDs that it had instead of their namesakes: by project, where.
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "": {},
    "appmesh/v1beta1, smi/linkerd-smi variants": {
        "appmesh": "appmesh/v1beta1",
        "smi": "smi/linkerd-smi",
    },
}


def everything() -> Sequence[Scenario]:
    """All recorded runs, by name."""
    return [read(one.parent) for one in sorted(folder().glob("*/scenario.yaml"))]


def selected() -> Sequence[Scenario]:
    """The runs that are played."""
    return [one for one in everything() if not missing(one)]


def missing(scenario: Scenario) -> str:
    """What the catalogs have no row for, or ""."""
    if scenario.crds not in VARIANTS:
        return f"CRDs {scenario.crds}"
    mesh = scenario.provider or "traefik"  # the one run without takes it from a flag
    if mesh not in MESHES:
        return f"mesh {mesh}"
    for canary in scenario.manifests("Canary"):
        target = canary["spec"]["targetRef"]["kind"]
        if target not in WORKLOADS:
            return f"target {target}"
        scaler = canary["spec"].get("autoscalerRef")
        if scaler and scaler["kind"] not in SCALERS:
            return f"autoscaler {scaler['kind']}"
    return ""


def by_crds(chosen: Sequence[Scenario]) -> Sequence[tuple[Sequence[str], Sequence[Scenario]]]:
    """Runs of equal CRDs together, with the folders of those that they need."""
    found = []
    for name, instead in VARIANTS.items():
        if runs := [one for one in chosen if one.crds == name]:
            found.append(([instead.get(project, project) for project in PROJECTS], runs))
    return found


def by_flags(chosen: Sequence[Scenario]) -> Sequence[tuple[Sequence[str], Sequence[Scenario]]]:
    """Runs of equal controller flags together; those without any come first."""
    ordered = sorted(chosen, key=lambda one: one.controller.flags)
    return [(flags, list(row)) for flags, row in groupby(ordered, lambda o: o.controller.flags)]
