"""What both buses share: an envelope around a message, and what is done with bad ones.

Nothing here knows how messages travel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from serinus.events import Parked, Undecodable, codec, dead_subject, decode, encode, subject_of
from serinus.runtime import context
from serinus.runtime.clock import rfc3339
from serinus.runtime.service import Counter, Metrics

BODY_MAX = 16 * 1024
"""Characters of a parked body that are kept; enough to see whose it was."""

CE_ID = "ce-id"


class Envelope(Struct, frozen=True):
    """A message ready to be sent."""

    subject: str
    headers: dict[str, str]
    body: bytes


async def _nothing() -> None:
    return None


async def _no_nak(after_s: float) -> None:
    return None


@dataclass
class Arrived:
    """A Delivery of either bus; where nothing is acknowledged, `ack` and `nak` do nothing."""

    message: Any
    subject: str
    sequence: int
    headers: dict[str, str] = field(default_factory=dict)
    delivered: int = 1
    _ack: Callable[[], Awaitable[None]] = _nothing
    _nak: Callable[[float], Awaitable[None]] = _no_nak

    async def ack(self) -> None:
        await self._ack()

    async def nak(self, after_s: float) -> None:
        await self._nak(after_s)

    @property
    def id(self) -> str:
        """The message's id as its publisher gave it."""
        return self.headers.get(codec.MSG_ID) or self.headers.get(CE_ID, "")


def seal(message: Any, now: float) -> Envelope:
    """The message with subject and headers; cause and trace are those being handled."""
    trace = context.trace.get() or context.new_trace()
    headers = codec.headers(
        message,
        at=rfc3339(now),
        cause=context.cause.get(),
        trace={context.TRACEPARENT: trace},
    )
    if isinstance(message, Parked):
        headers[codec.MSG_ID] = _parked_id(message)
        return Envelope(dead_subject(message.service), headers, encode(message))
    return Envelope(subject_of(message), headers, encode(message))


def open_(subject: str, body: bytes) -> Any:
    """The message in an envelope. Raises Undecodable, also where it lies on another's subject."""
    message = decode(body)
    if subject_of(message) != subject:
        raise Undecodable(f"a message for {subject_of(message)}")
    return message


def parked(service: str, subject: str, reason: str, body: bytes, now: float) -> Parked:
    """The note that is left in the place of a message that could not be handled."""
    text = body.decode("utf-8", "replace")[:BODY_MAX]
    return Parked(service=service, subject=subject, reason=reason, body=text, at=now)


def _parked_id(message: Parked) -> str:
    """Equal for the same message parked twice by a service, by whichever replica, whenever."""
    text = "\0".join((message.service, message.subject, message.reason, message.body))
    return f"dead:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def dead_counter(metrics: Metrics) -> Counter:
    return metrics.counter("serinus_dead_total", "Messages set aside because of their content")
