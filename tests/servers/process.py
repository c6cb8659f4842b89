"""Child processes that cannot outlive the tests.

Here: starting, stopping, waiting for readiness, free ports. Not here: what is started.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

# Below what a kernel takes for connections (net.ipv4.ip_local_port_range) and for NodePorts.
FIRST_PORT, LAST_PORT = 16000, 30000
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ServerError(Exception):
    """A server that tests need is missing or did not come up; the text says which and why."""


def _die_with_parent() -> None:
    """Runs in the child before exec: a killed test run must not leave servers behind."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One running program, with its output in a file.

    Start it from the main thread: Linux sends the death signal when the *thread* that forked ends.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = [str(word) for word in argv]
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = self._spawn(output, env, cwd)

    def _spawn(
        self, output: BinaryIO, env: Mapping[str, str] | None, cwd: Path | None
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,  # Ctrl-C is for pytest; the fixtures end the servers
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            raise ServerError(f"{self.name}: cannot start {self.argv[0]}: {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit status; negative for a signal; None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Sends a signal to this process only; nothing happens when it is gone."""
        if self.running:
            self._process.send_signal(number)

    def pause(self) -> None:
        """The process stands still: connections stay open and nothing answers."""
        self.signal(signal.SIGSTOP)
        # It has answered its last question only once the kernel has stopped every thread of it.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it at once, with no chance to tidy up."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def stop(self, grace_s: float = 5.0) -> None:
        """Asks it to end, and ends it after `grace_s` seconds."""
        self.resume()
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self, lines: int = 25) -> str:
        """The end of its output, for error messages."""
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join(text[-lines:])

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
        """Returns when `condition` holds.

        Raises ServerError with the end of the log when the program ends first or time runs out.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            if not self.running:
                code = self._process.returncode
                raise ServerError(f"{self.name} ended with {code}\n{self.tail()}\nlog: {self.log}")
            if time.monotonic() > deadline:
                late = f"{self.name}: {what} not within {timeout_s:g} s"
                raise ServerError(f"{late}\n{self.tail()}\nlog: {self.log}")
            time.sleep(0.05)


def answers(url: str, status: int = 200) -> Callable[[], bool]:
    """A condition: a GET of `url` (plain HTTP) is answered with `status`."""

    def check() -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(url, timeout=2) as response,
        ):
            return bool(response.status == status)
        return False

    return check


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on at the moment, all different.

    A server takes its port a while later. So none is handed out twice, each of pytest's workers has
    its own, and the kernel gives none of them to a connection.
    """
    found: list[int] = []
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


def _own_ports() -> Iterator[int]:
    """Those of this worker, for ever, from somewhere: other runs begin somewhere else."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ours = range(FIRST_PORT + worker, LAST_PORT, workers)
    start = random.randrange(len(ours))
    return itertools.cycle([*ours[start:], *ours[:start]])


_PORTS = _own_ports()


def of_the_environment(name: str) -> str:
    """The path of a program that `make setup` installs: beside this Python, else on PATH.

    Raises ServerError when it is missing.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join((beside, os.environ.get("PATH", ""))))
    if found is None:
        raise ServerError(f"missing: {name} (make setup installs it into .venv/bin)")
    return found


def inherited(**changes: str) -> dict[str, str]:
    """This process's environment with changes."""
    return os.environ | changes
