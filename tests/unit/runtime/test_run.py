"""A service starts, listens, reports and stops: several on one loop, on a bus in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from tests.unit.runtime.helpers import fact, intent, snapshot

from serinus.events import CanaryObserved, Intent, RolloutStarted
from serinus.runtime import context
from serinus.runtime.clock import LoopClock
from serinus.runtime.errors import Retry
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.run import Crashed, Running, run, serve
from serinus.runtime.service import Context, Service
from serinus.runtime.settings import RuntimeSettings


class Settings(RuntimeSettings, frozen=True, kw_only=True):
    word: str = "hello"


QUIET = Settings(listen="", drain_s=5.0)
Start = Callable[[Context[Settings]], Any]


@asynccontextmanager
async def plain(made: Context[Settings]) -> AsyncIterator[Context[Settings]]:
    yield made


class Stage:
    """Services of one test, on one broker, each until the test ends."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.broker = MemoryBroker(self.clock)
        self.tasks: list[asyncio.Task[None]] = []
        self.stops: list[asyncio.Event] = []

    async def play(self, service: Service[Any], settings: Settings = QUIET) -> Running:
        """Starts it; returns when it is ready."""
        ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        task = self.begin(service, settings, ready.set_result)
        task.add_done_callback(lambda ended: ready.done() or ready.cancel())
        try:
            async with asyncio.timeout(100):
                return await ready
        except asyncio.CancelledError:
            task.result()  # why it did not come so far
            raise

    def begin(
        self,
        service: Service[Any],
        settings: Settings = QUIET,
        started: Callable[[Running], None] | None = None,
    ) -> asyncio.Task[None]:
        stop = asyncio.Event()
        bus = MemoryBus(self.broker, service.name)
        task = asyncio.ensure_future(
            serve(service, settings, bus=bus, clock=self.clock, stop=stop, started=started)
        )
        self.tasks.append(task)
        self.stops.append(stop)
        return task

    async def end(self) -> None:
        """Tells all to stop and waits for them. Raises what a service raised."""
        for stop in self.stops:
            stop.set()
        async with asyncio.timeout(100):
            await asyncio.gather(*self.tasks)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


def a_service(
    name: str = "router", follow: dict[type[Any], Any] | None = None, start: Start = plain
) -> Service[Settings]:
    return Service(name=name, settings=Settings, start=start, follow=follow or {})


@pytest.mark.looptime
async def test_two_services_talk_on_one_loop(stage: Stage) -> None:
    done = asyncio.Event()

    async def decide(seen: CanaryObserved, deps: Context[Settings]) -> None:
        await deps.bus.publish(intent(int(seen.resource_version)))

    async def converge(wish: Intent, deps: Context[Settings]) -> None:
        assert (deps.name, wish.version) == ("router", "7")
        done.set()

    await stage.play(a_service("analyzer", {CanaryObserved: decide}))
    await stage.play(a_service("router", {Intent: converge}))
    await MemoryBus(stage.broker, "watcher").publish(snapshot(7))
    async with asyncio.timeout(5):
        await done.wait()
    await stage.end()


@pytest.mark.looptime
async def test_cause_and_trace_run_through_the_services(stage: Stage) -> None:
    async def decide(seen: CanaryObserved, deps: Context[Settings]) -> None:
        await deps.bus.publish(intent())

    await stage.play(a_service("analyzer", {CanaryObserved: decide}))
    watcher = MemoryBus(stage.broker, "watcher")
    await watcher.publish(snapshot())
    seen = await watcher.latest(CanaryObserved, snapshot().canary)
    await asyncio.sleep(1)
    made = await watcher.latest(Intent, snapshot().canary)
    assert seen is not None
    assert made is not None
    assert made.headers["serinus-cause"] == seen.headers["Nats-Msg-Id"]
    assert made.headers["traceparent"][:35] == seen.headers["traceparent"][:35]
    await stage.end()


@pytest.mark.looptime
async def test_facts_are_followed_under_the_services_name(stage: Stage) -> None:
    heard: list[str] = []

    async def tell(told: RolloutStarted, deps: Context[Settings]) -> None:
        heard.append(told.text)

    analyzer = MemoryBus(stage.broker, "analyzer")
    await stage.play(a_service("notifier", {RolloutStarted: tell}))
    await analyzer.publish(fact(1))
    await asyncio.sleep(1)
    await stage.end()
    await analyzer.publish(fact(2))
    await stage.play(a_service("notifier", {RolloutStarted: tell}))
    await asyncio.sleep(1)
    assert heard == ["fact 1", "fact 2"]


@pytest.mark.looptime
async def test_a_service_knows_its_name_in_every_task(stage: Stage) -> None:
    names: list[str] = []

    @asynccontextmanager
    async def start(made: Context[Settings]) -> AsyncIterator[None]:
        async def look() -> None:
            names.append(context.service.get())

        made.spawn(look(), "look")
        yield

    await stage.play(a_service("watcher", start=start))
    await stage.play(a_service("router", start=start))
    await asyncio.sleep(0)
    assert names == ["watcher", "router"]


@pytest.mark.looptime
async def test_a_start_that_must_wait_is_tried_again_and_not_ready_meanwhile(stage: Stage) -> None:
    errors = [Retry("the API server is away", 1.0)] * 2
    cancelled: list[str] = []

    @asynccontextmanager
    async def start(made: Context[Settings]) -> AsyncIterator[None]:
        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append("work")

        made.spawn(work(), "work")
        await asyncio.sleep(0)
        if errors:
            raise errors.pop()
        yield

    before = stage.clock.monotonic()
    await stage.play(a_service(start=start))
    assert 2 < stage.clock.monotonic() - before < 5
    assert cancelled == ["work", "work"], "of the attempts that failed"


