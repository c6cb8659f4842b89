"""Facts about tasks and gates."""

from __future__ import annotations

import asyncio

import pytest

from serinus.events import CanaryRef, GateChanged, LoadFinished, LoadStarted
from serinus.loadtester.core.callers import Rule
from serinus.loadtester.core.payload import Payload
from serinus.loadtester.core.tasks import Task, task
from serinus.loadtester.crew import Run
from serinus.loadtester.kin import Kin
from serinus.loadtester.process import Ended, Program
from serinus.loadtester.scribe import LINGER_S, Scribe
from serinus.runtime.clock import LoopClock
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.telemetry import PrometheusMetrics

pytestmark = pytest.mark.looptime

KIN = Kin(9)
WEB = CanaryRef("prod", "web")


def a_run(name: str = "web", **metadata: str) -> Run:
    wanted = task(
        Payload(name=name, namespace="prod", metadata={"cmd": "hey", **metadata}),
        (Rule(shell=True),),
    )
    assert isinstance(wanted, Task)
    run = Run(wanted, 1000.0, Program(wanted.argv, kin=KIN, timeout_s=1, output_limit=100))
    run.ended, run.seconds = Ended(1, "x" * 3000, "exit status 1"), 2.5
    run.numbers = {"requests_per_s": 12.5}
    return run


def scribe(broker: MemoryBroker | None) -> Scribe:
    bus = MemoryBus(broker, "loadtester") if broker else None
    return Scribe(bus, LoopClock(), PrometheusMetrics())


async def test_a_run_is_told_from_start_to_end() -> None:
    broker = MemoryBroker(LoopClock())
    run = a_run(logCmdOutput="true")

    async with scribe(broker) as one:
        one.started(run)
        one.finished(run)

    started, finished = broker.messages(LoadStarted, LoadFinished)
    assert isinstance(started, LoadStarted)
    assert (started.canary, started.task, started.kind, started.at) == (
        WEB,
        run.task.id,
        "cmd",
        1000.0,
    )
    assert isinstance(finished, LoadFinished)
    assert (finished.exit_status, finished.seconds, finished.at) == (1, 2.5, 1002.5)
    assert finished.numbers == {"requests_per_s": 12.5}
    assert finished.output == "x" * 2000


async def test_output_that_nobody_asked_to_see_does_not_travel() -> None:
    """It may hold secrets."""
    broker = MemoryBroker(LoopClock())

    async with scribe(broker) as one:
        one.finished(a_run())

    [fact] = broker.messages(LoadFinished)
    assert fact.output == ""


async def test_gates_are_told() -> None:
    broker = MemoryBroker(LoopClock())
    call = Payload(name="web", namespace="prod")

    async with scribe(broker) as one:
        one.gate("gate", call, True, "ana")
        one.gate("rollback", call, False, "ana")

    facts = broker.messages(GateChanged)
    assert [(f.gate, f.open) for f in facts] == [("gate", True), ("rollback", False)]


async def test_a_caller_that_is_no_canary_makes_no_fact() -> None:
    """Its name would become part of a subject."""
    broker = MemoryBroker(LoopClock())

    async with scribe(broker) as one:
        one.started(a_run("web.>"))
        one.finished(a_run("web.>"))
        one.gate("gate", Payload(name="a b", namespace="prod"), True, "")

    assert broker.messages() == []


async def test_nobody_waits_for_a_bus_that_is_away() -> None:
    broker = MemoryBroker(LoopClock())
    broker.disconnect()

    async with scribe(broker) as one:
        for _ in range(3000):
            one.started(a_run())
        assert asyncio.get_running_loop().time() == pytest.approx(0, abs=0.1)

    assert asyncio.get_running_loop().time() <= LINGER_S + 0.1


async def test_what_the_bus_does_not_take_waits_and_is_told_in_order() -> None:
    broker = MemoryBroker(LoopClock())
    broker.disconnect()

    async with scribe(broker) as one:
        one.started(a_run())
        one.finished(a_run())
        await asyncio.sleep(600)
        assert broker.messages() == []
        broker.reconnect()
        await asyncio.sleep(10)
        assert [type(m) for m in broker.messages()] == [LoadStarted, LoadFinished]


async def test_without_a_bus_everything_is_left_out() -> None:
    async with scribe(None) as one:
        one.started(a_run())

    assert asyncio.get_running_loop().time() < LINGER_S
