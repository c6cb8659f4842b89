"""Benchmarks: counts and ratios first, times as they were.

    python -m tests.bench              the core, and the cluster suites where the harness is there
    python -m tests.bench core         decisions per second
    python -m tests.bench cluster ...  a controller-agnostic harness against a real control plane;
                                       further arguments go to it (--suites rollout --rollouts 50)

The harness is found by SERINUS_BENCH (a folder with bench.py), else in ../shared/bench.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench import core
from tests.servers import crds
from tests.tools.build import programs

ROOT = Path(__file__).resolve().parents[2]


def print_core() -> None:
    for name, rate in core.rows():
        print(f"{name:<28} {rate:>12,.0f} /s")


def harness() -> Path | None:
    named = os.environ.get("SERINUS_BENCH")
    folder = Path(named) if named else ROOT.parent / "shared" / "bench"
    return folder if (folder / "bench.py").exists() else None


def cluster(arguments: list[str]) -> int:
    """Runs the harness with our ring as the controller."""
    folder = harness()
    if folder is None:
        print("no harness: set SERINUS_BENCH to a folder with bench.py", file=sys.stderr)
        return 2
    found = programs()
    work = Path(os.environ.get("BENCH_WORKDIR") or tempfile.mkdtemp(prefix="serinus-bench-"))
    out = Path(os.environ.get("SERINUS_BENCH_OUT") or ROOT / "build" / "bench")
    out.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "BENCH_ETCD": str(found["etcd"]),
        "BENCH_APISERVER": str(found["kube-apiserver"]),
        "BENCH_KCM": str(found["kube-controller-manager"]),
        "BENCH_CRDS": " ".join(str(path) for path in crds.files()),
        "BENCH_WORKDIR": str(work),
        "PYTHONPATH": str(ROOT),
    }
    controller = (
        f"exec {sys.executable} -m tests.bench.controller "
        "--kubeconfig={kubeconfig} --prom={prom} --port={port} --workdir={workdir}/serinus"
    )
    command = [
        *(sys.executable, str(folder / "bench.py"), "run", "--out", str(out)),
        *("--label", "serinus", "--controller-cmd", controller, *arguments),
    ]
    status = subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
    report = [sys.executable, str(folder / "bench.py"), "report", "--out", str(out)]
    subprocess.run(report, env=environment, cwd=ROOT, check=False)
    return status


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] == "core":
        print_core()
        if arguments or harness() is None:
            return 0
        return cluster(["--suites", "rollout"])
    if arguments[0] == "cluster":
        return cluster(arguments[1:])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
