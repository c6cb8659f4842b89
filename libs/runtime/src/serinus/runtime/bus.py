"""The bus as services see it. `nats.py` implements it on JetStream, `memory.py` in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

from serinus.events import CanaryRef


class Delivery(Protocol):
    """One message as it arrived. `delivered` counts from 1; more says that it came before."""

    message: Any
    subject: str
    sequence: int
    headers: dict[str, str]
    delivered: int

    async def ack(self) -> None: ...

    async def nak(self, after_s: float) -> None: ...


class Bucket(Protocol):
    """Small values by key that outlive restarts, private to one service (`serinus.events.BUCKETS`).

    Keys may be any text. Every method raises Retry when the bus does not answer within a bound.
    """

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None: ...

    async def create(self, key: str, value: bytes) -> bool:
        """Stores it unless the key has a value; says whether it did. One of many callers wins."""
        ...

    async def delete(self, key: str) -> None: ...

    async def keys(self) -> list[str]:
        """Every key that has a value, and maybe some that lately had one."""
        ...


class Bus(Protocol):
    """Publish, look up the latest, follow."""

    async def publish(self, message: Any, *, expect: int | None = None) -> int:
        """Sends a message to its subject and returns its sequence in the stream.

        expect  the subject's last sequence as the sender knows it (0: none yet); the server refuses
                when another message came in between, which raises Stale
        Trace context and the cause are taken from the message being handled. Raises Retry when
        the bus does not take it within a bound, Refuse when it never will (no permission, too big).
        """
        ...

    async def latest(self, message_type: type[Any], canary: CanaryRef) -> Delivery | None:
        """The newest message of this kind for this canary, or None."""
        ...

    def follow(
        self, message_types: Iterable[type[Any]], *, durable: str = ""
    ) -> AsyncIterator[Delivery]:
        """Messages of these kinds as they come, for ever, across reconnects.

        Without `durable` the last value of every canary comes first, then what follows. With it the
        server remembers what was acknowledged under that name, in order, and brings back the rest.
        """
        ...

    def on_reset(self, callback: Callable[[], None]) -> None:
        """Calls back when streams had to be made anew (the volume is gone): publish again."""
        ...

    def bucket(self, name: str) -> Bucket:
        """The key-value bucket of this name; it is made when it is first used."""
        ...
