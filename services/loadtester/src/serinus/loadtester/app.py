"""Wiring: the only place of the load tester where real things meet."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from serinus.loadtester import access
from serinus.loadtester.crew import Crew
from serinus.loadtester.gates import BUCKET, Gates
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
    settings = context.settings
    alone = not settings.nats_url
    scribe = Scribe(None if alone else context.bus, context.clock, context.metrics)
    crew = Crew(
        clock=context.clock,
        metrics=context.metrics,
        work=workshop(
            context.http,
            context.clock,
            timeout_s=settings.timeout_s,
            output_limit=settings.output_bytes,
        ),
        at_once=settings.max_tasks,
        started=scribe.started,
        finished=scribe.finished,
    )
    desk = Desk(
        crew=crew,
        gates=Gates(context.bus.bucket(BUCKET), context.clock),
        namespaces=access.namespaces(settings),
        metrics=_exposition(context),
        changed=scribe.gate,
        callers=access.callers(settings),
        rules=access.rules(settings),
    )
    tls = access.tls(settings)
    if tls is not None:
        context.spawn(access.renew(tls, settings, context.clock), "certificate")
    runner = web.AppRunner(app(desk), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        host, port = _address(settings.web)
        site = web.TCPSite(runner, host, port, reuse_address=True, ssl_context=tls)
        await site.start()
        log.info("listening for hooks", extra={"address": str(runner.addresses[0])})
        async with scribe:
            try:
                yield desk
            finally:
                # While the door is still there: callers that wait get their answer.
                await crew.drain(settings.drain_s / 2)
    finally:
        await runner.cleanup()


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise SettingsError(f"SERINUS_WEB: {listen!r} is not host:port")
    return host or "0.0.0.0", int(port)  # noqa: S104 - hooks come from other pods


def _exposition(context: Context[Settings]) -> Callable[[], bytes]:
    metrics = context.metrics
    return metrics.exposition if isinstance(metrics, PrometheusMetrics) else bytes


service = Service(name="loadtester", settings=Settings, start=start)
