"""The bus as services see it. `nats.py` implements it on JetStream, `memory.py` in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

from serinus.events import CanaryRef


class Delivery(Protocol):
    """One message as it arrived."""

    message: Any
    subject: str
    sequence: int
    headers: dict[str, str]
    delivered: int

    async def ack(self) -> None: ...

    async def nak(self, after_s: float) -> None: ...


class Bus(Protocol):
    """Publish, look up the latest, follow."""

    async def publish(self, message: Any, *, expect: int | None = None) -> int:
        """Sends a message to its subject and returns its sequence in the stream.

        expect  the subject's last sequence as the sender knows it (0: none yet); the server refuses
                when another message came in between, which raises Stale
        Trace context and the cause are taken from the message being handled. Raises Retry when
        the bus does not take it within a bound.
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
