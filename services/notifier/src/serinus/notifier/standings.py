"""Follows AlertProviders and keeps in their status whether people can be reached by them.

A manifest is looked at when it comes or changes, so a bad template is told of before there is an
alert; afterwards every end of a message counts. Only what differs is written.
"""

from __future__ import annotations

import asyncio
import logging

from serinus.events import API_VERSION
from serinus.kube.cluster import Cluster
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.kube.store import Store
from serinus.notifier.core.audience import ProviderKey
from serinus.notifier.core.standing import Standing, is_judged, of_manifest, reported
from serinus.notifier.senders.catalog import SENDERS
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Retry, SerinusError

log = logging.getLogger(__name__)

KIND = "AlertProvider"
MANAGER = "serinus-notifier"
PAUSE_S = 5.0
NEEDS = {kind: row.needs for kind, row in SENDERS.items()}


class Standings:
    """`store` is kept by a watch of AlertProviders; nothing is written about what is not in it."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self.store = Store(on_change=self._changed)
        self._cluster = cluster
        self._clock = clock
        self._waiting: dict[Ref, None] = {}
        self._woken = asyncio.Event()

    def _changed(self, before: Obj | None, after: Obj | None) -> None:
        if after is not None and not is_judged(after):
            self._waiting[ref_of(after)] = None
            self._woken.set()

    async def judge(self) -> None:
        """Looks at manifests as they come, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                ref = next(iter(self._waiting))
                provider = self.store.get(ref)
                if provider is not None and not is_judged(provider):
                    try:
                        await self._write(ref, provider, of_manifest(provider, NEEDS))
                    except Retry:
                        await self._clock.sleep(PAUSE_S)
                        continue
                self._waiting.pop(ref, None)

    async def report(self, key: ProviderKey, standing: Standing) -> None:
        """Takes how a message ended. Never raises: a status is not worth a message."""
        ref = Ref(API_VERSION, KIND, key.namespace, key.name)
        provider = self.store.get(ref)
        if provider is None:
            return
        try:
            await self._write(ref, provider, standing)
        except Retry as error:
            log.warning("cannot write a status", extra={"reason": error.reason})

    async def _write(self, ref: Ref, provider: Obj, standing: Standing) -> None:
        status = reported(provider, standing, self._clock.now())
        if status is None:
            return
        try:
            written = await self._cluster.patch(
                ref, {"status": status}, manager=MANAGER, subresource="status"
            )
        except Retry:
            raise
        except SerinusError as error:  # it is gone, or we may not: the log has to do
            log.warning("cannot write a status", extra={"reason": str(error)})
            return
        self.store.put_written(written)
