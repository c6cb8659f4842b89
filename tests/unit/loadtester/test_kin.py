"""Processes that leave their group and their parents are still somebody's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serinus.loadtester.kin import MARK, Kin, Process, adopt_orphans, table
from serinus.loadtester.process import Program


@pytest.fixture(autouse=True)
def adopting() -> None:
    adopt_orphans()


def program(text: str, kin: Kin) -> Program:
    return Program(("sh", "-c", text), kin=kin, timeout_s=20, output_limit=1000)


def alive(file: Path) -> bool:
    """Whether the process runs whose number is in the file."""
    try:
        stat = Path(f"/proc/{int(file.read_text())}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


AWAY = "setsid sh -c 'echo $$ > {file}; exec sleep 60' > /dev/null 2>&1 &"


@pytest.mark.parametrize("escape", [AWAY, f"({AWAY}) &", f"env - {AWAY}"])
async def test_who_left_the_group_ends_with_the_task(escape: str, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    wait = f"until [ -s {file} ]; do sleep 0.01; done"
    kin = Kin(100)

    ended = await program(f"{escape.format(file=file)}\n{wait}; echo done", kin).run()
    if escape.startswith("env"):
        kin.look()

    assert ended.output == "done\n"
    async with asyncio.timeout(5):
        while alive(file):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_program_with_too_many_processes_is_killed_with_all_of_them() -> None:
    kin = Kin(20)
    many = program("for i in $(seq 50); do setsid sleep 60 & done; echo up; wait", kin)
    running = asyncio.create_task(many.run())
    async with asyncio.timeout(10):
        while "up" not in many.output.text():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    kin.look()

    ended = await running
    assert (ended.status, ended.error) == (-9, "signal: killed (more than 20 processes)")
    assert [child for child in children() if not child.is_zombie] == []


async def test_who_was_there_before_is_left_alone() -> None:
    other = await asyncio.create_subprocess_exec("sleep", "60")
    kin = Kin(1)
    await program("true", kin).run()
    kin.look()

    assert other.pid in [child.pid for child in children() if not child.is_zombie]
    other.kill()
    await other.wait()


async def test_no_zombie_is_left() -> None:
    """As process 1 of a container nobody else would reap them."""
    kin = Kin(100)
    await program("(sleep 0.05 &) ; (setsid sleep 60 > /dev/null 2>&1 &)", kin).run()

    async with asyncio.timeout(5):
        while any(child.is_zombie for child in children()):
            kin.look()
            await asyncio.sleep(0.01)


def test_a_program_that_ends_while_it_is_starting_keeps_its_status() -> None:
    """Whoever started it has not told its number yet, and is going to read its status."""
    kin = Kin(100)
    kin.expect(lambda: None)
    pid = os.posix_spawn("/bin/sh", ("sh", "-c", "exit 3"), os.environ)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    kin.look()

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


async def test_a_program_without_an_environment_yet_is_not_ended() -> None:
    """The kernel shows none until the program is loaded; one of nobody is ended a look later."""
    kin = Kin(100)
    mark = kin.expect(lambda: None)
    other = await asyncio.create_subprocess_exec("sleep", "60", env={})

    kin.look()
    is_alive = other.pid in [child.pid for child in children() if not child.is_zombie]
    kin.leave(mark)
    kin.look()

    assert is_alive
    async with asyncio.timeout(5):
        assert await other.wait() == -9


def children() -> list[Process]:
    return [process for process in table() if process.parent == os.getpid()]


def test_commands_cannot_read_what_the_load_tester_was_given() -> None:
    """Its environment holds tokens; a command of the same user could read it under /proc."""
    code = (
        "import ctypes; from serinus.loadtester.kin import hide; hide();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "0\n"


async def test_a_program_knows_its_mark() -> None:
    ended = await program(f"echo ${MARK}", Kin(1)).run()

    assert ended.output == f"{os.getpid()}-1\n"
