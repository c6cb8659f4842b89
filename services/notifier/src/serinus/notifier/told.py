"""The memory of what was told, shared by all replicas and kept across restarts.

A mark is set after the other side took a message, so a crash in between repeats it once; losing
the whole store costs at most one repeat of what is still being delivered.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from serinus.runtime.bus import Bucket

BUCKET = "serinus-told"


class Told(Protocol):
    """Marks by key. Both may raise Retry when the store cannot be reached."""

    async def has(self, key: str) -> bool: ...

    async def add(self, key: str) -> None: ...


def mark(fact_id: str, audience: str) -> str:
    """The key of one message to one audience."""
    return hashlib.sha256(f"{audience}\n{fact_id}".encode()).hexdigest()[:40]


class BucketTold:
    """Marks in a bucket of the bus, which forgets them after its time to live."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def has(self, key: str) -> bool:
        return await self._bucket.get(key) is not None

    async def add(self, key: str) -> None:
        await self._bucket.put(key, b"1")
