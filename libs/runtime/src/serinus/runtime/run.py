"""How every service starts, listens, reports and stops.

`run(service)` is a whole program; `serve` is the same without the process around it, so that tests
and the simulation can have several services on one loop.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import metadata
from typing import Any, NoReturn, TypeVar

from serinus.events.facts import Fact
from serinus.runtime import context, logs
from serinus.runtime import settings as settings_
from serinus.runtime.bus import Bus
from serinus.runtime.clock import Clock, SystemClock, spread
from serinus.runtime.errors import Retry
from serinus.runtime.health import HealthBoard, HealthServer
from serinus.runtime.http import Http, HttpClient
from serinus.runtime.mailbox import Mailbox
from serinus.runtime.service import Context, Service
from serinus.runtime.settings import RuntimeSettings, SettingsError
from serinus.runtime.telemetry import PrometheusMetrics, Tracing, tracing

log = logging.getLogger(__name__)

SettingsT = TypeVar("SettingsT", bound=RuntimeSettings)

CLOSE_S = 5.0
"""Bound of each step of closing; a peer that does not answer must not keep a process alive."""

EXIT_CRASHED = 1
EXIT_SETTINGS = 2


class Crashed(Exception):
    """A background task of the service ended with an exception; the cause is chained."""


def run(
    service: Service[Any],
    argv: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> NoReturn:
    """Runs the service until SIGTERM or SIGINT, then ends the process.

    Exit status: 0 after a stop that was asked for, 1 when the service crashed, 2 for bad settings.
    """
    settings = _settings_or_exit(service, argv, os.environ if environ is None else environ)
    try:
        logs.configure(settings.log_level)
    except ValueError as error:
        _complain(f"{settings_.variable('log_level')}: {error}")
        raise SystemExit(EXIT_SETTINGS) from None
    raise SystemExit(asyncio.run(_main(service, settings)))


async def serve(
    service: Service[SettingsT],
    settings: SettingsT,
    *,
    bus: Bus | None = None,
    clock: Clock | None = None,
    http: Http | None = None,
    stop: asyncio.Event | None = None,
    started: Callable[[Running], None] | None = None,
) -> None:
    """Runs the service until `stop` is set, then drains.

    A bus or HTTP client that is handed in is used and left open. `started` is called once with the
    parts of the running service as soon as it is ready. Raises Crashed when a background task did.
    """
    context.service.set(service.name)
    clock = clock or SystemClock()
    stop = stop or asyncio.Event()
    running = Running(service, settings, clock, stop)
    await running.run(bus, http, started)


class Running:
    """One running service: its board, its metrics, its mailbox, its background tasks."""

    def __init__(
        self, service: Service[Any], settings: RuntimeSettings, clock: Clock, stop: asyncio.Event
    ) -> None:
        self.service = service
        self.settings = settings
        self.clock = clock
        self.health = HealthBoard()
        self.metrics = PrometheusMetrics()
        self.server = HealthServer(
            self.health,
            self.metrics.exposition,
            listen=settings.listen,
            port_file=settings.port_file,
            content_type=self.metrics.content_type,
        )
        self.mailbox: Mailbox | None = None
        self.deps: Any = None
        self._stop = stop
        self._tasks: set[asyncio.Task[None]] = set()
        self._followers: set[asyncio.Task[None]] = set()
        self._crash: BaseException | None = None

    async def run(
        self,
        bus: Bus | None,
        http: Http | None,
        started: Callable[[Running], None] | None,
    ) -> None:
        """From first to last; see `serve`."""
        self.health.set("start", False, "starting")
        async with AsyncExitStack() as stack:
            await self.server.start()
            stack.push_async_callback(self._bounded, "health server", self.server.close)
            spans = tracing(self.service.name, self.settings.otlp_endpoint)
            stack.push_async_callback(
                self._bounded, "traces", partial(asyncio.to_thread, spans.close)
            )
            bus = bus or await self._connect(stack)
            http = http or await self._client(stack, spans)
            stack.push_async_callback(self._end_tasks)
            if await self._start(stack, bus, http, spans):
                self.health.set("start", True)
                log.info("ready", extra={"port": self.server.port})
                if started is not None:
                    started(self)
                await self._stop.wait()
            await self._drain()
        if self._crash is not None:
            raise Crashed(f"{self.service.name}: {self._crash!r}") from self._crash

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """A background task; if it ends with an exception the service stops with it."""
        self._keep(coroutine, name, self._tasks)

    def _keep(
        self, coroutine: Coroutine[Any, Any, None], name: str, among: set[asyncio.Task[None]]
    ) -> None:
        task = asyncio.get_running_loop().create_task(
            coroutine, name=f"{self.service.name}: {name}"
        )
        among.add(task)
        task.add_done_callback(partial(self._ended, name, among))

    def _ended(self, name: str, among: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        among.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.crashed(error, name)

    def crashed(self, error: BaseException, name: str = "mailbox") -> None:
        """Remembers why, and stops the service."""
        log.error(
            "background task failed", exc_info=error, extra={"reason": repr(error), "task": name}
        )
        self._crash = self._crash or error
        self._stop.set()

    async def _connect(self, stack: AsyncExitStack) -> Bus:
        """A bus on NATS; it connects by itself, readiness says when it has.

        Without an address the service is alone: its bus is this process's memory.
        """
        if not self.settings.nats_url:
            from serinus.runtime.broker import MemoryBroker
            from serinus.runtime.memory import MemoryBus

            return MemoryBus(MemoryBroker(self.clock), self.service.name, self.metrics)
        from serinus.runtime.nats import NatsBus

        self.health.set("nats", False, "not connected yet")
        made = NatsBus(
            self.service.name,
            self.settings,
            clock=self.clock,
            metrics=self.metrics,
            on_state=partial(self.health.set, "nats"),
        )
        made.start()
        stack.push_async_callback(self._bounded, "bus", made.close)
        await _first(made.connected(), self._stop.wait())
        return made

    async def _client(self, stack: AsyncExitStack, spans: Tracing) -> Http:
        made = HttpClient(tracing=spans, user_agent=f"serinus-{self.service.name}")
        stack.push_async_callback(self._bounded, "http", made.close)
        return made

    async def _start(self, stack: AsyncExitStack, bus: Bus, http: Http, spans: Tracing) -> bool:
        """Starts the service and lets it listen; False when it was stopped before."""
        attempt = 0
        while not self._stop.is_set():
            made = Context(
                name=self.service.name,
                settings=self.settings,
                bus=bus,
                clock=self.clock,
                http=http,
                metrics=self.metrics,
                health=self.health,
                spawn=self.spawn,
            )
            try:
                async with _until(self._stop):
                    self.deps = await stack.enter_async_context(self.service.start(made))
            except Retry as error:
                attempt += 1
                self.health.set("start", False, error.reason)
                await self._end_tasks()
                wait_s = spread(min(30.0, error.after_s * 2 ** min(attempt - 1, 6)))
                await _first(self.clock.sleep(wait_s), self._stop.wait())
                continue
            if not self._stop.is_set():
                self._listen(bus, spans)
                return True
        return False

    def _listen(self, bus: Bus, spans: Tracing) -> None:
        handlers = {
            kind: partial(_call, handler, self.deps)
            for kind, handler in self.service.follow.items()
        }
        self.mailbox = Mailbox(
            self.service.name,
            handlers,
            bus=bus,
            clock=self.clock,
            metrics=self.metrics,
            tracing=spans,
            on_crash=self.crashed,
        )
        values = [kind for kind in handlers if not issubclass(kind, Fact)]
        facts = [kind for kind in handlers if issubclass(kind, Fact)]
        if values:
            self._keep(_pump(bus, values, "", self.mailbox), "follow values", self._followers)
        if facts:
            pump = _pump(bus, facts, self.service.name, self.mailbox)
            self._keep(pump, "follow facts", self._followers)

    async def _drain(self) -> None:
        """Stop following, then finish the message each worker is at, within the bound."""
        log.info("draining")
        self.health.set("start", False, "stopping")
        await _cancel(self._followers)
        if self.mailbox is not None and not await self.mailbox.drain(self.settings.drain_s):
            log.warning("handlers were cut off", extra={"drain_s": self.settings.drain_s})
        # Before the service closes what its background tasks stand on.
        await self._end_tasks()

    async def _end_tasks(self) -> None:
        await _cancel(self._tasks)

    async def _bounded(self, what: str, close: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await close()
        except TimeoutError:
            log.warning("did not close in time", extra={"reason": what})


async def _call(handler: Callable[[Any, Any], Any], deps: Any, message: Any) -> None:
    await handler(message, deps)


async def _pump(bus: Bus, kinds: Sequence[type[Any]], durable: str, mailbox: Mailbox) -> None:
    deliveries = bus.follow(kinds, durable=durable)
    try:
        async for delivery in deliveries:
            await mailbox.put(delivery)
    finally:
        if isinstance(deliveries, AsyncGenerator):
            await deliveries.aclose()


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    """Cancels them and waits, bounded, until they have ended."""
    pending = set(tasks)
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=CLOSE_S)


@asynccontextmanager
async def _until(stop: asyncio.Event) -> AsyncIterator[None]:
    """Gives up what is inside as soon as `stop` is set, in this very task."""
    try:
        async with asyncio.timeout(None) as bound:

            async def watch() -> None:
                await stop.wait()
                bound.reschedule(asyncio.get_running_loop().time())

            watching = asyncio.ensure_future(watch())
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not bound.expired():
            raise


async def _first(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Returns when the first of them has ended; the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _main(service: Service[Any], settings: RuntimeSettings) -> int:
    """The service until a signal; returns the exit status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop)
    try:
        await serve(service, settings, stop=stop)
    except Exception as error:
        if not isinstance(error, Crashed):
            context.service.set(service.name)
            log.error("could not run", exc_info=error, extra={"reason": repr(error)})
        return EXIT_CRASHED
    return 0


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(EXIT_CRASHED)  # asked twice: whoever asks does not want to wait for anything
    stop.set()


def _settings_or_exit(
    service: Service[Any], argv: Sequence[str] | None, environ: Mapping[str, str]
) -> RuntimeSettings:
    parser = argparse.ArgumentParser(
        prog=f"serinus-{service.name}",
        description=f"The {service.name} of the Serinus suite. Settings come from the environment.",
        epilog=f"environment:\n{settings_.describe(service.settings)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version(service.name))
    parser.add_argument(
        "--print-settings", action="store_true", help="show the settings, secrets masked, and exit"
    )
    chosen = parser.parse_args(argv)
    try:
        loaded: RuntimeSettings = settings_.load(service.settings, environ)
    except SettingsError as error:
        _complain(str(error))
        raise SystemExit(EXIT_SETTINGS) from None
    if chosen.print_settings:
        sys.stdout.write(settings_.show(loaded) + "\n")
        raise SystemExit(0)
    return loaded


def _version(name: str) -> str:
    for dist in (f"serinus-{name}", "serinus-runtime"):
        try:
            return f"{dist} {metadata.version(dist)}"
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")
