"""The bus on NATS JetStream: one connection, for ever.

Here: connecting, publishing, looking up. Streams are kept in `streams.py`, following is in
`pull.py`, buckets are in `buckets.py`. Every wait has a bound; what does not come in time is a
Retry for whoever asked, and the connection heals itself meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client, Server
from nats.js import JetStreamContext
from nats.js.api import Header

from serinus.events import CanaryRef, Undecodable, codec
from serinus.events.subjects import BY_TYPE, TABLE, escape
from serinus.runtime import wire
from serinus.runtime.buckets import NatsBucket
from serinus.runtime.bus import Bucket
from serinus.runtime.clock import Clock, spread
from serinus.runtime.errors import Refuse, Retry, Stale
from serinus.runtime.pull import Puller
from serinus.runtime.service import Metrics
from serinus.runtime.settings import RuntimeSettings
from serinus.runtime.streams import Streams
from serinus.runtime.wire import Arrived

log = logging.getLogger(__name__)

CONNECT_S = 2
PING_EVERY_S = 5
PINGS_MISSED_MAX = 2
"""A server that went silent is given up after ten to fifteen seconds."""

REQUEST_S = 2.0
"""One question to JetStream; a healthy server answers within milliseconds."""

PUBLISH_S = 5.0
"""All attempts at one publish together; beyond it the sender hears Retry."""

CHECK_S = 15.0
"""How often streams are looked at while nothing happens: somebody may have deleted one."""

PUBLISHING_MAX = 1024
FOLLOWED_MAX = 256

MSG_ID = codec.MSG_ID
WRONG_SEQUENCE = (10071, 10164)
TOO_BIG = 10054


class NatsBus:
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
        self.service = service
        self.clock = clock
        self.ready = asyncio.Event()
        self._settings = settings
        self._on_state = on_state or (lambda ok, why: None)
        self._dead = wire.dead_counter(metrics)
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None
        self._streams = Streams(service, settings.stream_replicas)
        self._resets: list[Callable[[], None]] = []
        self._changed = asyncio.Event()
        self._denied: dict[str, str] = {}
        self._said = ""
        self._slots = asyncio.Semaphore(PUBLISHING_MAX)
        self._unanswered: set[asyncio.Future[Any]] = set()
        self._pullers: set[Puller] = set()
        self._task: asyncio.Task[None] | None = None

    # Connection

    def start(self) -> None:
        """Begins to connect, and to reconnect whenever that is needed, until `close`."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(
                self._live(), name=f"nats {self.service}"
            )

    async def connected(self) -> None:
        """Returns once the server answers and all streams exist."""
        await self.ready.wait()

    async def close(self) -> None:
        """Sends what is pending and disconnects."""
        self._on_state = lambda ok, why: None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        client, self._client = self._client, None
        self.ready.clear()
        if client is not None and not client.is_closed:
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                await client.flush(timeout=CONNECT_S)
            await client.close()

    @property
    def jetstream(self) -> JetStreamContext:
        """The server's JetStream. Raises Retry while there is no connection."""
        if self._jetstream is None:
            raise Retry("NATS is not connected")
        return self._jetstream

    @property
    def client(self) -> Client:
        if self._client is None:
            raise Retry("NATS is not connected")
        return self._client

    async def heal(self) -> None:
        """Makes the streams that are missing; tells followers and callbacks when some were lost.

        Raises nats.errors.Error when the server does not let us.
        """
        if await self._streams.ensure(self.jetstream):
            log.warning("streams were made anew", extra={"reason": "the server had lost them"})
            self._interrupt("streams were made anew")
            for callback in list(self._resets):
                callback()

    async def _live(self) -> None:
        while True:
            await self._connect()
            while not self.client.is_closed:
                self._changed.clear()
                pause_s = await self._settle()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._changed.wait()
            self._down("connection closed")
            await asyncio.sleep(spread(1.0))

    async def _connect(self) -> None:
        """A new connection, tried for ever."""
        while True:
            client = Client()
            self._client = client
            try:
                await client.connect(**self._options())
            except (nats.errors.Error, OSError, ValueError, TimeoutError) as error:
                self._down(str(error) or type(error).__name__)
                await asyncio.sleep(spread(1.0))
                continue
            self._jetstream = client.jetstream(timeout=REQUEST_S)
            return

    def _options(self) -> dict[str, Any]:
        s = self._settings
        options: dict[str, Any] = {
            "servers": [one.strip() for one in s.nats_url.split(",") if one.strip()],
            "name": f"serinus-{self.service}",
            "inbox_prefix": f"_INBOX.{self.service}",
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": spread(0.3, by=0.5),
            "reconnect_to_server_handler": self._pause_before,
            "connect_timeout": CONNECT_S,
            "ping_interval": PING_EVERY_S,
            "max_outstanding_pings": PINGS_MISSED_MAX,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
            "closed_cb": self._on_closed,
        }
        if s.nats_user:
            options["user"] = s.nats_user
            options["password"] = s.nats_password.reveal()
        if s.nats_ca:
            options["tls"] = ssl.create_default_context(cafile=s.nats_ca)
        return options

    def _pause_before(self, servers: list[Server], info: dict[str, Any]) -> tuple[Server, float]:
        """Which server to try next and after how long: least tried first, ever slower, jittered."""
        server = min(servers, key=lambda one: one.reconnects)
        return server, spread(min(2.0, 0.1 * 2 ** min(server.reconnects, 5)), by=0.5)

    async def _settle(self) -> float:
        """Looks after the streams when connected; returns after how long to look again."""
        if not self.client.is_connected:
            return CHECK_S
        try:
            await self.heal()
        except (nats.errors.Error, TimeoutError, Retry) as error:
            self._down(f"streams: {error}")
            return spread(0.5)
        if self.client.is_connected and not self.ready.is_set():
            self._said = ""
            self.ready.set()
            self._on_state(True, "")
        return CHECK_S

    def _down(self, why: str) -> None:
        self.ready.clear()
        self._give_up_waiting()
        self._interrupt(why)
        self._on_state(False, why)

    def _interrupt(self, why: str) -> None:
        for puller in list(self._pullers):
            puller.interrupt(why)

    def _give_up_waiting(self) -> None:
        """What was asked on a connection that is gone is never answered: ask again on the next."""
        for answer in list(self._unanswered):
            answer.cancel()

    async def _on_error(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if "permissions violation for publish" in text:
            self._denied[text.partition('"')[2].rstrip('"')] = text
        if self._jetstream is None:
            self._on_state(False, text)  # it never was connected
        if text != self._said:
            self._said = text  # a server that is away would fill the log
            log.warning("nats", extra={"reason": text})

    async def _on_disconnected(self) -> None:
        self._down("disconnected")
        self._changed.set()

    async def _on_reconnected(self) -> None:
        self._changed.set()

    async def _on_closed(self) -> None:
        self._changed.set()

    # Bus

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
                denied = self._denied.pop(envelope.subject.lower(), "")
                if denied:
                    raise Refuse(f"{self.service}: {denied}") from None
            except (nats.errors.Error, OSError):
                await asyncio.sleep(spread(0.1))

    async def _attempt(self, envelope: wire.Envelope) -> int:
        """Sends it and waits for the answer, no longer than the connection lasts."""
        answer = asyncio.ensure_future(
            self.jetstream.publish(
                envelope.subject, envelope.body, timeout=REQUEST_S, headers=envelope.headers
            )
        )
        self._unanswered.add(answer)
        try:
            await asyncio.wait({answer})
        finally:
            self._unanswered.discard(answer)
            answer.cancel()
        if answer.cancelled():
            raise nats.errors.ConnectionClosedError
        return int(answer.result().seq)

    async def _stored_before(self, envelope: wire.Envelope, error: nats.js.errors.APIError) -> int:
        """The sequence, if what came in between is this very message: its first answer was lost.

        The server looks at the expected sequence before it looks for repeats. Raises Stale.
        """
        try:
            last = await self.jetstream.get_last_msg(_stream_of(envelope), envelope.subject)
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
                found = await self.jetstream.get_last_msg(row.stream, subject)
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
        self._pullers.update(pullers)
        tasks = [asyncio.get_running_loop().create_task(one.run()) for one in pullers]
        try:
            while True:
                arrived = await out.get()
                if isinstance(arrived, Exception):
                    raise arrived
                yield arrived
        finally:
            self._pullers.difference_update(pullers)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def park(self, subject: str, reason: str, body: bytes) -> None:
        """Sets a message aside that is none of ours. Raises Retry while the bus is away."""
        await self.publish(wire.parked(self.service, subject, reason, body, self.clock.now()))
        self._dead.inc({"reason": "undecodable"})
        log.warning("parked", extra={"reason": reason, "subject": subject})

    def on_reset(self, callback: Callable[[], None]) -> None:
        self._resets.append(callback)

    def bucket(self, name: str) -> Bucket:
        return NatsBucket(self, name, self._settings.stream_replicas)


def _stream_of(envelope: wire.Envelope) -> str:
    """The stream that takes this subject."""
    prefix = envelope.subject.rsplit(".", 2)[0]
    return next((row.stream for row in TABLE if row.prefix == prefix), "FACTS")
