"""The line between clusters: plain NATS messages, each cluster on subjects of its own.

`serinus.fleet.<cluster>.<word>`: a server that lets a cluster publish under its own name only makes
sure that nobody speaks for another. What gets lost is found out by the next pulse (`core.fleet`).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from serinus.coordinator.core.fleet import WORDS, Message, decoder, encode
from serinus.coordinator.settings import Settings
from serinus.runtime.clock import Clock, spread
from serinus.runtime.service import Metrics

log = logging.getLogger(__name__)

ROOT = "serinus.fleet"
CONNECT_S = 2
PING_EVERY_S = 2
RETRY_S = 2.0
LARGE, LARGEST = 1 << 14, 1 << 26


def subjects(cluster: str = "*") -> list[str]:
    """What a coordinator says; listens to, without a cluster. It needs no other right there."""
    return [f"{ROOT}.{cluster}.{word}" for word in WORDS]


class Line(Protocol):
    """Says things to all other clusters, as far as they can be reached."""

    async def say(self, messages: Iterable[Message]) -> None: ...


class Alone:
    """There are no other clusters."""

    async def say(self, messages: Iterable[Message]) -> None:
        return


class NatsLine:
    """Connects by itself, for ever. `hear` gets what other clusters say."""

    def __init__(
        self, settings: Settings, clock: Clock, metrics: Metrics, hear: Callable[[Message], None]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._hear = hear
        self._client: Client | None = None
        self._messages = metrics.counter(
            "serinus_fleet_messages_total", "Messages between clusters, by direction."
        )
        self._bytes = metrics.counter(
            "serinus_fleet_bytes_total", "Bytes between clusters, by direction."
        )

    async def run(self) -> None:
        """Connects and stays connected until cancelled."""
        try:
            while self._client is None:
                try:
                    self._client = await self._connect()
                except (OSError, nats.errors.Error, TimeoutError) as error:
                    log.warning("fleet is away", extra={"reason": str(error)})
                    await self._clock.sleep(spread(RETRY_S))
            for subject in subjects():
                await self._client.subscribe(subject, cb=self._on_message)
            await asyncio.Event().wait()
        finally:
            if self._client is not None:
                await self._client.close()

    async def _connect(self) -> Client:
        settings = self._settings
        more: dict[str, Any] = {}
        if settings.fleet_user:
            more = {"user": settings.fleet_user, "password": settings.fleet_password.reveal()}
        if settings.fleet_ca:
            more["tls"] = ssl.create_default_context(cafile=settings.fleet_ca)
        return await nats.connect(
            settings.fleet_url.split(","),
            name=f"coordinator {settings.cluster}",
            connect_timeout=CONNECT_S,
            ping_interval=PING_EVERY_S,
            max_outstanding_pings=2,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.5,
            no_echo=True,
            error_cb=_on_error,
            **more,
        )

    async def say(self, messages: Iterable[Message]) -> None:
        client = self._client
        if client is None or not client.is_connected:
            return  # a pulse will tell that there is something new
        for message in messages:
            body = packed(encode(message))
            word = str(message.__struct_config__.tag).partition(".")[0]
            try:
                await client.publish(f"{ROOT}.{self._settings.cluster}.{word}", body)
            except (nats.errors.Error, OSError) as error:
                log.info("not said", extra={"reason": str(error)})
                return
            self._messages.inc({"direction": "out"})
            self._bytes.inc({"direction": "out"}, len(body))

    async def _on_message(self, arrived: Msg) -> None:
        self._messages.inc({"direction": "in"})
        self._bytes.inc({"direction": "in"}, len(arrived.data))
        cluster = arrived.subject.removeprefix(f"{ROOT}.").partition(".")[0]
        try:
            message = decoder.decode(unpacked(arrived.data))
        except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as error:
            log.warning("cannot read", extra={"reason": f"{arrived.subject}: {error}"})
            return
        if message.cluster != cluster:
            log.warning("speaks for another", extra={"reason": arrived.subject})
            return
        self._hear(message)


def packed(body: bytes) -> bytes:
    """A body as it travels: a large one is compressed, for a server takes a megabyte at most."""
    return body if len(body) < LARGE else zlib.compress(body, 6)


def unpacked(body: bytes) -> bytes:
    """Raises ValueError for what is no such body, or would be larger than anybody says."""
    if body[:1] == b"{":
        return body
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(body, LARGEST)
    except zlib.error as error:
        raise ValueError(f"cannot be unpacked: {error}") from None
    if reader.unconsumed_tail:
        raise ValueError(f"more than {LARGEST} bytes")
    return found


async def _on_error(error: Exception) -> None:
    log.warning("fleet", extra={"reason": str(error) or type(error).__name__})
