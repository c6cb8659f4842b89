"""Following a stream: one pull consumer that is attached again whenever it is lost.

Messages flow as they come within one standing request, so nothing waits for a batch to fill or for
a timer. The server's heartbeats tell a quiet stream from a dead one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.js import api
from nats.js.errors import APIError, NotFoundError

from serinus.events import Undecodable
from serinus.runtime import wire
from serinus.runtime.clock import spread
from serinus.runtime.errors import Retry
from serinus.runtime.wire import Arrived

if TYPE_CHECKING:
    from serinus.runtime.nats import NatsBus

log = logging.getLogger(__name__)

BATCH = 256
EXPIRES_S = 30.0
HEARTBEAT_S = 5.0
SILENCE_S = 2.5 * HEARTBEAT_S
"""No message and no heartbeat for so long: whoever should send them is gone."""

ACK_WAIT_S = 10.0
"""A fact whose follower has died comes to the next one after this time."""

ACK_PENDING_MAX = 1000
INACTIVE_S = 60.0
REPLAY_S = 900.0
"""A follower that the server does not know yet begins this far back: facts of a common start are
not lost, those of last week are not news."""

_NS = 1_000_000_000


_Place = tuple[int, datetime]
"""A message by its number and time: a stream that was made anew counts from one again."""


class Lost(Exception):
    """The consumer does not deliver any more; the text says why."""


class Puller:
    """Follows some subjects of one stream and puts what arrives into `out`, for ever."""

    def __init__(
        self,
        bus: NatsBus,
        stream: str,
        filters: Sequence[str],
        wanted: tuple[type[Any], ...],
        durable: str,
        out: asyncio.Queue[Arrived | Exception],
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._filters = list(filters)
        self._wanted = wanted
        self._durable = durable
        self._out = out
        self._inbox: asyncio.Queue[Msg | Lost] = asyncio.Queue()
        self._outstanding: dict[_Place, Msg] = {}
        # In order of their end; asked for each message that comes, so not a list.
        self._finished: OrderedDict[_Place, None] = OrderedDict()
        self._attached_before = False

    def interrupt(self, why: str) -> None:
        """The connection or the stream is gone: attach again as soon as that is possible."""
        self._inbox.put_nowait(Lost(why))

    async def run(self) -> None:
        """Follows until cancelled; what it cannot heal goes to the follower as an exception."""
        keeper = asyncio.get_running_loop().create_task(self._keep()) if self._durable else None
        failures = 0
        try:
            while True:
                await self._bus.ready.wait()
                try:
                    await self._session()
                except (Lost, nats.errors.Error, TimeoutError, OSError, Retry) as error:
                    failures += 1
                    log.info(
                        "follows anew",
                        extra={"stream": self._stream, "reason": str(error), "attempt": failures},
                    )
                    await self._recover(failures)
        except Exception as error:  # a bug: whoever follows must hear of it
            await self._out.put(error)
        finally:
            if keeper is not None:
                keeper.cancel()

    async def _recover(self, failures: int) -> None:
        """The lost consumer's stream may be lost, too."""
        await asyncio.sleep(spread(min(2.0, 0.02 * 2 ** min(failures, 10))))
        if not self._bus.ready.is_set():
            return
        try:
            await self._bus.heal()
        except (nats.errors.Error, TimeoutError, Retry) as error:
            log.info("could not heal", extra={"stream": self._stream, "reason": str(error)})

    async def _session(self) -> None:
        """One consumer from attaching to losing it. Raises Lost and what nats raises."""
        self._inbox = asyncio.Queue()
        client = self._bus.client
        name = await self._bus.ask(self._attach())
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=self._take)
        try:
            while True:
                await self._request(name, inbox)
                await self._receive()
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()

    async def _take(self, msg: Msg) -> None:
        self._inbox.put_nowait(msg)

    async def _request(self, name: str, inbox: str) -> None:
        ask = {
            "batch": BATCH,
            "expires": int(EXPIRES_S * _NS),
            "idle_heartbeat": int(HEARTBEAT_S * _NS),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{name}"
        await self._bus.client.publish(subject, msgspec.json.encode(ask), reply=inbox)

    async def _receive(self) -> None:
        """Takes what one request brings, until it is used up or has expired."""
        left = BATCH
        while left:
            msg = await self._next()
            status = (msg.headers or {}).get(api.Header.STATUS.value, "") if msg.headers else ""
            if not status:
                left -= 1
                await self._deliver(msg)
            elif status == "100":
                continue
            elif status in ("404", "408"):
                return
            else:
                why = (msg.headers or {}).get(api.Header.DESCRIPTION.value, "")
                if "batch completed" in why.lower():
                    return
                raise Lost(f"{status} {why}".strip())

    async def _next(self) -> Msg:
        """The next message of any kind, or Lost."""
        if self._inbox.empty():
            try:
                async with asyncio.timeout(SILENCE_S):
                    found = await self._inbox.get()
            except TimeoutError:
                raise Lost("the server is silent") from None
        else:
            found = self._inbox.get_nowait()
        if isinstance(found, Lost):
            raise found
        return found

    async def _deliver(self, msg: Msg) -> None:
        sequence = msg.metadata.sequence.stream
        place = (sequence, msg.metadata.timestamp)
        if self._durable:
            again = place in self._outstanding
            self._outstanding[place] = msg
            if again:
                return  # still in hand: the server asked only because the connection was away
            if place in self._finished:
                await self._ack(place)  # the first acknowledgement got lost
                return
        try:
            message = wire.open_(msg.subject, msg.data)
        except Undecodable as error:
            await self._park(msg, str(error))
            await self._ack(place)
            return
        if not isinstance(message, self._wanted):
            await self._ack(place)
            return
        headers = dict(msg.headers or {})
        arrived = Arrived(message, msg.subject, sequence, headers)
        if self._durable:
            arrived.delivered = msg.metadata.num_delivered or 1
            arrived._ack = partial(self._ack, place)
            arrived._nak = partial(self._nak, place)
        await self._out.put(arrived)

    async def _park(self, msg: Msg, reason: str) -> None:
        while True:
            try:
                await self._bus.park(msg.subject, reason, msg.data)
                return
            except Retry as error:
                log.warning("could not park", extra={"reason": str(error)})

    async def _ack(self, place: _Place) -> None:
        """Says that it is done; if that gets lost, the server asks and is told again."""
        msg = self._outstanding.pop(place, None)
        if msg is not None:
            self._finished.setdefault(place)
            if len(self._finished) > ACK_PENDING_MAX:
                self._finished.popitem(last=False)
            await self._answer(msg, b"")

    async def _nak(self, place: _Place, after_s: float) -> None:
        msg = self._outstanding.pop(place, None)
        if msg is not None:
            delay = msgspec.json.encode({"delay": int(after_s * _NS)})
            await self._answer(msg, b"-NAK " + delay)

    async def _answer(self, msg: Msg, body: bytes) -> None:
        try:
            await self._bus.client.publish(msg.reply, body)
        except (nats.errors.Error, OSError, Retry) as error:
            log.info("could not acknowledge", extra={"reason": str(error)})

    async def _keep(self) -> None:
        """Tells the server that what was taken is still worked on, however long that is."""
        while True:
            await asyncio.sleep(ACK_WAIT_S / 3)
            if self._bus.ready.is_set():
                for msg in list(self._outstanding.values()):
                    await self._answer(msg, b"+WPI")

    # Consumers

    async def _attach(self) -> str:
        """Makes or finds the consumer; returns its name."""
        if self._durable:
            await self._attach_durable()
            return self._durable
        name = f"{self._bus.service}-{self._bus.client.new_inbox().rpartition('.')[2]}"
        config = api.ConsumerConfig(
            name=name,
            deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT,
            ack_policy=api.AckPolicy.NONE,
            filter_subjects=self._filters,
            inactive_threshold=INACTIVE_S,
            mem_storage=True,
            num_replicas=1,
        )
        await self._bus.jetstream.add_consumer(self._stream, config)
        return name

    async def _attach_durable(self) -> None:
        jetstream = self._bus.jetstream
        try:
            info = await jetstream.consumer_info(self._stream, self._durable)
        except NotFoundError:
            await jetstream.add_consumer(self._stream, self._config())
            self._attached_before = True
            return
        live = info.config
        listens = sorted(live.filter_subjects or [live.filter_subject or ">"])
        if listens != sorted(self._filters):
            changed = live.evolve(filter_subjects=self._filters)
            changed.filter_subject = None
            await jetstream.add_consumer(self._stream, changed)
        if not self._attached_before and not info.num_waiting and info.num_ack_pending:
            await self._rewind()
        self._attached_before = True

    async def _rewind(self) -> None:
        """What our dead predecessor had in hand comes now and in order, not after the ack wait.

        Servers before 2.14 cannot; there it comes late.
        """
        try:
            await self._bus.jetstream.reset_consumer(self._stream, self._durable)
        except (APIError, nats.errors.Error, TimeoutError) as error:
            log.info("could not rewind", extra={"stream": self._stream, "reason": str(error)})

    def _config(self) -> api.ConsumerConfig:
        begin = datetime.fromtimestamp(max(0.0, self._bus.clock.now() - REPLAY_S), UTC)
        return api.ConsumerConfig(
            name=self._durable,
            durable_name=self._durable,
            deliver_policy=api.DeliverPolicy.BY_START_TIME,
            opt_start_time=begin,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_deliver=-1,  # the mailbox counts, and says what it gave up
            max_ack_pending=ACK_PENDING_MAX,
            filter_subjects=self._filters,
        )
