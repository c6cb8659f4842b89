"""Helm's commands in the docs are ones that it knows; tests/e2e/test_install.py runs most."""

from __future__ import annotations

import os
import subprocess

from tests.contract import manual
from tests.gen.tree import ROOT
from tests.servers.process import free_ports
from tests.tools import build

# A file of the reader's own.
THEIRS = {"flagger-values.yaml": "tests/chart/values/flagger.yaml"}


def test_helm_knows_every_command() -> None:
    """Whole ones get as far as the API server, which is not there."""
    helm = build.tool("helm")
    server = f"http://127.0.0.1:{free_ports(1)[0]}"
    wrong = []
    asked = manual.typed("helm")
    for words, is_whole in asked:
        more = ["--kube-apiserver", server] if is_whole else ["--help"]
        done = subprocess.run(
            [str(helm), *(THEIRS.get(word, word) for word in words), *more],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        reached = "refused" in done.stderr if is_whole else done.returncode == 0
        wrong += [] if reached else [f"helm {' '.join(words)}: {done.stderr[-300:]}"]
    assert wrong == []
    assert len(asked) > 10
