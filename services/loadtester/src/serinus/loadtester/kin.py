"""Whose process is whose, so that a task's end is the end of all that it started.

A process may leave its group (setsid) and outlive its parents (a second fork). Such orphans become
our own children, not init's, and the mark in their environment says whose they were. One without a
known mark has nobody left who waits for it, and is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import logging
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from serinus.runtime.clock import Clock

log = logging.getLogger(__name__)

MARK = "LOADTESTER_RUN"
LOOK_EVERY_S = 0.5
# A killed process is gone at once, unless the machine is very busy.
LAST_WORDS_S = 2.0
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36
_PROC = Path("/proc")


def adopt_orphans() -> None:
    """From now on orphans among our descendants become our children (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide() -> None:
    """Others of our user, such as commands that we run, cannot read our environment (Linux)."""
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class Process(NamedTuple):
    """One line of the kernel's table."""

    pid: int
    parent: int
    is_zombie: bool


@dataclass
class _Member:
    """A program that runs, by its mark; `pid` is 0 until it is known."""

    overgrown: Callable[[], None]
    pid: int = 0


class Kin:
    """The programs that run here, with all their descendants.

    most  processes that one program may have
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._members: dict[str, _Member] = {}
        # Whoever was there before is none of ours.
        here = (p for p in table() if p.parent == os.getpid())
        self._others = {p.pid for p in here if not p.is_zombie}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._members)

    def expect(self, overgrown: Callable[[], None]) -> str:
        """A mark for a program that is about to start; who has too many processes is told so."""
        mark = f"{os.getpid()}-{next(self._numbers)}"
        self._members[mark] = _Member(overgrown)
        return mark

    def join(self, mark: str, pid: int) -> None:
        """It has started."""
        self._members[mark].pid = pid

    async def end(self, mark: str) -> None:
        """Kills all of its processes, and waits for that within a bound."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while left := self._families().get(mark):
                    _kill(left)
                    await asyncio.sleep(0.01)

    def leave(self, mark: str) -> None:
        """It is over. Whoever bears its mark from now on is nobody's."""
        del self._members[mark]

    async def watch(self, clock: Clock) -> None:
        """Looks now and then, for ever."""
        while True:
            await clock.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Tells those that have grown too big, and ends orphans of nobody."""
        families = self._families()
        _kill(families.pop("", ()))
        for mark, pids in families.items():
            if len(pids) > self.most:
                log.warning("a task has too many processes", extra={"processes": len(pids)})
                self._members[mark].overgrown()
                _kill(pids)

    def _families(self) -> dict[str, list[int]]:
        """The living processes of each member by its mark; under "" those of nobody."""
        children: dict[int, list[Process]] = defaultdict(list)
        for process in table():
            children[process.parent].append(process)
        by_pid = {member.pid: mark for mark, member in self._members.items() if member.pid}
        is_starting = any(not member.pid for member in self._members.values())
        families: dict[str, list[int]] = defaultdict(list)
        for child in children[os.getpid()]:
            mark = by_pid.get(child.pid)
            if child.pid in self._others:
                continue
            if mark is None:
                found = "" if child.is_zombie else _mark(child.pid)
                # A program that is starting is not known by its number yet. It may have ended, and
                # whoever started it reads its status; or have no environment yet, for a moment.
                if is_starting and not found:
                    continue
                if child.is_zombie:
                    _reap(child.pid)
                    continue
                mark = found if found in self._members else ""
            families[mark] += (p.pid for p in _below(child, children) if not p.is_zombie)
        return families


def _below(root: Process, children: dict[int, list[Process]]) -> Iterator[Process]:
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        waiting += children.get(process.pid, ())


def table() -> Iterator[Process]:
    """Every process that can be seen; none where there is no /proc."""
    try:
        names = os.listdir(_PROC)
    except OSError:
        return
    for name in names:
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                stat = (_PROC / name / "stat").read_bytes()
                state, parent = stat[stat.rindex(b")") + 2 :].split(maxsplit=2)[:2]
                yield Process(int(name), int(parent), state in b"ZX")


def _mark(pid: int) -> str:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return ""
    prefix = f"{MARK}=".encode()
    found = (v for v in environment.split(b"\0") if v.startswith(prefix))
    return next(found, prefix)[len(prefix) :].decode("ascii", "replace")


def _kill(pids: Iterable[int]) -> None:
    # Stopped first: among many that breed, those that are killed late would go on breeding.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
