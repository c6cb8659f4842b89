"""Whose a canary is, who is taken for dead, and what that costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from tests.unit.router.cluster import FakeCluster

from serinus.kube.errors import Denied, Unreachable
from serinus.kube.refs import Ref
from serinus.kube.share import API, MISSED_MAX, RENEW_S, Everything, ReplicaSettings, owner, sharing
from serinus.runtime import Context, LoopClock, MemoryBroker, MemoryBus
from serinus.runtime.health import HealthBoard
from serinus.runtime.http import Http
from serinus.runtime.telemetry import PrometheusMetrics

KEYS = [f"shop/web-{n}" for n in range(300)]
DEAD_S = RENEW_S * (MISSED_MAX + 2)


class Replica:
    """One replica; `share` is its own, `stop` is how its process ends."""

    def __init__(self, cluster: FakeCluster, name: str, service: str = "router") -> None:
        http: Any = Http
        self.tasks: list[asyncio.Task[None]] = []
        self.health = HealthBoard()
        self.changes = 0
        clock = LoopClock()
        context = Context(
            name=service,
            settings=ReplicaSettings(replica=name, replica_namespace="serinus"),
            bus=MemoryBus(MemoryBroker(clock), service),
            clock=clock,
            http=http,
            metrics=PrometheusMetrics(),
            health=self.health,
            spawn=lambda work, name: self.tasks.append(asyncio.ensure_future(work)),
        )
        self._sharing = sharing(context, cluster)

    async def start(self) -> Replica:
        self.share = await self._sharing.__aenter__()
        self.share.on_change(self._count)
        await asyncio.sleep(0.5)
        return self

    def _count(self) -> None:
        self.changes += 1

    def kill(self) -> None:
        for task in self.tasks:
            task.cancel()

    async def stop(self) -> None:
        self.kill()
        await self._sharing.__aexit__(None, None, None)

    def owned(self) -> set[str]:
        return {key for key in KEYS if self.share.owns(key)}


@asynccontextmanager
async def replicas(cluster: FakeCluster, *names: str) -> AsyncIterator[list[Replica]]:
    made = [Replica(cluster, name) for name in names]
    try:
        yield [await one.start() for one in made]
    finally:
        for one in made:
            one.kill()


@contextmanager
def away(cluster: FakeCluster) -> Iterator[None]:
    """The API server refuses every request, for as long as this lasts."""
    real, cluster.apply = cluster.apply, _unreachable  # type: ignore[method-assign]
    yield
    cluster.apply = real  # type: ignore[method-assign]


async def _unreachable(*_: Any, **__: Any) -> Any:
    raise Unreachable("connection refused")


# --- whose it is ---------------------------------------------------------------------------------


def test_a_canary_has_one_owner_and_shares_are_about_even() -> None:
    counts = {r: sum(owner(key, "abc") == r for key in KEYS) for r in "abc"}
    assert 300 == sum(counts.values())
    assert 60 < min(counts.values())


def test_only_the_canaries_of_who_goes_change_hands() -> None:
    for key in KEYS:
        before = owner(key, "abc")
        if before != "b":
            assert before == owner(key, "ac")


def test_nobody_owns_anything_where_nobody_lives() -> None:
    assert "" == owner("shop/web", ())
    assert Everything().owns("shop/web")


# --- who lives -----------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_two_replicas_share_and_who_stops_hands_over_at_once() -> None:
    async with replicas(FakeCluster(), "one", "two") as (one, two):
        assert set(KEYS) == one.owned() | two.owned()
        assert not one.owned() & two.owned()
        assert one.owned()
        assert two.owned()

        await two.stop()
        await asyncio.sleep(0.1)

        assert set(KEYS) == one.owned()


@pytest.mark.looptime
async def test_who_dies_is_missed_after_a_few_renewals_and_not_before() -> None:
    async with replicas(FakeCluster(), "one", "two") as (one, two):
        two.kill()
        await asyncio.sleep(RENEW_S * (MISSED_MAX - 1))
        assert set(KEYS) != one.owned()

        await asyncio.sleep(DEAD_S)

        assert set(KEYS) == one.owned()


@pytest.mark.looptime
async def test_an_api_server_that_is_away_kills_nobody() -> None:
    cluster = FakeCluster()
    async with replicas(cluster, "one", "two") as (one, two):
        owned, changes = one.owned(), one.changes
        with away(cluster):
            await asyncio.sleep(20 * DEAD_S)
            assert "connection refused" in one.health.red["lease"]
        await asyncio.sleep(DEAD_S)

        assert (owned, changes) == (one.owned(), one.changes)
        assert set(KEYS) - owned == two.owned()
        assert one.health.ready


@pytest.mark.looptime
async def test_leases_of_the_dead_are_removed_in_the_end() -> None:
    cluster = FakeCluster()
    async with replicas(cluster, "one", "two") as (_, two):
        two.kill()
        await asyncio.sleep(RENEW_S * 12 * MISSED_MAX)

        assert [Ref(API, "Lease", "serinus", "serinus-router-one")] == [
            ref for ref in cluster.objects if ref.kind == "Lease"
        ]


@pytest.mark.looptime
async def test_services_of_another_kind_share_nothing_with_us() -> None:
    cluster = FakeCluster()
    other = await Replica(cluster, "one", "analyzer").start()
    async with replicas(cluster, "one") as (one,):
        assert set(KEYS) == one.owned() == other.owned()
    other.kill()


@pytest.mark.looptime
async def test_who_may_not_write_its_lease_owns_nothing_and_says_why() -> None:
    cluster = FakeCluster()
    refused = [Denied("leases is forbidden")] * 2
    cluster.failures_of = {("apply", "Lease/serinus-router-one"): refused}
    async with replicas(cluster, "one") as (one,):
        assert set() == one.owned()
        assert "forbidden" in one.health.red["lease"]

        await asyncio.sleep(3 * RENEW_S)

        assert set(KEYS) == one.owned()
