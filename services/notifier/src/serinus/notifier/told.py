"""The memory of what was told, shared by all replicas and kept across restarts.

A mark is set after the other side took a message, so a crash in between repeats it once; losing
the whole store costs at most one repeat of what is still being delivered.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Protocol


class Told(Protocol):
    """Marks by key. Both may raise Retry when the store cannot be reached."""

    async def has(self, key: str) -> bool: ...

    async def add(self, key: str) -> None: ...


def mark(fact_id: str, audience: str) -> str:
    """The key of one message to one audience, in characters that every store takes."""
    return hashlib.sha256(f"{audience}\n{fact_id}".encode()).hexdigest()[:40]


class MemoryTold:
    """Marks in this process; the oldest are forgotten beyond `limit`."""

    def __init__(self, limit: int = 100_000) -> None:
        self._marks: OrderedDict[str, None] = OrderedDict()
        self._limit = limit

    async def has(self, key: str) -> bool:
        return key in self._marks

    async def add(self, key: str) -> None:
        self._marks[key] = None
        if len(self._marks) > self._limit:
            self._marks.popitem(last=False)
