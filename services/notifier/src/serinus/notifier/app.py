"""Wiring: the only place of the notifier where real things meet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from serinus.events import API_VERSION, CanaryGone, CanaryObserved
from serinus.kube.client import connect, counting
from serinus.kube.pulse import pulse
from serinus.kube.share import sharing
from serinus.kube.watch import reflect
from serinus.notifier.ear import Ear
from serinus.notifier.settings import Settings, global_target
from serinus.notifier.stages import Courier, Limits
from serinus.notifier.standings import KIND, Standings
from serinus.notifier.told import BUCKET, BucketTold
from serinus.notifier.voice import Channels, Voice
from serinus.runtime.service import Context, Service


async def observe(seen: CanaryObserved, voice: Voice) -> None:
    voice.observe(seen)


async def forget(gone: CanaryGone, voice: Voice) -> None:
    voice.forget(gone)


@asynccontextmanager
async def start(context: Context[Settings]) -> AsyncIterator[Voice]:
    """Connects, then listens; at the end what is under way gets half of the drain time."""
    settings = context.settings
    channels = Channels(
        cluster_name=settings.cluster_name,
        chat=global_target(settings),
        event_webhook=settings.event_webhook.reveal(),
        own_namespace_only=settings.no_cross_namespace_refs,
        labelled_secrets_only=settings.labelled_secrets_only,
        dashboard_url=settings.dashboard_url,
        group_from=settings.group_from,
    )
    async with (
        connect(
            settings.kubeconfig, count=counting(context.metrics), clock=context.clock
        ) as cluster,
        sharing(context, cluster) as share,
    ):
        context.spawn(pulse(cluster, clock=context.clock, health=context.health), "pulse")
        courier = Courier(
            told=BucketTold(context.bus.bucket(BUCKET)),
            clock=context.clock,
            metrics=context.metrics,
            limits=Limits(age_s=settings.retry_for_s, company_s=settings.group_for_s),
        )
        standings = Standings(cluster, context.clock)
        context.spawn(
            reflect(
                cluster,
                API_VERSION,
                KIND,
                store=standings.store,
                clock=context.clock,
                namespace=settings.namespace,
                required=False,
            ),
            "alert providers",
        )
        context.spawn(standings.judge(), "standings")
        voice = Voice(
            bus=context.bus,
            cluster=cluster,
            http=context.http,
            clock=context.clock,
            courier=courier,
            channels=channels,
            standings=standings,
            on_reach=partial(context.health.set, "kubernetes"),
        )
        ear = Ear(context.bus, voice, share)
        context.spawn(ear.listen(), "ear")
        try:
            yield voice
        finally:
            await courier.drain(settings.drain_s / 2)
            await ear.drain()


service = Service(
    name="notifier",
    settings=Settings,
    start=start,
    follow={CanaryObserved: observe, CanaryGone: forget},
)
