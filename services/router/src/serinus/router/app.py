"""The composition root of the router: the only place where real things meet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from serinus.events import Intent
from serinus.kube.client import connect, counting
from serinus.kube.cluster import Cluster
from serinus.kube.pulse import pulse
from serinus.kube.share import Share, sharing
from serinus.kube.store import Store
from serinus.kube.watch import reflect
from serinus.router.desks import Desks
from serinus.router.executor import Executor
from serinus.router.settings import Settings
from serinus.runtime.service import Context, Service

# Every canary needs these; other kinds are followed as soon as an intent names one.
ALWAYS = (("apps/v1", "Deployment"), ("v1", "Service"))


@dataclass
class Deps:
    """What the handler needs. `namespace` is "" for all."""

    desks: Desks
    namespace: str


async def converge(intent: Intent, deps: Deps) -> None:
    """Puts the intent on its canary's desk; the work is done there."""
    if deps.namespace in ("", intent.canary.namespace):
        deps.desks.take(intent)


@asynccontextmanager
async def start(context: Context[Settings]) -> AsyncIterator[Deps]:
    """The router on the cluster that the settings name."""
    settings = context.settings
    async with (
        connect(
            settings.kubeconfig, count=counting(context.metrics), clock=context.clock
        ) as cluster,
        sharing(context, cluster) as share,
        running(context, cluster, share) as deps,
    ):
        context.spawn(pulse(cluster, clock=context.clock, health=context.health), "pulse")
        yield deps


@asynccontextmanager
async def running(
    context: Context[Settings], cluster: Cluster, share: Share
) -> AsyncIterator[Deps]:
    """The router on any cluster."""
    settings = context.settings
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    def watch(api_version: str, kind: str, namespace: str, store: Store) -> None:
        follow = reflect(
            cluster,
            api_version,
            kind,
            store=store,
            clock=context.clock,
            namespace=namespace,
            health=context.health,
            required=(api_version, kind) in ALWAYS,
        )
        context.spawn(follow, f"watch {kind}")

    executor = Executor(
        cluster,
        watch=watch,
        on_change=lambda ref: desks.changed(ref),
        namespace=settings.namespace,
    )
    desks = Desks(
        executor,
        bus=context.bus,
        clock=context.clock,
        options=settings.options(),
        share=share,
        spawn=spawn,
    )
    share.on_change(desks.change_hands)
    context.bus.on_reset(desks.retell)
    for api_version, kind in ALWAYS:
        executor.follow(api_version, kind)
    try:
        yield Deps(desks, settings.namespace)
    finally:
        # Every prefix of a plan is safe, so is stopping in the middle of one.
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


service = Service(name="router", settings=Settings, start=start, follow={Intent: converge})
