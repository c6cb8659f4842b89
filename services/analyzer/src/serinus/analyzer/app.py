"""Wiring: the only place of the analyzer where real things meet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import metadata

from serinus.analyzer.settings import Settings, policy_of
from serinus.analyzer.shell.exports import Exports
from serinus.analyzer.shell.loadtester import credentials
from serinus.analyzer.shell.loop import Loop
from serinus.events import CanaryGone, CanaryObserved, RoutesObserved
from serinus.kube.client import connect, counting
from serinus.kube.errors import Unreachable
from serinus.kube.pulse import pulse
from serinus.kube.share import sharing
from serinus.runtime.service import Context, Service


async def observe(seen: CanaryObserved, loop: Loop) -> None:
    await loop.observe(seen)


async def observe_routes(routes: RoutesObserved, loop: Loop) -> None:
    await loop.observe_routes(routes)


async def forget(gone: CanaryGone, loop: Loop) -> None:
    await loop.forget(gone)


@asynccontextmanager
async def start(context: Context[Settings]) -> AsyncIterator[Loop]:
    """Connects, then decides until the end."""
    settings = context.settings
    ours = credentials(settings)
    exports = Exports(
        context.metrics, version=metadata.version("serinus-analyzer"), mesh=settings.mesh_provider
    )
    async with (
        connect(
            settings.kubeconfig, count=counting(context.metrics), clock=context.clock
        ) as cluster,
        sharing(context, cluster) as share,
    ):
        context.spawn(pulse(cluster, clock=context.clock, health=context.health), "pulse")
        with suppress(Unreachable):
            await cluster.live()  # what time it is for the cluster, before anything is decided
        loop = Loop(
            bus=context.bus,
            cluster=cluster,
            http=context.http,
            clock=context.clock,
            exports=exports,
            policy=policy_of(settings),
            share=share,
            spawn=context.spawn,
            concurrent_asks=settings.max_concurrent_asks,
            group_queries_from=settings.group_queries_from,
            loadtester=ours,
        )
        loop.start()
        try:
            yield loop
        finally:
            await loop.close()


service = Service(
    name="analyzer",
    settings=Settings,
    start=start,
    follow={CanaryObserved: observe, CanaryGone: forget, RoutesObserved: observe_routes},
)
