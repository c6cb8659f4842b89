"""NATS and the five services as one command, in one session: what a benchmark harness starts.

python -m tests.bench.controller --kubeconfig FILE --prom URL [--port N] [--mesh traefik]
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.ring import Ring
from tests.servers.process import free_ports, of_the_environment


def start_nats(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """NATS in this session, so that a harness counts and kills it as a part of the controller.

    A folder that is there already holds the streams of a controller that was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flags = ["-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder / "nats")]
    with (folder / "nats.log").open("ab") as log:
        return subprocess.Popen([of_the_environment("nats-server"), *flags], stdout=log, stderr=log)


async def serve(options: argparse.Namespace) -> None:
    """Runs until SIGTERM."""
    folder = Path(options.workdir or tempfile.mkdtemp(prefix="serinus-bench-"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = free_ports(1)[0]
    nats = start_nats(folder, port)
    settings = {
        "SERINUS_METRICS_SERVER": options.prom,
        "SERINUS_MESH_PROVIDER": options.mesh,
        "SERINUS_LOG_LEVEL": "warning",
    }
    ring = Ring(
        kubeconfig=options.kubeconfig,
        nats=f"nats://127.0.0.1:{port}",
        settings=settings,
        folder=folder / "logs",
    )
    try:
        async with ring:
            await stop.wait()
    finally:
        nats.terminate()
        nats.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--prom", required=True)
    parser.add_argument("--port", type=int, default=0, help="not used: every service has its own")
    parser.add_argument("--mesh", default="traefik")
    parser.add_argument("--workdir", default="")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
