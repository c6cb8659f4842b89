"""The images on a container engine, with the user, the rights and the settings of compose.yaml."""

from __future__ import annotations

import time
from pathlib import Path

from tests.e2e import images
from tests.e2e.cluster import Cluster
from tests.e2e.engine import Compose, Engine
from tests.e2e.images import SERVICES

OK, UNAVAILABLE = 200, 503


def test_every_service_is_unready_without_nats_and_ready_with_it(
    running_engine: Engine,
    node: Cluster,
    archives: dict[str, Path],
    figures: list[str],
    tmp_path: Path,
) -> None:
    wanted = images.every()
    for name in (*SERVICES, "nats"):
        running_engine.load(archives[name])
    # The services run as a user who may not read the one that tests use.
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(node.kubeconfig.read_text())
    kubeconfig.chmod(0o644)
    with Compose(running_engine, {"KUBECONFIG": str(kubeconfig)}) as compose:
        for name in SERVICES:
            compose.start(name, wanted[name].reference)
        for name in SERVICES:
            assert "nats" in compose.until(name, UNAVAILABLE)
            assert not compose.healthy(name)
        # Its own image runs as root, and so owns the volume.
        compose.start("nats", wanted["nats"].reference, user="0:0", ports={})
        for name in SERVICES:
            compose.until(name, OK)
            assert compose.healthy(name)
        for name in SERVICES:
            assert compose.restart(name) == 0, "it ends when it is asked to, and in peace"
            begun = time.monotonic()
            compose.until(name, OK)
            figures.append(f"{name}: ready {time.monotonic() - begun:.1f} s after its start")
