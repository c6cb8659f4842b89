"""kubernetes-asyncio is loaded in part, and nobody else notices."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import serinus.kube.client
loaded = [m for m in sys.modules if m.startswith("kubernetes_asyncio")]
assert not loaded, loaded
models = [m for m in sys.modules if ".client.models" in m]
assert not models, models
import kubernetes_asyncio.client
assert kubernetes_asyncio.client.V1Pod.__name__ == "V1Pod"
configuration = serinus.kube.connection.Configuration()
configuration.host = "http://there"
assert configuration.host == "http://there"
"""


def test_the_generated_models_are_not_loaded_and_can_still_be() -> None:
    """In a process of its own: what else this one has imported does not count."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