@pytest.mark.looptime
async def test_a_start_that_hangs_can_be_stopped(stage: Stage) -> None:
    left: list[str] = []

    @asynccontextmanager
    async def start(made: Context[Settings]) -> AsyncIterator[None]:
        try:
            await asyncio.Event().wait()
        finally:
            left.append("start")
        yield

    task = stage.begin(a_service(start=start))
    await asyncio.sleep(10)
    assert not task.done()
    await stage.end()
    assert left == ["start"]


@pytest.mark.looptime
async def test_a_start_that_fails_ends_the_service_with_its_error(stage: Stage) -> None:
    @asynccontextmanager
    async def start(made: Context[Settings]) -> AsyncIterator[None]:
        raise KeyError("no such thing")
        yield

    with pytest.raises(KeyError, match="no such thing"):
        await stage.play(a_service(start=start))


@pytest.mark.looptime
async def test_stopping_finishes_the_message_at_hand_then_closes_in_reverse(stage: Stage) -> None:
    order: list[str] = []
    entered = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            order.append("background task ended")

    @asynccontextmanager
    async def start(made: Context[Settings]) -> AsyncIterator[None]:
        made.spawn(work(), "work")
        yield
        order.append("closed")

    async def converge(wish: Intent, deps: None) -> None:
        entered.set()
        await asyncio.sleep(2)
        order.append(f"handled {wish.version}")

    await stage.play(a_service("router", {Intent: converge}, start))
    analyzer = MemoryBus(stage.broker, "analyzer")
    await analyzer.publish(intent(1))
    await entered.wait()
    await analyzer.publish(intent(2))
    await stage.end()
    assert order == ["handled 1", "background task ended", "closed"]


@pytest.mark.looptime
async def test_a_handler_that_takes_too_long_is_cut_off(stage: Stage) -> None:
    entered = asyncio.Event()

    async def converge(wish: Intent, deps: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    await stage.play(a_service("router", {Intent: converge}))
    await MemoryBus(stage.broker, "analyzer").publish(intent())
    await entered.wait()
    before = stage.clock.monotonic()
    await stage.end()
    assert stage.clock.monotonic() - before == pytest.approx(QUIET.drain_s, abs=0.5)


@pytest.mark.looptime
async def test_a_background_task_that_fails_takes_the_service_with_it(stage: Stage) -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def start(made: Context[Settings]) -> AsyncIterator[None]:
        async def fail() -> None:
            await made.clock.sleep(3)
            raise ZeroDivisionError("boom")

        made.spawn(fail(), "fail")
        yield
        closed.append("closed")

    await stage.play(a_service(start=start))
    with pytest.raises(Crashed, match="router: ZeroDivisionError") as caught:
        await stage.tasks[0]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert closed == ["closed"]


@pytest.mark.looptime
async def test_a_background_task_that_ends_is_no_failure(stage: Stage) -> None:
    @asynccontextmanager
    async def start(made: Context[Settings]) -> AsyncIterator[None]:
        made.spawn(asyncio.sleep(1), "short")
        yield

    await stage.play(a_service(start=start))
    await asyncio.sleep(5)
    assert not stage.tasks[0].done()
    await stage.end()


async def test_a_running_service_answers_kubernetes_and_prometheus(stage: Stage) -> None:
    running = await stage.play(a_service(), Settings(listen="127.0.0.1:0"))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{running.server.port}") as session:
        async with session.get("/readyz") as answer:
            assert (answer.status, await answer.json()) == (200, {"ready": True, "red": {}})
        async with session.get("/metrics") as answer:
            assert 'serinus_mailbox_depth{service="router"} 0' in await answer.text()
    await stage.end()


@pytest.mark.looptime
async def test_a_service_can_turn_its_own_readiness_red(stage: Stage) -> None:
    @asynccontextmanager
    async def start(made: Context[Settings]) -> AsyncIterator[Context[Settings]]:
        made.health.set("kubernetes", False, "the API server does not answer")
        yield made

    running = await stage.play(a_service(start=start))
    assert running.health.red == {"kubernetes": "the API server does not answer"}
    running.deps.health.set("kubernetes", True)
    assert running.health.ready


def exits(argv: list[str], environ: dict[str, str]) -> int:
    with pytest.raises(SystemExit) as caught:
        run(a_service(), argv, environ)
    code = caught.value.code
    return code if isinstance(code, int) else 0


def test_help_lists_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits(["--help"], {}) == 0
    shown = capsys.readouterr().out
    assert "SERINUS_WORD" in shown
    assert "SERINUS_NATS_URL" in shown


def test_print_settings_shows_what_counts_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = {"SERINUS_WORD": "moin", "SERINUS_NATS_PASSWORD": "hunter2"}
    assert exits(["--print-settings"], environ) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "SERINUS_WORD=moin" in shown
    assert "SERINUS_NATS_PASSWORD=***" in shown


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits(["--version"], {}) == 0
    assert capsys.readouterr().out.startswith("serinus-router 0.")


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"SERINUS_WRD": "x"}, "SERINUS_WRD: no such setting; did you mean SERINUS_WORD?\n"),
        ({"SERINUS_LOG_LEVEL": "loud"}, "SERINUS_LOG_LEVEL: Unknown level: 'LOUD'\n"),
    ],
)
def test_bad_settings_are_said_and_end_with_two(
    environ: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits([], environ) == 2
    assert capsys.readouterr().err == complaint
