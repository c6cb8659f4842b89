"""Which recorded runs are replayed, and why the others of these meshes are not. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.peer.scenario import Scenario, read
from tests.servers.process import ServerError

ROOT = Path(__file__).resolve().parents[2]
MESHES = ("traefik", "gatewayapi:v1", "gatewayapi:v1beta1", "kubernetes")
CANARY = frozenset({"canary", "stepWeight", "stepWeights"})
# Not the strategy that is compared here, although they step: each has its own row of features.
LEFT_OUT = {
    "affinity-gateway": "session affinity",
    "mirror-canary-gateway-stuck": "mirrored traffic",
    "target-service-clusterip": "targets of kind Service",
}
# On provider kubernetes Flagger turns weights into iterations; these show what it makes of them.
COERCED = ("canary-on-kubernetes", "provider-kubernetes-healthy", "provider-kubernetes-rollback")


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


def everything() -> Sequence[Scenario]:
    """All recorded runs, by name."""
    return [read(one.parent) for one in sorted(folder().glob("*/scenario.yaml"))]


def selected() -> Sequence[Scenario]:
    """The runs of the canary strategy on the meshes that there are."""
    return [one for one in everything() if is_selected(one)]


def is_selected(scenario: Scenario) -> bool:
    if scenario.name in LEFT_OUT or scenario.crds is not None:
        return False
    if scenario.name in COERCED:
        return True
    # The one run without a provider of its own takes it from a flag, which is our ring's too.
    on_our_meshes = (scenario.provider or "traefik") in MESHES
    return on_our_meshes and not CANARY.isdisjoint(scenario.features)
