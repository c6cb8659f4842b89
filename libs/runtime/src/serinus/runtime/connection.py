"""One connection to NATS, for ever: connecting, healing, and streams that are always there.

Whoever waits on `ready` may ask; what is asked is answered, or refused as soon as the connection is
gone, so that it can be asked again on the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client, Server
from nats.js import JetStreamContext

from serinus.runtime.clock import spread
from serinus.runtime.errors import Retry
from serinus.runtime.settings import RuntimeSettings
from serinus.runtime.streams import Streams

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_S = 2
PING_EVERY_S = 5
PINGS_MISSED_MAX = 2
"""A server that went silent is given up after ten to fifteen seconds."""

REQUEST_S = 2.0
"""One question to JetStream; a healthy server answers within milliseconds."""

CHECK_S = 15.0
"""How often streams are looked at while nothing happens: somebody may have deleted one."""


class Connection:
    """A service's connection. `start`, then use it at once: `ready` says when that makes sense."""

    def __init__(
        self,
        service: str,
        settings: RuntimeSettings,
        *,
        on_state: Callable[[bool, str], None] | None = None,
    ) -> None:
        self.service = service
        self.ready = asyncio.Event()
        self._settings = settings
        self._on_state = on_state or (lambda ok, why: None)
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None
        self._streams = Streams(service, settings.stream_replicas)
        self._resets: list[Callable[[], None]] = []
        self._interrupts: set[Callable[[str], None]] = set()
        self._unanswered: set[asyncio.Future[Any]] = set()
        self._changed = asyncio.Event()
        self._denied: dict[str, str] = {}
        self._said = ""
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

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

    async def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """The answer to a question; waits no longer than the connection lasts.

        Raises what the question raises, and ConnectionClosedError of nats.
        """
        answer = asyncio.ensure_future(question)
        self._unanswered.add(answer)
        try:
            await asyncio.wait({answer})
        finally:
            self._unanswered.discard(answer)
            answer.cancel()
            answer.add_done_callback(_heard)
        if answer.cancelled():
            raise nats.errors.ConnectionClosedError
        return answer.result()

    async def heal(self) -> None:
        """Makes the streams that are missing; tells followers and callbacks when some were lost.

        Raises nats.errors.Error when the server does not let us.
        """
        if await self.ask(self._streams.ensure(self.jetstream)):
            log.warning("streams were made anew", extra={"reason": "the server had lost them"})
            self._interrupt("streams were made anew")
            for callback in list(self._resets):
                try:
                    callback()
                except Exception:  # whose ever it is, the others must hear, too
                    log.exception("could not tell that streams are new")

    async def _live(self) -> None:
        while True:
            await self._connect()
            await self._watch()
            self._down("connection closed")
            await asyncio.sleep(spread(1.0))

    async def _watch(self) -> None:
        """Looks after the connection until the client has closed it for good."""
        while not self.client.is_closed:
            self._changed.clear()
            pause_s = await self._settle()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()

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
            self._failures += 1
            if self._failures > 1 or not self.ready.is_set():
                self._down(f"streams: {error}")  # once may be a server that is busy
            return spread(0.5)
        self._failures = 0
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
        for callback in list(self._interrupts):
            callback(why)

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

    def on_reset(self, callback: Callable[[], None]) -> None:
        self._resets.append(callback)

    def denied(self, subject: str) -> str:
        """The server's own words if it refused us this subject since we last asked; else ""."""
        return self._denied.pop(subject.lower(), "")


def _heard(answer: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more: how it ends is no news."""
    if not answer.cancelled():
        answer.exception()
