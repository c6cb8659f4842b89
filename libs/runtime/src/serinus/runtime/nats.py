"""The bus on NATS JetStream: publishing, looking up, following.

The connection is kept in `connection.py`, streams in `streams.py`; `pull.py` follows one stream,
`buckets.py` holds values. Every wait has a bound; what does not come in time is a Retry for whoever
asked, and the connection heals itself meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import nats.errors
import nats.js.errors
from nats.js.api import Header

from serinus.events import CanaryRef, Undecodable, codec
from serinus.events.subjects import BY_TYPE, TABLE, escape
from serinus.runtime import wire
from serinus.runtime.buckets import NatsBucket
from serinus.runtime.bus import Bucket
from serinus.runtime.clock import Clock, spread
from serinus.runtime.connection import REQUEST_S, Connection
from serinus.runtime.errors import Refuse, Retry, Stale
from serinus.runtime.pull import Puller
from serinus.runtime.service import Metrics
from serinus.runtime.settings import RuntimeSettings
from serinus.runtime.wire import Arrived

log = logging.getLogger(__name__)

PUBLISH_S = 5.0
"""All attempts at one publish together; beyond it the sender hears Retry."""

PUBLISHING_MAX = 1024
FOLLOWED_MAX = 256

MSG_ID = codec.MSG_ID
WRONG_SEQUENCE = (10071, 10164)
TOO_BIG = 10054


class NatsBus(Connection):
    """`Bus` on JetStream. `start`, then use it at once; what is asked early waits for its bound."""

    def __init__(
        self,
        service: str,
        settings: RuntimeSettings,
        *,
        clock: Clock,
        metrics: Metrics,
        on_state: Callable[[bool, str], None] | None = None,
    ) -> None:
        super().__init__(service, settings, on_state=on_state)
        self.clock = clock
        self._dead = wire.dead_counter(metrics)
        self._slots = asyncio.Semaphore(PUBLISHING_MAX)

    async def publish(self, message: Any, *, expect: int | None = None) -> int:
        envelope = wire.seal(message, self.clock.now())
        if expect is not None:
            envelope.headers[Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value] = str(expect)
        try:
            async with asyncio.timeout(PUBLISH_S), self._slots:
                return await self._deliver(envelope)
        except TimeoutError:
            raise Retry(f"the bus did not take it within {PUBLISH_S:g} s") from None

    async def _deliver(self, envelope: wire.Envelope) -> int:
        """Tries until the server has stored it. A repeat is recognised by its id."""
        while True:
            await self.ready.wait()
            try:
                return await self._attempt(envelope)
            except nats.js.errors.NoStreamResponseError:
                await self._try_to_heal()
            except nats.js.errors.APIError as error:
                if error.err_code in WRONG_SEQUENCE:
                    return await self._stored_before(envelope, error)
                if error.err_code == TOO_BIG:
                    raise Refuse(f"{envelope.subject}: {error.description}") from None
                await asyncio.sleep(spread(0.1))
            except nats.errors.MaxPayloadError:
                raise Refuse(
                    f"{envelope.subject}: {len(envelope.body)} bytes are more than NATS takes"
                ) from None
            except TimeoutError:
                denied = self.denied(envelope.subject)
                if denied:
                    raise Refuse(f"{self.service}: {denied}") from None
            except (nats.errors.Error, OSError):
                await asyncio.sleep(spread(0.1))

    async def _attempt(self, envelope: wire.Envelope) -> int:
        ack = await self.ask(
            self.jetstream.publish(
                envelope.subject, envelope.body, timeout=REQUEST_S, headers=envelope.headers
            )
        )
        return int(ack.seq)

    async def _stored_before(self, envelope: wire.Envelope, error: nats.js.errors.APIError) -> int:
        """The sequence, if what came in between is this very message: its first answer was lost.

        The server looks at the expected sequence before it looks for repeats. Raises Stale.
        """
        try:
            last = await self.ask(
                self.jetstream.get_last_msg(_stream_of(envelope), envelope.subject)
            )
        except nats.errors.Error:
            last = None
        if last is not None and (last.headers or {}).get(MSG_ID) == envelope.headers[MSG_ID]:
            return int(last.seq or 0)
        raise Stale(f"{envelope.subject}: {error.description}") from None

    async def _try_to_heal(self) -> None:
        try:
            await self.heal()
        except (nats.errors.Error, TimeoutError):
            await asyncio.sleep(spread(0.1))

    async def latest(self, message_type: type[Any], canary: CanaryRef) -> Arrived | None:
        row = BY_TYPE[message_type]
        subject = f"{row.prefix}.{escape(canary.namespace)}.{escape(canary.name)}"
        try:
            async with asyncio.timeout(PUBLISH_S):
                await self.ready.wait()
                found = await self.ask(self.jetstream.get_last_msg(row.stream, subject))
        except nats.js.errors.NotFoundError:
            return None
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise Retry(f"the bus did not answer: {error or type(error).__name__}") from None
        try:
            message = wire.open_(subject, found.data or b"")
        except Undecodable as error:
            await self.park(subject, str(error), found.data or b"")
            return None
        if not isinstance(message, message_type):
            return None
        return Arrived(message, subject, int(found.seq or 0), dict(found.headers or {}))

    async def follow(
        self, message_types: Iterable[type[Any]], *, durable: str = ""
    ) -> AsyncIterator[Arrived]:
        wanted = tuple(message_types)
        filters: dict[str, list[str]] = {}
        for row in TABLE:
            if row.message in wanted and row.filter not in filters.setdefault(row.stream, []):
                filters[row.stream].append(row.filter)
        out: asyncio.Queue[Arrived | Exception] = asyncio.Queue(FOLLOWED_MAX)
        pullers = [Puller(self, *source, wanted, durable, out) for source in filters.items()]
        interrupts = {one.interrupt for one in pullers}
        self._interrupts |= interrupts
        tasks = [asyncio.get_running_loop().create_task(one.run()) for one in pullers]
        try:
            while True:
                arrived = await out.get()
                if isinstance(arrived, Exception):
                    raise arrived
                yield arrived
        finally:
            self._interrupts -= interrupts
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def park(self, subject: str, reason: str, body: bytes) -> None:
        """Sets a message aside that is none of ours. Raises Retry while the bus is away."""
        await self.publish(wire.parked(self.service, subject, reason, body, self.clock.now()))
        self._dead.inc({"reason": "undecodable"})
        log.warning("parked", extra={"reason": reason, "subject": subject})

    def bucket(self, name: str) -> Bucket:
        return NatsBucket(self, name, self._settings.stream_replicas)


def _stream_of(envelope: wire.Envelope) -> str:
    """The stream that takes this subject."""
    prefix = envelope.subject.rsplit(".", 2)[0]
    return next((row.stream for row in TABLE if row.prefix == prefix), "FACTS")
