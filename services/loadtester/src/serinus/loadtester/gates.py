"""Manual gates: open or closed, by canary, in two spaces (`gate` and `rollback`).

A gate that nobody opened is closed, and closed gates are not kept. The bucket is shared by all
replicas; a load tester without NATS has one of its own in memory.
"""

from __future__ import annotations

from typing import Literal

from serinus.runtime.bus import Bucket

BUCKET = "serinus-gates"
Space = Literal["gate", "rollback"]
_OPEN = b"open"


def gate_key(space: Space, name: str, namespace: str) -> str:
    """The key of a canary's gate."""
    return f"{space}.{name}.{namespace}"


class Gates:
    """Both methods raise Retry when the bucket cannot be reached."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def is_open(self, key: str) -> bool:
        return await self._bucket.get(key) == _OPEN

    async def set(self, key: str, is_open: bool) -> None:
        if is_open:
            await self._bucket.put(key, _OPEN)
        else:
            await self._bucket.delete(key)
