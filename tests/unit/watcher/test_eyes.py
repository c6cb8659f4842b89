"""The loop from changes to snapshots, on virtual time and a bus in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.builders import (
    a_canary,
    a_canary_spec,
    a_config_map,
    a_deployment,
    a_status,
    an_observed,
)
from tests.unit.hands import Hands

from serinus.events import CanaryGone, CanaryObserved
from serinus.kube.cluster import Change
from serinus.kube.errors import NotFound, Unreachable
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.kube.share import Everything, Share
from serinus.runtime.clock import LoopClock
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.telemetry import PrometheusMetrics
from serinus.watcher import eyes
from serinus.watcher.core.workloads import Policy
from serinus.watcher.eyes import PAUSE_S, Eyes

pytestmark = pytest.mark.looptime


class Cluster:
    """Eyes that look at objects a test puts there, and everything they said."""

    def __init__(self, share: Share | None = None) -> None:
        self.clock = LoopClock()
        self.broker = MemoryBroker(self.clock)
        self.bus = MemoryBus(self.broker, "watcher")
        self.metrics = PrometheusMetrics()
        self.served: dict[Ref, Obj] = {}
        self.asked: list[Ref] = []
        self.is_away = False
        everything = share or Everything()
        self.eyes = Eyes(self.bus, self.clock, self.metrics, Policy(), self.get, everything)
        self.bus.on_reset(self.eyes.tell_all)
        self.said: list[Any] = []
        self._version = 1000
        self._task: asyncio.Task[None] | None = None

    async def get(self, ref: Ref) -> Obj:
        """As the API server would answer, whatever the watches have brought."""
        self.asked.append(ref)
        if self.is_away:
            raise Unreachable("no answer")
        if ref not in self.served:
            raise NotFound(str(ref))
        return self.served[ref]

    def put(self, obj: Obj) -> None:
        """As a watch would tell it: every change has a version of its own."""
        self._version += 1
        meta = {**obj["metadata"], "resourceVersion": str(self._version)}
        self.store(obj).take(Change("MODIFIED", {**obj, "metadata": meta}))

    def remove(self, obj: Obj) -> None:
        self.store(obj).take(Change("DELETED", obj))

    def store(self, obj: Obj) -> Any:
        return self.eyes.cache.stores[obj["kind"]]

    def sync(self) -> None:
        for store in self.eyes.cache.stores.values():
            store.mark_synced()

    async def listen(self) -> None:
        async for delivery in MemoryBus(self.broker, "analyzer").follow(
            [CanaryObserved, CanaryGone]
        ):
            self.said.append(delivery.message)

    async def turns(self, number: int) -> None:
        """So many turns of the loop, in no time."""
        for _ in range(number):
            await asyncio.sleep(0)

    async def settle(self) -> None:
        await asyncio.sleep(10 * PAUSE_S)


@asynccontextmanager
async def looking(*, synced: bool = True, share: Share | None = None) -> AsyncIterator[Cluster]:
    cluster = Cluster(share)
    if synced:
        cluster.sync()
    tasks = [asyncio.create_task(cluster.eyes.run()), asyncio.create_task(cluster.listen())]
    try:
        yield cluster
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_nothing_is_said_before_every_list_is_in() -> None:
    """A snapshot without its Deployment would look like a missing target."""
    async with looking(synced=False) as cluster:
        cluster.put(a_canary())
        await cluster.settle()
        assert cluster.said == []

        cluster.put(a_deployment())
        cluster.sync()
        await cluster.settle()

        assert [s.target.found for s in cluster.said] == [True]


async def test_a_target_that_its_watch_has_not_brought_yet_is_not_called_missing() -> None:
    """The Deployment was created first, the watch of Canaries was faster."""
    async with looking() as cluster:
        deployment = a_deployment()
        cluster.served[ref_of(deployment)] = deployment
        cluster.put(a_canary())
        await cluster.settle()
        cluster.store(deployment).take(Change("ADDED", deployment))
        await cluster.settle()

        assert [s.target.found for s in cluster.said] == [True]
        assert cluster.asked == [ref_of(deployment)]


async def test_a_config_that_its_watch_has_not_brought_yet_is_not_called_missing() -> None:
    async with looking() as cluster:
        source = {"configMapRef": {"name": "settings"}}
        deployment = a_deployment()
        deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [source]
        config = a_config_map("settings", {"a": "1"})
        cluster.served[ref_of(config)] = config
        cluster.put(deployment)
        cluster.put(a_canary())
        await cluster.settle()

        assert [s.missing_configs for s in cluster.said] == [()]


async def test_what_is_missing_is_asked_for_once() -> None:
    async with looking() as cluster:
        cluster.put(a_canary())
        await cluster.settle()
        cluster.put(a_canary(status=a_status("Initializing")))
        await cluster.settle()

        assert [s.target.found for s in cluster.said] == [False, False]
        assert len(cluster.asked) == 1


async def test_while_the_api_server_cannot_be_asked_nothing_is_called_missing() -> None:
    async with looking() as cluster:
        deployment = a_deployment()
        cluster.served[ref_of(deployment)] = deployment
        cluster.is_away = True
        cluster.put(a_canary())
        await cluster.settle()
        assert cluster.said == []

        cluster.is_away = False
        await asyncio.sleep(5)

        assert [s.target.found for s in cluster.said] == [True]


async def test_news_is_told_at_once() -> None:
    """Within one turn of the loop, not after the pause that bursts are collected in."""
    async with looking() as cluster:
        await cluster.settle()
        began = cluster.clock.monotonic()
        cluster.put(a_canary())
        await cluster.turns(50)

        assert cluster.said
        assert cluster.clock.monotonic() - began < PAUSE_S / 2


async def test_a_burst_becomes_two_snapshots() -> None:
    """The first news at once, the rest together after the pause; the last state is told."""
    async with looking() as cluster:
        cluster.put(a_canary())
        await cluster.settle()
        cluster.said.clear()

        for replicas in range(1, 51):
            cluster.put(a_deployment(spec={"replicas": replicas}))
            await asyncio.sleep(0.0002)
        await cluster.settle()

        assert len(cluster.said) <= 2
        assert cluster.said[-1].target.replicas == 50


async def test_what_changes_nothing_is_not_told() -> None:
    """Other people's labels, or a version that only says that somebody wrote."""
    async with looking() as cluster:
        cluster.put(a_canary())
        cluster.put(a_deployment())
        await cluster.settle()
        cluster.said.clear()

        cluster.put(a_deployment(metadata={"labels": {"seen-by": "somebody"}}))
        await cluster.settle()

        assert cluster.said == []


