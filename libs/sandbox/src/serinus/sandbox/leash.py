"""Child processes that never outlive this one, not even after kill -9.

A small watchdog process holds the other end of a pipe and a list of process groups. When the pipe
closes, because its writer ended in whatever way, it ends the groups that are still on the list
(see `watchdog`). That works wherever POSIX does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class Leash:
    """The watchdog and the children it knows. Use as a context manager."""

    def __init__(self) -> None:
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Leash:
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("watchdog.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # A terminal's Ctrl-C goes to the whole foreground group; the watchdog must outlive it.
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._watchdog and self._watchdog.stdin:
            self._watchdog.stdin.close()
            self._watchdog.wait()

    def _say(self, line: str) -> None:
        if self._watchdog is None or self._watchdog.stdin is None:
            raise RuntimeError("the leash is not held")
        # A watchdog that somebody killed cannot guard, but must not stop the work either.
        with contextlib.suppress(BrokenPipeError):
            self._watchdog.stdin.write(line.encode())
            self._watchdog.stdin.flush()

    async def spawn(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Child:
        """Starts a program in a process group of its own; its output is appended to `log`.

        `env` is its whole environment. Raises OSError when it cannot be started.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                process_group=0,
            )
        self._say(f"+{process.pid}\n")
        return Child(name, process, log, self)

    def release(self, pid: int) -> None:
        """Forgets a child that has ended: its number may be another's soon."""
        self._say(f"-{pid}\n")


class Child:
    """A running program; `log` holds its output."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, log: Path, leash: Leash
    ) -> None:
        self.name = name
        self.pid = process.pid
        self.log = log
        self._process = process
        self._leash = leash
        self._ended = False

    @property
    def running(self) -> bool:
        """Whether it has not ended yet, as far as is known."""
        return self._process.returncode is None

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    def signal(self, number: int) -> None:
        """Sends a signal to the program and its own children."""
        if not self._ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def wait(self) -> int:
        """Waits for the end and returns the exit status."""
        code = await self._process.wait()
        if not self._ended:
            self.signal(signal.SIGKILL)  # whatever it left behind in its group
            self._ended = True
            self._leash.release(self.pid)
        return code

    async def stop(self, grace_s: float = 5.0) -> int:
        """SIGTERM, `grace_s` seconds to obey, SIGKILL; returns the exit status."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.wait()

    def tail(self, lines: int = 20) -> str:
        """The end of its output."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
