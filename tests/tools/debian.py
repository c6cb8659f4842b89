"""Debian packages that tests use: installed when this is root, else an error with the command.

`python -m tests.tools.debian` installs all of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.servers.process import ServerError

# program -> the package that has it
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "influxd": "influxdb",
    "carbon-cache": "graphite-carbon",
    "graphite-manage": "graphite-web",
    "hey": "hey",
    "wrk": "wrk",
    "curl": "curl",
    "jq": "jq",
    "openssl": "openssl",
    "ip": "iproute2",
    "faketime": "faketime",
}
# Packages that would leave a daemon of their own running, where there is a service manager.
DAEMONS = ("prometheus", "prometheus-node-exporter", "influxdb", "carbon-cache", "nginx")


def program(name: str) -> str:
    """The path of a program of PACKAGES, installed first when it is missing and this is root.

    Raises ServerError with the command that an administrator has to run.
    """
    if shutil.which(name) is None:
        install([PACKAGES[name]])
    found = shutil.which(name)
    if found is None:
        raise ServerError(f"missing: {name}, although its package {PACKAGES[name]} is installed")
    return found


def install(packages: Iterable[str]) -> None:
    """Installs packages with apt-get, after whoever does so now; their services do not run."""
    argv = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ServerError(f"missing: {', '.join(packages)}. Install it: sudo {' '.join(argv)}")
    print(f"installing Debian packages: {' '.join(packages)}", file=sys.stderr, flush=True)
    patient = [*argv, "-o", "DPkg::Lock::Timeout=300"]
    if _quiet(patient).returncode:
        _quiet(["apt-get", "update", "-qq"])
        done = _quiet(patient)
        if done.returncode:
            raise ServerError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout[-2000:]}")
    if Path("/run/systemd/system").exists():
        _quiet(["systemctl", "disable", "--now", *DAEMONS])


def _quiet(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def main() -> None:
    try:
        missing = [package for name, package in PACKAGES.items() if shutil.which(name) is None]
        if missing:
            install(missing)
    except ServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