async def test_each_canary_is_told_by_itself() -> None:
    """A change of one target says nothing about the other canary."""
    async with looking() as cluster:
        other = a_canary("db")
        other["spec"]["targetRef"] = {**other["spec"]["targetRef"], "name": "db"}
        cluster.put(a_canary())
        cluster.put(other)
        await cluster.settle()
        cluster.said.clear()

        cluster.put(a_deployment())
        await cluster.settle()

        assert {s.canary.name for s in cluster.said} == {"web"}


async def test_a_canary_that_cannot_be_looked_at_blinds_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault of ours about one object of one user: the others go on, and so does it later."""
    right = eyes.compose

    def wrong(canary: Obj, *more: Any) -> Any:
        if canary["metadata"]["name"] == "odd":
            raise KeyError("name")
        return right(canary, *more)

    monkeypatch.setattr(eyes, "compose", wrong)
    async with looking() as cluster:
        cluster.put(a_canary(name="odd"))
        cluster.put(a_canary(name="web"))
        await cluster.settle()
        assert [seen.canary.name for seen in cluster.said] == ["web"]

        monkeypatch.setattr(eyes, "compose", right)
        cluster.put(a_canary(name="odd"))
        await cluster.settle()
        assert {seen.canary.name for seen in cluster.said} == {"web", "odd"}


async def test_a_deleted_canary_is_told_once_and_can_come_back() -> None:
    async with looking() as cluster:
        cluster.put(a_canary())
        await cluster.settle()
        cluster.remove(a_canary())
        cluster.put(a_deployment())
        await cluster.settle()
        cluster.put(a_canary(metadata={"uid": "another"}))
        await cluster.settle()

        assert [type(s) for s in cluster.said] == [CanaryObserved, CanaryGone, CanaryObserved]
        assert cluster.said[1].canary == cluster.said[0].canary
        assert cluster.said[2].canary.uid == "another"


async def test_what_the_bus_did_not_take_is_told_later_and_as_it_is_then() -> None:
    async with looking() as cluster:
        cluster.broker.disconnect()
        cluster.put(a_canary())
        await cluster.settle()
        cluster.put(a_canary(status=a_status("Initializing")))
        await asyncio.sleep(5)

        cluster.broker.reconnect()
        await asyncio.sleep(5)

        assert [s.status.phase for s in cluster.said] == ["Initializing"]


async def test_a_deletion_that_the_bus_did_not_take_is_told_later() -> None:
    async with looking() as cluster:
        cluster.put(a_canary())
        await cluster.settle()
        cluster.broker.disconnect()
        cluster.remove(a_canary())
        await asyncio.sleep(5)

        cluster.broker.reconnect()
        await asyncio.sleep(5)

        assert isinstance(cluster.said[-1], CanaryGone)


async def test_a_bus_that_lost_its_memory_is_told_everything_again() -> None:
    async with looking() as cluster:
        cluster.put(a_canary())
        cluster.put(a_canary("db"))
        await cluster.settle()
        cluster.said.clear()

        cluster.broker.lose_everything()
        await cluster.settle()

        assert {s.canary.name for s in cluster.said} == {"web", "db"}


async def test_a_reset_in_the_middle_of_a_publish_is_not_missed() -> None:
    """What is on its way when the streams are made anew may have gone to the old ones."""
    async with looking() as cluster:
        await cluster.settle()
        cluster.put(a_canary())
        for _ in range(50):
            await asyncio.sleep(0)
            if cluster.broker.stored("SNAPSHOTS"):
                break
        cluster.broker.lose_everything()
        await cluster.settle()

        assert len(cluster.broker.stored("SNAPSHOTS")) == 1


async def test_canaries_that_went_while_nobody_watched_are_gone() -> None:
    """And those that are still there, or in a namespace that is not ours, are left alone."""
    async with looking() as cluster:
        elsewhere = an_observed(canary=an_observed().canary.__class__("other", "web", "u"))
        gone = an_observed(canary=an_observed().canary.__class__("shop", "old", "u"))
        for message in (an_observed(), elsewhere, gone):
            await cluster.bus.publish(message)
        cluster.put(a_canary())

        await cluster.eyes.lay_ghosts("shop")
        await cluster.settle()

        ends = [s.canary for s in cluster.said if isinstance(s, CanaryGone)]
        assert ends == [gone.canary]


async def test_of_several_replicas_each_speaks_of_its_own_canaries() -> None:
    hands = Hands(["shop/web"])
    async with looking(share=hands) as cluster:
        hands.on_change(cluster.eyes.look_at_all)
        cluster.put(a_canary("web"))
        cluster.put(a_canary("db"))
        await cluster.settle()
        assert ["web"] == [s.canary.name for s in cluster.said]

        hands.give("shop/db")
        await cluster.settle()
        assert ["web", "db"] == [s.canary.name for s in cluster.said]

        cluster.put(a_canary("web", metadata={"labels": {"tier": "front"}}))
        cluster.put(a_canary("db", spec=a_canary_spec(suspend=True)))
        await cluster.settle()
        assert ["web", "db", "db"] == [s.canary.name for s in cluster.said]


async def test_the_end_of_another_replicas_canary_is_that_ones_news() -> None:
    hands = Hands()
    async with looking(share=hands) as cluster:
        hands.on_change(cluster.eyes.look_at_all)
        canary = a_canary("web")
        await cluster.bus.publish(an_observed())
        cluster.put(canary)
        await cluster.settle()
        cluster.remove(canary)
        await cluster.settle()
        assert not [s for s in cluster.said if isinstance(s, CanaryGone)]

        hands.give("shop/web")
        await cluster.eyes.lay_ghosts("")
        await cluster.settle()

        assert ["web"] == [s.canary.name for s in cluster.said if isinstance(s, CanaryGone)]


async def test_metrics_tell_ages_counts_and_what_is_kept() -> None:
    async with looking() as cluster:
        cluster.put(a_canary())
        cluster.put(a_deployment())
        await cluster.settle()

        text = cluster.metrics.exposition().decode()

    assert 'serinus_snapshots_total{result="published"}' in text
    assert 'serinus_watched_objects{kind="Deployment"} 1' in text
    assert "serinus_snapshot_age_seconds_count" in text
