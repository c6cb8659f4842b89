"""The images on a container engine, with the user, the rights and the settings of compose.yaml."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.e2e import images
from tests.e2e.engine import Compose, Engine
from tests.e2e.images import SERVICES

# Nobody listens there: it is the container itself.
NOWHERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:6443"}}],
    "users": [{"name": "none", "user": {"token": "none"}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "current-context": "none",
}
NEEDS_NO_CLUSTER = {"loadtester"}


def lacks_nats(red: set[str]) -> bool:
    return "nats" in red


def lacks_nothing_but_a_cluster(red: set[str]) -> bool:
    return all(name.partition(" ")[0] == "kube" for name in red)


def test_every_service_is_unready_without_nats_and_ready_with_it(
    running_engine: Engine, archives: dict[str, Path], figures: list[str], tmp_path: Path
) -> None:
    wanted = images.every()
    begun = time.monotonic()
    for name in (*SERVICES, "nats"):
        running_engine.load(archives[name])
    figures.append(f"compose: images loaded in {time.monotonic() - begun:.1f} s")
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(NOWHERE))
    kubeconfig.chmod(0o644)  # the services run as a user of their own
    with Compose(running_engine, {"KUBECONFIG": str(kubeconfig)}) as compose:
        for name in SERVICES:
            compose.start(name, wanted[name].reference)
        for name in SERVICES:
            compose.until(name, lacks_nats)
            assert not compose.healthy(name)
        # Its own image runs as root, and so owns the volume.
        compose.start("nats", wanted["nats"].reference, user="0:0", ports={})
        for name in SERVICES:
            compose.until(name, lacks_nothing_but_a_cluster)
            assert compose.healthy(name) or name not in NEEDS_NO_CLUSTER
        for name in SERVICES:
            assert compose.restart(name) == 0, "it ends when it is asked to, and in peace"
            begun = time.monotonic()
            compose.until(name, lacks_nothing_but_a_cluster)
            figures.append(f"{name}: ready {time.monotonic() - begun:.1f} s after its start")
