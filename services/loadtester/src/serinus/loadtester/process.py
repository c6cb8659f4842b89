"""Runs one program with all its children: bounded in time, in number and in output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from msgspec import Struct

from serinus.loadtester.core.tasks import exit_text
from serinus.loadtester.kin import LAST_WORDS_S, MARK, Kin

CHUNK = 65536


class Ended(Struct, frozen=True):
    """How a program ended.

    status  exit status; the negative number of the signal that ended it; 127: it did not start
    output  standard output and error as they came, only the end of it beyond the limit
    error   "" after status 0, else the reason in Go's words
    """

    status: int
    output: str
    error: str = ""


class Output:
    """The end of what a program writes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()

    def add(self, chunk: bytes) -> None:
        self._kept += chunk
        if len(self._kept) > 2 * self._limit:
            del self._kept[: -self._limit]

    def clear(self) -> None:
        """Once the end is known it is kept there, and need not be twice."""
        self._kept = bytearray()

    def text(self) -> str:
        return self._kept[-self._limit :].decode("utf-8", "replace")


class Program:
    """One run of a program; `end` may be called at any time."""

    def __init__(
        self, argv: Sequence[str], *, kin: Kin, timeout_s: float, output_limit: int
    ) -> None:
        self._argv = argv
        self._kin = kin
        self._timeout_s = timeout_s
        self.output = Output(output_limit)
        self._process: asyncio.subprocess.Process | None = None
        self._early: signal.Signals | None = None
        self._too_many = False

    async def run(self) -> Ended:
        """Waits until the program ended and nobody writes to its output any more.

        What is left of it then is killed, and after the timeout all of it. Never raises for what
        the program does.
        """
        mark = self._kin.expect(self._overgrown)
        try:
            return await self._run(mark)
        finally:
            await self._kin.end(mark)
            self._kin.leave(mark)

    async def _run(self, mark: str) -> Ended:
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env={**clean(os.environ), MARK: mark},
            )
        except FileNotFoundError:
            name = self._argv[0]
            return Ended(127, "", f'exec: "{name}": executable file not found in $PATH')
        except (OSError, ValueError) as error:
            return Ended(127, "", f"cannot start: {error}")
        self._kin.join(mark, process.pid)
        if self._early is not None:
            self.end(self._early)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._listen(process)
                status = await process.wait()
        except TimeoutError:
            status = await self._put_down(process, mark)
            late = f"{exit_text(status)} (after {self._timeout_s:g} s)"
            return Ended(status, self.output.text(), late)
        except BaseException:
            await self._put_down(process, mark)
            raise
        if self._too_many:
            killed = -signal.SIGKILL
            many = f"{exit_text(killed)} (more than {self._kin.most} processes)"
            return Ended(killed, self.output.text(), many)
        return Ended(status, self.output.text(), "" if status == 0 else exit_text(status))

    def _overgrown(self) -> None:
        self._too_many = True
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> None:
        """Sends a signal to the program and all its children, once it has any."""
        process = self._process
        if process is None:
            self._early = number
        if process is not None and (process.returncode is None or not self._closed(process)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

    @staticmethod
    def _closed(process: asyncio.subprocess.Process) -> bool:
        return process.stdout is None or process.stdout.at_eof()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while chunk := await process.stdout.read(CHUNK):
            self.output.add(chunk)

    async def _put_down(self, process: asyncio.subprocess.Process, mark: str) -> int:
        self.end(signal.SIGKILL)
        await self._kin.end(mark)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._listen(process)
                return await process.wait()
        return process.returncode if process.returncode is not None else -signal.SIGKILL


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without our own settings: passwords and tokens are not for commands."""
    return {name: value for name, value in environment.items() if not name.startswith("SERINUS_")}
