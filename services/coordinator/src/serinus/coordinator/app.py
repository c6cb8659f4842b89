"""Wiring: the only place of the coordinator where real things meet."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from serinus.coordinator.core.waves import API_VERSION
from serinus.coordinator.desk import Desk
from serinus.coordinator.settings import Settings
from serinus.coordinator.web import app
from serinus.coordinator.wire import NatsLine
from serinus.events import CanaryGone, CanaryObserved
from serinus.kube.client import connect, counting
from serinus.kube.cluster import Cluster
from serinus.kube.pulse import pulse
from serinus.kube.watch import reflect
from serinus.runtime.service import Context, Service

log = logging.getLogger(__name__)


async def observe(seen: CanaryObserved, desk: Desk) -> None:
    await desk.observe(seen)


async def forget(gone: CanaryGone, desk: Desk) -> None:
    await desk.forget(gone)


@asynccontextmanager
async def start(context: Context[Settings]) -> AsyncIterator[Desk]:
    """Connects, then coordinates until the end."""
    settings = context.settings
    count, clock = counting(context.metrics), context.clock
    async with connect(settings.kubeconfig, count=count, clock=clock) as cluster:
        context.spawn(pulse(cluster, clock=context.clock, health=context.health), "pulse")
        async with running(context, cluster) as desk:
            yield desk


@asynccontextmanager
async def running(context: Context[Settings], cluster: Cluster) -> AsyncIterator[Desk]:
    """The coordinator on any cluster."""
    settings, clock = context.settings, context.clock
    context.health.set("waves", False, "waiting for news of those whom waves name")
    desk = Desk(
        settings.cluster,
        int(clock.now() * 1000),
        cluster=cluster,
        clock=clock,
        metrics=context.metrics,
        on_ready=lambda: context.health.set("waves", True),
    )
    follow = reflect(
        cluster,
        API_VERSION,
        "Wave",
        store=desk.waves,
        clock=clock,
        namespace=settings.namespace,
        health=context.health,
    )
    context.spawn(follow, "watch Wave")
    line = NatsLine(settings, clock, context.metrics, desk.hear)
    if settings.fleet_url:
        desk.line = line
        context.spawn(line.run(), "fleet")
    context.spawn(desk.run(), "desk")
    context.spawn(desk.pulse(), "pulses")
    face = app(desk, wait_s=settings.wait_s, check_wait_s=settings.check_wait_s)
    runner = web.AppRunner(face, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        host, _, port = settings.web.rpartition(":")
        site = web.TCPSite(runner, host or None, int(port), reuse_address=True)
        await site.start()
        log.info("listening for hooks", extra={"address": str(runner.addresses[0])})
        yield desk
    finally:
        await runner.cleanup()


service = Service(
    name="coordinator",
    settings=Settings,
    start=start,
    follow={CanaryObserved: observe, CanaryGone: forget},
)
