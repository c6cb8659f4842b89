"""Wiring: sources -> cache -> eyes -> bus. The only place of the watcher where real things meet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from serinus.kube.client import connect, counting
from serinus.kube.cluster import Cluster
from serinus.kube.pulse import pulse
from serinus.kube.share import Share, sharing
from serinus.kube.watch import reflect
from serinus.runtime.service import Context, Service
from serinus.watcher.eyes import Eyes
from serinus.watcher.settings import Settings, policy


@asynccontextmanager
async def start(context: Context[Settings]) -> AsyncIterator[Eyes]:
    """Watches until the service stops; readiness depends on every watch (`kube <kind>`)."""
    count, clock = counting(context.metrics), context.clock
    async with connect(context.settings.kubeconfig, count=count, clock=clock) as cluster:
        context.spawn(pulse(cluster, clock=context.clock, health=context.health), "pulse")
        async with sharing(context, cluster) as share:
            yield watch(context, cluster, share)


def watch(context: Context[Settings], cluster: Cluster, share: Share) -> Eyes:
    """Starts every watch and the loop as background tasks of the service."""
    namespace = context.settings.namespace
    settled = policy(context.settings)
    eyes = Eyes(context.bus, context.clock, context.metrics, settled, cluster.get, share)
    context.bus.on_reset(eyes.tell_all)
    for source in eyes.cache.sources:
        reflecting = reflect(
            cluster,
            source.api_version,
            source.kind,
            namespace=namespace,
            store=eyes.cache.stores[source.word],
            clock=context.clock,
            # Knative's Services would speak for the others, whose name they have.
            health=context.health if source.word == source.kind else None,
            required=source.required,
            wanted=partial(eyes.cache.wants, source),
        )
        context.spawn(reflecting, f"watch {source.word}")
    context.spawn(eyes.run(), "eyes")
    context.spawn(eyes.lay_ghosts(namespace), "ghosts")

    def change_hands() -> None:
        eyes.look_at_all()
        context.spawn(eyes.lay_ghosts(namespace), "ghosts")

    share.on_change(change_hands)
    return eyes


service = Service(name="watcher", settings=Settings, start=start)
