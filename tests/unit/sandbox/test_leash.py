"""Children on a leash: real ones, as nothing else would prove anything."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from tests.servers.waiting import eventually

from serinus.sandbox.leash import Child, Leash

OBEYS = "import time; print('up', flush=True); time.sleep(99)"
RESISTS = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + OBEYS


async def test_a_program_ends_when_it_is_told(tmp_path: Path) -> None:
    with Leash() as leash:
        child = await leash.spawn("c", [sys.executable, "-c", OBEYS], tmp_path / "c.log")

        assert child.running
        assert await child.stop() == -signal.SIGTERM
        assert not child.running


async def test_a_program_that_resists_is_killed(tmp_path: Path) -> None:
    with Leash() as leash:
        child = await leash.spawn("c", [sys.executable, "-c", RESISTS], tmp_path / "c.log")
        await eventually(lambda: said(child, "up"), "the program is up", 10)

        assert await child.stop(0.1) == -signal.SIGKILL


async def said(child: Child, word: str) -> bool:
    return word in child.tail()


async def test_output_and_status_are_kept(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ); print('a'); sys.stderr.write('b'); sys.exit(3)"
    with Leash() as leash:
        argv = [sys.executable, "-I", "-S", "-c", code]
        child = await leash.spawn("c", argv, tmp_path / "logs" / "c.log", {"X": "only"})

        assert await child.wait() == child.returncode == 3
    assert "'X': 'only'" in child.tail()
    assert child.tail(2) == "a\nb"


async def test_a_program_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with Leash() as leash, pytest.raises(OSError, match="no-such-program"):
        await leash.spawn("c", ["no-such-program"], tmp_path / "c.log")


def test_a_leash_must_be_held() -> None:
    with pytest.raises(RuntimeError):
        Leash().release(1)
