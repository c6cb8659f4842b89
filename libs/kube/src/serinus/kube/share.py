"""Which canaries are this replica's: every replica of a service has a Lease, and the living share.

Each canary belongs to the living replica with the highest hash of (replica, canary), so whoever
comes or goes moves only its own share, and nobody has to agree on anything. Two replicas may hold
one canary for a moment, or none may: leases save work, `resourceVersion` keeps it right.

No clock of another machine is believed. A replica is dead when its Lease did not change while we
renewed our own a few times: while the API server is away nobody renews, and nobody dies.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Protocol

from msgspec import Meta

from serinus.kube.cluster import Cluster
from serinus.kube.refs import Obj, Ref
from serinus.kube.store import Store
from serinus.kube.watch import reflect
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Refuse, Retry, SerinusError, Stale
from serinus.runtime.service import Context, Health, Metrics
from serinus.runtime.settings import RuntimeSettings

_log = logging.getLogger(__name__)

API = "coordination.k8s.io/v1"
LABEL = "serinus.dev/shares"
MANAGER = "serinus"
RENEW_S = 3.0
# Renewals of our own during which another replica says nothing before it is taken for dead.
MISSED_MAX = 3
RELEASE_S = 2.0


class ReplicaSettings(RuntimeSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a service needs to know of its like."""

    replica: Annotated[
        str,
        Meta(description="name of this replica among its like, e.g. of its pod; empty: alone"),
    ] = ""
    replica_namespace: Annotated[
        str, Meta(description="namespace of the replicas' Leases; needed with a replica's name")
    ] = "default"


class Share(Protocol):
    """Which canaries are ours."""

    def owns(self, key: str) -> bool:
        """Whether the canary `namespace/name` is ours now."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None:
        """Calls back whenever that may have changed for any canary."""
        ...


class Everything:
    """The share of a replica that is alone."""

    def owns(self, key: str) -> bool:
        return True

    def on_change(self, callback: Callable[[], None]) -> None:
        return


def owner(key: str, replicas: Iterable[str]) -> str:
    """The replica that a canary belongs to; "" where there is none. (Highest random weight.)"""
    return max(replicas, key=lambda replica: (_weight(replica, key), replica), default="")


def _weight(replica: str, key: str) -> bytes:
    return hashlib.blake2b(f"{replica}\0{key}".encode(), digest_size=8).digest()


class Members:
    """The replicas that live, as far as one of them can tell. Nothing here does I/O.

    lease(before, after)  a Lease of our kind came, changed or went
    renewed()             we have just renewed our own
    """

    def __init__(self, me: str) -> None:
        self.me = me
        self.living: frozenset[str] = frozenset()
        self._missed: dict[str, int] = {}
        self._joined = False

    def lease(self, before: Obj | None, after: Obj | None) -> bool:
        """Whether the living changed."""
        found = after or before
        assert found is not None
        name = found["metadata"]["name"]
        if after is None:
            self._missed.pop(name, None)
        elif name != self.me:
            self._missed[name] = 0
        return self._count()

    def renewed(self) -> bool:
        """Whether the living changed: we are one of them now, or others were silent too long."""
        self._joined = True
        for name in self._missed:
            self._missed[name] += 1
        return self._count()

    def silent(self, times: int) -> list[str]:
        """Who has been silent for so many of our renewals: its Lease is litter."""
        return [name for name, missed in self._missed.items() if missed > times]

    def _count(self) -> bool:
        others = {name for name, missed in self._missed.items() if missed <= MISSED_MAX}
        living = frozenset(others | {self.me}) if self._joined else frozenset()
        changed = living != self.living
        self.living = living
        return changed


class Leased:
    """The share of a replica among others."""

    def __init__(self, service: str, replica: str, namespace: str, *, cluster: Cluster) -> None:
        # Replicas of another service may have the same name.
        self.members = Members(f"serinus-{service}-{replica}")
        self.store = Store(on_change=self._on_lease)
        self._labels = {LABEL: service}
        self._ref = Ref(API, "Lease", namespace, self.members.me)
        self._cluster = cluster
        self._callbacks: list[Callable[[], None]] = []

    def owns(self, key: str) -> bool:
        return owner(key, self.members.living) == self.members.me

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def _on_lease(self, before: Obj | None, after: Obj | None) -> None:
        if self.members.lease(before, after):
            self._changed()

    def _changed(self) -> None:
        _log.info("replicas", extra={"reason": ", ".join(sorted(self.members.living)) or "none"})
        for callback in self._callbacks:
            callback()

    async def keep(self, *, clock: Clock, health: Health, metrics: Metrics) -> None:
        """Renews our Lease for ever. Before that succeeded once nothing is ours."""
        gauge = metrics.gauge(
            "serinus_replicas", "Living replicas of this service, as this one sees them."
        )
        await self.store.synced()
        while True:
            try:
                await self._renew(clock.now())
                if self.members.renewed():
                    self._changed()
                health.set("lease", True)
                await self._sweep()
            except (Refuse, Retry, Stale) as error:
                health.set("lease", False, str(error))
            gauge.set(len(self.members.living))
            await clock.sleep(RENEW_S)

    async def _renew(self, at: float) -> None:
        meta = {"name": self._ref.name, "namespace": self._ref.namespace, "labels": self._labels}
        spec = {
            "holderIdentity": self.members.me,
            "leaseDurationSeconds": int(RENEW_S * (MISSED_MAX + 1)),
            "renewTime": _micro_time(at),
        }
        lease = {"apiVersion": API, "kind": "Lease", "metadata": meta, "spec": spec}
        await self._cluster.apply(lease, manager=MANAGER)

    async def _sweep(self) -> None:
        """Removes the Leases of replicas that died without a farewell, long after that."""
        for name in self.members.silent(10 * MISSED_MAX):
            await self._cluster.delete(Ref(API, "Lease", self._ref.namespace, name))

    async def release(self) -> None:
        """Says farewell, so that the others take over at once."""
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._cluster.delete(self._ref)
        except (SerinusError, TimeoutError) as error:
            _log.info("the lease was not released", extra={"reason": str(error)})


@asynccontextmanager
async def sharing(context: Context[Any], cluster: Cluster) -> AsyncIterator[Share]:
    """This replica's share, as its settings say, for as long as the service runs."""
    settings: ReplicaSettings = context.settings
    if not settings.replica:
        yield Everything()
        return
    share = Leased(context.name, settings.replica, settings.replica_namespace, cluster=cluster)
    context.health.set("lease", False, "not renewed yet")
    spawn: Callable[[Coroutine[Any, Any, None], str], None] = context.spawn
    follow = partial(
        reflect,
        cluster,
        API,
        "Lease",
        store=share.store,
        clock=context.clock,
        namespace=settings.replica_namespace,
        selector=f"{LABEL}={context.name}",
        health=context.health,
    )
    spawn(follow(), "watch Lease")
    keep = share.keep(clock=context.clock, health=context.health, metrics=context.metrics)
    spawn(keep, "keep the lease")
    try:
        yield share
    finally:
        await share.release()


def _micro_time(at: float) -> str:
    """The API's MicroTime."""
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
    return stamp.removesuffix("+00:00") + "Z"
