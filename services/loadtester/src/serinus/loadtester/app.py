"""Wiring: the only place of the load tester where real things meet."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from serinus.loadtester import access
from serinus.loadtester.crew import Crew, Run
from serinus.loadtester.gates import BUCKET, Gates
from serinus.loadtester.kin import Kin, adopt_orphans, hide
from serinus.loadtester.results import BUCKET as RESULTS
from serinus.loadtester.results import Results
from serinus.loadtester.scribe import Scribe
from serinus.loadtester.settings import Settings
from serinus.loadtester.tasks.catalog import workshop
from serinus.loadtester.web import Desk, app
from serinus.runtime.service import Context, Service
from serinus.runtime.settings import SettingsError
from serinus.runtime.telemetry import PrometheusMetrics

log = logging.getLogger(__name__)


@asynccontextmanager
async def start(context: Context[Settings]) -> AsyncIterator[Desk]:
    """Listens for hooks; at the end running tasks are asked to stop and must within the drain."""
    adopt_orphans()
    hide()
    scribe = Scribe(
        context.bus if context.settings.nats_url else None, context.clock, context.metrics
    )
    desk = _desk(context, scribe)
    # Whoever has gone away does not wait for a task's end; the task goes on.
    runner = web.AppRunner(
        app(desk), access_log=None, shutdown_timeout=1.0, handler_cancellation=True
    )
    await runner.setup()
    try:
        await _site(runner, context).start()
        log.info("listening for hooks", extra={"address": str(runner.addresses[0])})
        async with scribe:
            try:
                yield desk
            finally:
                # While the door is still there: callers that wait get their answer.
                await desk.crew.drain(context.settings.drain_s / 2)
    finally:
        await runner.cleanup()


def _desk(context: Context[Settings], scribe: Scribe) -> Desk:
    settings = context.settings
    kin = Kin(settings.max_processes)
    context.spawn(kin.watch(context.clock), "kin")

    def finished(run: Run) -> None:
        scribe.finished(run)
        results.keep(run)

    crew = Crew(
        clock=context.clock,
        metrics=context.metrics,
        work=workshop(
            context.http,
            context.clock,
            kin,
            timeout_s=settings.timeout_s,
            output_limit=settings.output_bytes,
        ),
        at_once=settings.max_tasks,
        started=scribe.started,
        finished=finished,
    )
    bucket = context.bus.bucket(RESULTS) if settings.nats_url else None
    results = Results(crew, bucket, scribe.later)
    return Desk(
        crew=crew,
        results=results,
        gates=Gates(context.bus.bucket(BUCKET), context.clock),
        namespaces=access.namespaces(settings),
        metrics=_exposition(context),
        changed=scribe.gate,
        callers=access.callers(settings),
        rules=access.rules(settings),
        calls=context.metrics.gauge("serinus_load_calls", "Calls that are being answered."),
    )


def _site(runner: web.AppRunner, context: Context[Settings]) -> web.TCPSite:
    host, port = _address(context.settings.web)
    tls = access.tls(context.settings)
    if tls is not None:
        context.spawn(access.renew(tls, context.settings, context.clock), "certificate")
    return web.TCPSite(runner, host, port, reuse_address=True, ssl_context=tls)


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise SettingsError(f"SERINUS_WEB: {listen!r} is not host:port")
    return host or "0.0.0.0", int(port)  # noqa: S104 - hooks come from other pods


def _exposition(context: Context[Settings]) -> Callable[[], bytes]:
    metrics = context.metrics
    return metrics.exposition if isinstance(metrics, PrometheusMetrics) else bytes


service = Service(name="loadtester", settings=Settings, start=start)
