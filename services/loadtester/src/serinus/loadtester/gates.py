"""Manual gates: open or closed, by canary, in two spaces (`gate` and `rollback`).

A gate that nobody ever opened is closed. The state is shared by all replicas in a key-value bucket
of NATS; a load tester without NATS keeps it in memory.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal, Protocol

Space = Literal["gate", "rollback"]
_PLAIN = re.compile(r"[-_a-zA-Z0-9](?:[-_.a-zA-Z0-9]*[-_a-zA-Z0-9])?")


class Gates(Protocol):
    """Both raise Retry when the store cannot be reached."""

    async def is_open(self, key: str) -> bool: ...

    async def set(self, key: str, is_open: bool) -> None: ...


def gate_key(space: Space, name: str, namespace: str) -> str:
    """The key of a gate, in characters that every store takes."""
    whose = f"{name}.{namespace}"
    if _PLAIN.fullmatch(whose) and ".." not in whose:
        return f"{space}.{whose}"
    return f"{space}.{hashlib.sha256(whose.encode()).hexdigest()}"


class MemoryGates:
    """Gates of this process. Closed ones are not kept, so what is kept is what is open."""

    def __init__(self, limit: int = 10_000) -> None:
        self._open: dict[str, None] = {}
        self._limit = limit

    async def is_open(self, key: str) -> bool:
        return key in self._open

    async def set(self, key: str, is_open: bool) -> None:
        self._open.pop(key, None)
        if is_open:
            self._open[key] = None
            if len(self._open) > self._limit:
                del self._open[next(iter(self._open))]  # the oldest: closing is the safe side
