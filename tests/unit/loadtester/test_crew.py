"""Tasks run once at a time, so many together, and all of them end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serinus.loadtester.core.callers import Rule
from serinus.loadtester.core.payload import Payload
from serinus.loadtester.core.tasks import Task, task
from serinus.loadtester.crew import REMEMBERED, Crew, Full, Run
from serinus.loadtester.kin import Kin
from serinus.loadtester.tasks.catalog import workshop
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient
from serinus.runtime.telemetry import PrometheusMetrics


def a_task(cmd: str, name: str = "web", kind: str = "cmd") -> Task:
    found = task(
        Payload(name=name, namespace="prod", metadata={"type": kind, "cmd": cmd}),
        (Rule(shell=True),),
    )
    assert isinstance(found, Task)
    return found


class Told:
    """What the crew told, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, run: Run) -> None:
        self.lines.append(f"started {run.task.command}")

    def finished(self, run: Run) -> None:
        self.lines.append(f"finished {run.task.command} {run.state}")


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def crew(told: Told) -> AsyncIterator[Crew]:
    made = Crew(
        clock=SystemClock(),
        metrics=PrometheusMetrics(),
        work=workshop(HttpClient(), SystemClock(), Kin(100), timeout_s=20, output_limit=10_000),
        at_once=2,
        started=told.started,
        finished=told.finished,
    )
    yield made
    await made.drain(0)


def begun(crew: Crew, wanted: Task) -> Run:
    run = crew.start(wanted)
    assert isinstance(run, Run)
    return run


async def is_up(run: Run) -> None:
    while "up" not in run.work.output.text():  # noqa: ASYNC110  (a program cannot set our event)
        await asyncio.sleep(0.01)


async def over(run: Run) -> Run:
    async with asyncio.timeout(10):
        await run.over.wait()
    return run


async def test_a_run_knows_how_it_ended(crew: Crew, told: Told) -> None:
    good = await over(begun(crew, a_task("echo hi")))
    bad = await over(begun(crew, a_task("exit 4")))

    assert good.ended is not None
    assert (good.state, good.ended.output) == ("succeeded", "hi\n")
    assert bad.ended is not None
    assert (bad.state, bad.ended.status) == ("failed", 4)
    assert told.lines == [
        "started echo hi",
        "finished echo hi succeeded",
        "started exit 4",
        "finished exit 4 failed",
    ]


async def test_the_same_command_of_a_canary_runs_once_at_a_time(crew: Crew, told: Told) -> None:
    first = begun(crew, a_task("sleep 20"))

    assert begun(crew, a_task("sleep 20")) is first
    assert told.lines == ["started sleep 20"]


async def test_after_its_end_it_runs_again(crew: Crew) -> None:
    first = await over(begun(crew, a_task("true")))

    assert begun(crew, a_task("true")) is not first


async def test_other_canaries_run_the_same_command_beside_it(crew: Crew) -> None:
    assert begun(crew, a_task("sleep 20")) is not begun(crew, a_task("sleep 20", "api"))


async def test_a_crew_that_is_busy_takes_no_more(crew: Crew) -> None:
    """In the reference everything is taken, until memory ends."""
    begun(crew, a_task("sleep 20"))
    begun(crew, a_task("sleep 21"))

    assert crew.start(a_task("sleep 22")) == Full()
    assert isinstance(crew.start(a_task("sleep 20")), Run)


async def test_numbers_of_load_tools_are_read(crew: Crew) -> None:
    report = "  Requests/sec:\\t12.5\\n\\nStatus code distribution:\\n  [200]\\t5 responses\\n"

    run = await over(begun(crew, a_task(f"printf '{report}'")))

    assert run.numbers == {"requests_per_s": 12.5, "status_200": 5.0, "errors": 0.0}


async def test_draining_ends_what_runs_and_takes_no_more(crew: Crew, told: Told) -> None:
    # The child says it is up: before, it is a copy of the shell, trap included.
    child = "sh -c 'echo up; exec sleep 20'"
    run = begun(crew, a_task(f"trap 'echo bye; exit 3' TERM; {child} & wait"))
    async with asyncio.timeout(10):
        await is_up(run)

    await crew.drain(10)

    assert run.ended is not None
    assert (run.ended.status, run.ended.output) == (3, "up\nbye\n")
    assert crew.start(a_task("true")) == Full(closing=True)
    assert told.lines[-1].endswith("stopped")


async def test_what_does_not_listen_is_killed_at_the_end_of_the_drain(crew: Crew) -> None:
    run = begun(crew, a_task("trap '' TERM; echo up; sleep 20; sleep 20"))
    async with asyncio.timeout(10):
        await is_up(run)

    async with asyncio.timeout(10):
        await crew.drain(0.2)

    assert run.ended is not None
    assert run.ended.error == "signal: killed"
    assert run.state == "stopped"


async def test_draining_an_idle_crew_is_nothing(crew: Crew) -> None:
    await crew.drain(1)

    assert crew.runs() == []


async def test_runs_are_listed_newest_first_and_the_running_ones_before(crew: Crew) -> None:
    for cmd in ("echo 1", "echo 2"):
        await over(begun(crew, a_task(cmd)))
    begun(crew, a_task("sleep 20"))

    assert [run.task.command for run in crew.runs()] == ["sleep 20", "echo 2", "echo 1"]


async def test_only_the_last_runs_are_remembered(crew: Crew, tmp_path: Path) -> None:
    for number in range(REMEMBERED + 5):
        await over(begun(crew, a_task(f"true {number}", kind="bash")))

    runs = crew.runs()
    assert len(runs) == REMEMBERED
    assert runs[0].task.command == f"true {REMEMBERED + 4}"
