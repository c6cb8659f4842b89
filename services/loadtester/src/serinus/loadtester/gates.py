"""Manual gates: open or closed, by canary, in two spaces (`gate` and `rollback`).

A gate that nobody opened is closed, and closed gates are not kept. The bucket is shared by all
replicas; a load tester without NATS has one of its own in memory.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from serinus.runtime.bus import Bucket
from serinus.runtime.clock import Clock

BUCKET = "serinus-gates"
Space = Literal["gate", "rollback"]
SPACES: tuple[Space, ...] = ("gate", "rollback")


class Opened(Struct, frozen=True):
    """Who opened a gate, and when (Unix seconds)."""

    by: str = ""
    at: float = 0.0


class Gate(Struct, frozen=True, kw_only=True):
    """An open gate."""

    namespace: str
    name: str
    gate: Space
    by: str
    at: float


def gate_key(space: Space, name: str, namespace: str) -> str:
    """The key of a canary's gate."""
    return f"{space}.{name}.{namespace}"


class Gates:
    """Every method raises Retry when the bucket cannot be reached."""

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock

    async def is_open(self, key: str) -> bool:
        return await self._bucket.get(key) is not None

    async def opened(self, key: str) -> Opened | None:
        """Who opened it; None: it is closed."""
        found = await self._bucket.get(key)
        try:
            return msgspec.json.decode(found, type=Opened) if found is not None else None
        except msgspec.MsgspecError:
            return Opened()

    async def set(self, key: str, is_open: bool, by: str = "") -> None:
        if is_open:
            await self._bucket.put(key, msgspec.json.encode(Opened(by, self._clock.now())))
        else:
            await self._bucket.delete(key)

    async def all(self) -> list[Gate]:
        """Those that are open, by namespace and name."""
        found = [await self._gate(key) for key in await self._bucket.keys()]
        gates = [gate for gate in found if gate is not None]
        return sorted(gates, key=lambda gate: (gate.namespace, gate.name, gate.gate))

    async def _gate(self, key: str) -> Gate | None:
        space = next((space for space in SPACES if key.startswith(f"{space}.")), None)
        opened = await self.opened(key)
        if space is None or opened is None:
            return None
        name, _, namespace = key.removeprefix(f"{space}.").rpartition(".")
        return Gate(namespace=namespace, name=name, gate=space, by=opened.by, at=opened.at)
