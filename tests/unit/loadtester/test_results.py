"""What became of tasks, here and as the bucket knows it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from serinus.loadtester.core.callers import Rule
from serinus.loadtester.core.payload import Payload
from serinus.loadtester.core.tasks import Task, task
from serinus.loadtester.crew import Crew, Run
from serinus.loadtester.kin import Kin
from serinus.loadtester.results import BUCKET, Results
from serinus.loadtester.tasks.catalog import workshop
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.telemetry import PrometheusMetrics


def a_task(cmd: str, **metadata: str) -> Task:
    call = Payload(name="web", namespace="prod", metadata={"cmd": cmd, **metadata})
    found = task(call, (Rule(shell=True),))
    assert isinstance(found, Task)
    return found


class Replica:
    """One load tester's crew and results; `written` are writes that the bus has not taken yet."""

    def __init__(self, broker: MemoryBroker) -> None:
        clock = SystemClock()
        self.written: list[Callable[[], Awaitable[Any]]] = []
        self.crew = Crew(
            clock=clock,
            metrics=PrometheusMetrics(),
            work=workshop(HttpClient(), clock, Kin(9), timeout_s=20, output_limit=10_000),
            at_once=2,
            started=lambda run: None,
            finished=lambda run: self.results.keep(run),
        )
        bucket = MemoryBus(broker, "loadtester").bucket(BUCKET)
        self.results = Results(self.crew, bucket, self.written.append)

    async def ran(self, wanted: Task) -> Run:
        run = self.crew.start(wanted)
        assert isinstance(run, Run)
        await run.over.wait()
        return run

    async def write(self) -> None:
        while self.written:
            await self.written.pop(0)()


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(SystemClock())


@pytest.fixture
async def one(broker: MemoryBroker) -> AsyncIterator[Replica]:
    made = Replica(broker)
    yield made
    await made.crew.drain(0)


async def test_a_failure_is_told_once_whoever_is_asked(one: Replica, broker: MemoryBroker) -> None:
    other, failing = Replica(broker), a_task("exit 3", failOnError="true")
    run = await one.ran(failing)
    await one.write()

    told = await other.results.untold_failure(failing)
    await other.write()

    assert told is not None
    assert (told.id, told.error) == (run.id, "exit status 3")
    assert await one.results.untold_failure(failing) is None
    assert await other.results.untold_failure(failing) is None


async def test_a_failure_is_told_before_the_bus_took_it_and_without_a_bus(
    one: Replica, broker: MemoryBroker
) -> None:
    failing = a_task("exit 3", failOnError="true")
    await one.ran(failing)
    broker.disconnect()

    assert await one.results.untold_failure(failing) is not None
    assert await one.results.untold_failure(failing) is None


async def test_only_the_newest_run_counts(
    one: Replica, broker: MemoryBroker, tmp_path: Any
) -> None:
    other, flag = Replica(broker), tmp_path / "flag"
    wanted = a_task(f"test -e {flag}", failOnError="true")
    await one.ran(wanted)
    flag.touch()
    await other.ran(wanted)
    await one.write()
    await other.write()

    assert await one.results.untold_failure(wanted) is None


async def test_what_was_stopped_with_the_load_tester_has_not_failed(one: Replica) -> None:
    wanted = a_task("sleep 20", failOnError="true")
    run = one.crew.start(wanted)
    assert isinstance(run, Run)

    await one.crew.drain(5)

    assert run.state == "stopped"
    assert await one.results.untold_failure(wanted) is None


async def test_commands_and_secret_output_are_not_on_the_bus(
    one: Replica, broker: MemoryBroker
) -> None:
    quiet = await one.ran(a_task("echo s3cret-1"))
    loud = await one.ran(a_task("echo shown; : s3cret-2", logCmdOutput="true"))
    await one.write()
    other = Replica(broker).results

    rows = {row.id: row for row in await other.all()}
    assert (rows[quiet.id].command, rows[quiet.id].output) == ("", "")
    assert (rows[loud.id].command, rows[loud.id].output) == ("", "shown\n")
    assert "s3cret" not in str(broker.buckets)
    assert await other.one(loud.id) == rows[loud.id]
    assert await other.one(loud.task.id) == rows[loud.id]
    assert await other.one("other") is None


async def test_alone_it_remembers_no_more_than_its_crew_does(one: Replica) -> None:
    alone = Results(one.crew, None, one.written.append)
    failing = a_task("exit 3", failOnError="true")
    run = await one.ran(failing)
    one.written.clear()

    assert await alone.untold_failure(failing) is not None
    assert await alone.untold_failure(failing) is None
    assert [row.id for row in await alone.all()] == [run.id]
    assert await alone.one("other") is None
    assert one.written == []


async def test_rows_are_newest_first_and_each_run_once(one: Replica, broker: MemoryBroker) -> None:
    other = Replica(broker)
    first = await other.ran(a_task("true 1"))
    second = await one.ran(a_task("true 2"))
    await other.write()
    await one.write()
    running = one.crew.start(a_task("sleep 20"))
    assert isinstance(running, Run)

    assert [row.id for row in await one.results.all()] == [running.id, second.id, first.id]
