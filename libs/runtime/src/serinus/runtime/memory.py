"""The bus in memory: the semantics of the real one, and its faults at will.

One `MemoryBroker` stands for the NATS server; each service speaks to it through a `MemoryBus` of
its own that may publish only what the subject table allows it. Bodies are encoded and decoded as on
the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

from serinus.events import BUCKETS, CanaryRef, Undecodable
from serinus.events.subjects import BY_TYPE, SERVICES, TABLE, escape, published_by
from serinus.runtime import wire
from serinus.runtime.broker import Fate, Follower, MemoryBroker, Record, healthy
from serinus.runtime.bus import Bucket
from serinus.runtime.errors import Refuse, Retry
from serinus.runtime.service import Metrics
from serinus.runtime.wire import Arrived

__all__ = ["Fate", "MemoryBroker", "MemoryBus", "Record", "healthy"]


class MemoryBus:
    """A service's connection to a MemoryBroker. An empty service name may publish everything."""

    def __init__(
        self, broker: MemoryBroker, service: str = "", metrics: Metrics | None = None
    ) -> None:
        self.broker = broker
        self.service = service
        self._allowed = _allowed(service)
        self._dead = wire.dead_counter(metrics) if metrics else None

    async def publish(self, message: Any, *, expect: int | None = None) -> int:
        envelope = wire.seal(message, self.broker.clock.now())
        prefix = envelope.subject.rsplit(".", 2)[0]
        if self._allowed is not None and not {prefix, envelope.subject} & self._allowed:
            self.broker.refusals.append((self.service, envelope.subject))
            raise Refuse(f"{self.service} may not publish on {envelope.subject}")
        record = self.broker.store(envelope.subject, envelope.headers, envelope.body, expect)
        await asyncio.sleep(0)  # as on the real bus, others get their turn
        return record.sequence

    async def latest(self, message_type: type[Any], canary: CanaryRef) -> Arrived | None:
        prefix = BY_TYPE[message_type].prefix
        subject = f"{prefix}.{escape(canary.namespace)}.{escape(canary.name)}"
        record = self.broker.last(subject)
        if record is None:
            return None
        try:
            message = wire.open_(subject, record.body)
        except Undecodable:
            return None
        if not isinstance(message, message_type):
            return None
        return Arrived(message, subject, record.sequence, record.headers)

    async def follow(
        self, message_types: Iterable[type[Any]], *, durable: str = ""
    ) -> AsyncIterator[Arrived]:
        wanted = tuple(message_types)
        prefixes = frozenset(row.prefix for row in TABLE if row.message in wanted)
        follower = Follower(self.broker, self.service, prefixes, durable)
        self.broker.followers.add(follower)
        follower.attach()
        try:
            while True:
                name, record, count = await follower.queue.get()
                if not durable and follower.outdated(record):
                    continue
                arrived = await self._arrived(follower, name, record, count)
                if arrived is None:
                    continue
                if isinstance(arrived.message, wanted):
                    yield arrived
                else:
                    await arrived.ack()
        finally:
            follower.close()

    async def _arrived(
        self, follower: Follower, name: str, record: Record, count: int
    ) -> Arrived | None:
        """The delivery, or None after bytes that are no message of ours were parked."""
        ack = partial(follower.ack, name, record)
        try:
            message = wire.open_(record.subject, record.body)
        except Undecodable as error:
            now = self.broker.clock.now()
            note = wire.parked(self.service, record.subject, str(error), record.body, now)
            envelope = wire.seal(note, now)
            self.broker.store(envelope.subject, envelope.headers, envelope.body)
            if self._dead is not None:
                self._dead.inc({"reason": "undecodable"})
            await ack()
            return None
        headers = dict(record.headers)
        if not follower.durable:
            return Arrived(message, record.subject, record.sequence, headers, count)
        nak = partial(follower.nak, name, record)
        return Arrived(message, record.subject, record.sequence, headers, count, ack, nak)

    def on_reset(self, callback: Callable[[], None]) -> None:
        self.broker.resets.append(callback)

    def bucket(self, name: str) -> Bucket:
        return _MemoryBucket(self.broker, name)

    async def close(self) -> None:
        return None


class _MemoryBucket:
    def __init__(self, broker: MemoryBroker, name: str) -> None:
        self._broker = broker
        self._name = name
        self._ttl_s = BUCKETS[name][1]

    def _entries(self) -> dict[str, tuple[bytes, float]]:
        if not self._broker.available:
            raise Retry("the bus does not answer")
        return self._broker.buckets.setdefault(self._name, {})

    async def get(self, key: str) -> bytes | None:
        value, at = self._entries().get(key, (None, 0.0))
        if self._ttl_s and self._broker.clock.now() - at >= self._ttl_s:
            return None
        return value

    async def put(self, key: str, value: bytes) -> None:
        self._entries()[key] = (value, self._broker.clock.now())

    async def create(self, key: str, value: bytes) -> bool:
        if await self.get(key) is not None:
            return False
        await self.put(key, value)
        return True

    async def delete(self, key: str) -> None:
        self._entries().pop(key, None)

    async def keys(self) -> list[str]:
        return list(self._entries())


def _allowed(service: str) -> frozenset[str] | None:
    """Subjects without namespace and name that a service may publish on; None: all."""
    if not service:
        return None
    for known in SERVICES:
        if known == service:
            return frozenset(p.removesuffix(".*.*") for p in published_by(known))
    return frozenset({f"serinus.dead.{service}"})
