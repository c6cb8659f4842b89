"""Real programs, bounded."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from serinus.loadtester.kin import Kin
from serinus.loadtester.process import Ended, Output, Program, clean


def program(*argv: str, timeout_s: float = 20.0, limit: int = 10_000) -> Program:
    return Program(argv, kin=Kin(100), timeout_s=timeout_s, output_limit=limit)


def shell(text: str, **more: float) -> Program:
    return program("sh", "-c", text, timeout_s=more.get("timeout_s", 20.0))


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something outside of this process, 10 s at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_both_outputs_are_one_in_the_order_of_writing() -> None:
    ended = await shell("echo one; echo two >&2; echo three").run()

    assert ended == Ended(0, "one\ntwo\nthree\n", "")


async def test_a_failure_has_status_and_reason() -> None:
    assert await shell("echo no; exit 3").run() == Ended(3, "no\n", "exit status 3")


async def test_a_program_that_is_not_there_is_named() -> None:
    ended = await program("no-such-tool", "x").run()

    assert ended == Ended(127, "", 'exec: "no-such-tool": executable file not found in $PATH')


async def test_the_timeout_kills_the_whole_group(tmp_path: Path) -> None:
    """Children of the command die with it, not only the shell that started them."""
    child = tmp_path / "child"

    ended = await shell(f"sleep 60 & echo $! > {child}; echo begun; wait", timeout_s=0.3).run()

    assert ended == Ended(-9, "begun\n", "signal: killed (after 0.3 s)")
    await until(lambda: not alive(int(child.read_text())))


async def test_output_of_children_that_outlive_the_shell_is_waited_for() -> None:
    ended = await shell("(sleep 0.2; echo late) & echo early").run()

    assert ended == Ended(0, "early\nlate\n", "")


async def test_only_the_end_of_long_output_is_kept() -> None:
    ended = await program(
        "sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done", limit=100
    ).run()

    assert len(ended.output) == 100
    assert ended.output.endswith("line 2999\n")


def test_what_is_kept_of_endless_output_does_not_grow() -> None:
    output = Output(1000)
    for _ in range(1000):
        output.add(b"x" * 500)

    assert sys.getsizeof(output._kept) < 10_000


async def test_a_signal_reaches_program_and_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    running = shell(f"sleep 60 & echo $! > {child}; echo begun; wait")
    ending = asyncio.create_task(running.run())
    await until(lambda: "begun" in running.output.text())

    running.end(signal.SIGTERM)

    assert (await ending).error == "signal: terminated"
    await until(lambda: not alive(int(child.read_text())))


async def test_who_gives_up_waiting_ends_the_program(tmp_path: Path) -> None:
    own = tmp_path / "own"
    running = shell(f"echo $$ > {own}; echo begun; sleep 60")
    ending = asyncio.create_task(running.run())
    await until(lambda: "begun" in running.output.text())

    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending

    await until(lambda: not alive(int(own.read_text())))


async def test_it_reads_nothing_from_us() -> None:
    assert (await shell("cat; echo end").run()).output == "end\n"


async def test_our_own_settings_are_not_in_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERINUS_NATS_PASSWORD", "secret")
    monkeypatch.setenv("TARGET", "web")

    ended = await shell("env").run()

    assert "secret" not in ended.output
    assert "TARGET=web" in ended.output


def test_everything_else_in_the_environment_stays() -> None:
    assert clean({"PATH": "/bin", "SERINUS_TOKEN": "x"}) == {"PATH": "/bin"}
    assert os.environ.get("PATH")


async def test_a_signal_that_comes_before_the_program_is_kept_for_it() -> None:
    """A tester that stops right after it took a task waited for its whole drain time."""
    running = program("sleep", "30")

    running.end(signal.SIGTERM)

    assert (await running.run()).status == -signal.SIGTERM
