"""The server behind the bus in memory: streams, durable names, and a switch for every fault.

`MemoryBroker` keeps what the real server would keep, in the same order and with the same rules
(last value per subject, repeats dropped inside a window, expected sequences, acknowledgements).
Time comes from the clock, so that tests run on virtual time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from serinus.events import Parked, Undecodable, codec
from serinus.events.streams import STREAMS, Stream
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Refuse, Retry, Stale

ACK_WAIT_S = 10.0
REPLAY_S = 900.0


@dataclass(frozen=True)
class Record:
    """One stored message."""

    sequence: int
    subject: str
    headers: dict[str, str]
    body: bytes
    at: float


Fate = Callable[[str, Record], Sequence[float]]
"""What becomes of a message on its way to a follower: a delay in seconds for each time it arrives.

() loses it, (0,) is a healthy bus, (0, 1) repeats it, (2,) lets later ones overtake. Called with
the following service's name. What is lost on the way to a durable follower comes back later, to any
other with the subject's next value or when the connection is made anew, as on the real bus.
"""


def healthy(service: str, record: Record) -> Sequence[float]:
    return (0.0,)


@dataclass
class _Stored:
    """One stream."""

    stream: Stream
    last: int = 0
    records: dict[int, Record] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    ids: dict[str, tuple[int, float]] = field(default_factory=dict)

    def duplicate(self, message_id: str, now: float) -> int | None:
        known = self.ids.get(message_id)
        if known and now - known[1] < self.stream.duplicate_window_s:
            return known[0]
        return None

    def store(self, subject: str, headers: dict[str, str], body: bytes, now: float) -> Record:
        self.last += 1
        record = Record(self.last, subject, headers, body, now)
        if self.stream.max_msgs_per_subject == 1 and subject in self.newest:
            del self.records[self.newest[subject]]
        self.records[self.last] = record
        self.newest[subject] = self.last
        if message_id := headers.get(codec.MSG_ID):
            self.ids[message_id] = (self.last, now)
        if self.stream.max_msgs and len(self.records) > self.stream.max_msgs:
            del self.records[next(iter(self.records))]
        return record


@dataclass
class _Durable:
    """What the server remembers of a durable follower: where it is and what is not acknowledged."""

    cursor: int = 0
    waiting: set[int] = field(default_factory=set)
    counts: dict[int, int] = field(default_factory=dict)


class MemoryBroker:
    """The server: streams, durable names, buckets; and a switch for every fault.

    fate       what becomes of each delivery; replace it at any time
    available  False: publishing and looking up raise Retry, followers hear nothing
    """

    def __init__(self, clock: Clock, fate: Fate = healthy) -> None:
        self.clock = clock
        self.fate = fate
        self.available = True
        self.refusals: list[tuple[str, str]] = []
        self.streams: dict[str, _Stored] = {}
        self.durables: dict[tuple[str, str], _Durable] = {}
        self.buckets: dict[str, dict[str, tuple[bytes, float]]] = {}
        self.followers: set[Follower] = set()
        self.resets: list[Callable[[], None]] = []
        self._make()

    def _make(self) -> None:
        self.streams = {s.name: _Stored(s) for s in STREAMS}
        self.durables = {}
        self.buckets = {}

    def stored(self, stream: str) -> list[Record]:
        """What a stream holds, oldest first."""
        return list(self.streams[stream].records.values())

    def messages(self, *types: type[Any]) -> list[Any]:
        """What all streams hold of these types (any type where none is named), oldest first."""
        found = []
        for record in itertools.chain.from_iterable(map(self.stored, self.streams)):
            try:
                message = codec.decode(record.body)
            except Undecodable:
                continue
            if not types or isinstance(message, types):
                found.append(message)
        return found

    def dead(self) -> list[Parked]:
        """What was parked."""
        records = (r for r in self.stored("FACTS") if r.subject.startswith("serinus.dead."))
        return [msgspec.json.decode(r.body, type=Parked) for r in records]

    def lose_everything(self) -> None:
        """The volume is gone: streams are empty and new, everybody is told to publish again."""
        self._make()
        for follower in list(self.followers):
            follower.forget()
            follower.attach()
        for callback in list(self.resets):
            callback()

    def disconnect(self) -> None:
        """Nobody reaches the server until `reconnect`."""
        self.available = False

    def reconnect(self) -> None:
        """The server is back; every follower without a durable name sees the whole view again."""
        self.available = True
        for follower in list(self.followers):
            follower.attach()

    def inject(self, subject: str, body: bytes) -> int:
        """Stores bytes as some foreign publisher would, unchecked."""
        return self.store(subject, {}, body).sequence

    def store(
        self, subject: str, headers: dict[str, str], body: bytes, expect: int | None = None
    ) -> Record:
        """Stores a message, or finds it stored already. Raises Stale and Retry as publish does."""
        if not self.available:
            raise Retry("the bus does not answer")
        stored = self.stream_of(subject)
        now = self.clock.now()
        message_id = headers.get(codec.MSG_ID, "")
        newest = stored.records.get(stored.newest.get(subject, 0))
        if expect is not None and expect != (newest.sequence if newest else 0):
            if newest is not None and message_id and newest.headers.get(codec.MSG_ID) == message_id:
                return newest
            raise Stale(f"{subject} is at {newest.sequence if newest else 0}, not at {expect}")
        known = stored.duplicate(message_id, now)
        if known is not None:
            return Record(known, subject, headers, body, now)
        record = stored.store(subject, headers, body, now)
        for follower in list(self.followers):
            follower.offer(record)
        return record

    def last(self, subject: str) -> Record | None:
        if not self.available:
            raise Retry("the bus does not answer")
        stored = self.stream_of(subject)
        sequence = stored.newest.get(subject)
        return stored.records.get(sequence) if sequence else None

    def stream_of(self, subject: str) -> _Stored:
        for stored in self.streams.values():
            if any(subject.startswith(s.removesuffix(">")) for s in stored.stream.subjects):
                return stored
        raise Refuse(f"no stream takes {subject}")


class Follower:
    """One `follow` in progress."""

    def __init__(
        self, broker: MemoryBroker, service: str, prefixes: frozenset[str], durable: str
    ) -> None:
        self.broker = broker
        self.service = service
        self.prefixes = prefixes
        self.durable = durable
        self.queue: asyncio.Queue[tuple[str, Record, int]] = asyncio.Queue()
        self.seen: dict[str, int] = {}
        self.held: set[tuple[str, int]] = set()
        self._timers: set[asyncio.Task[None]] = set()

    def attach(self) -> None:
        """Begins again: with the last values, or with what was not acknowledged."""
        for name, stored in self.broker.streams.items():
            if self.durable:
                self._resume(name, stored)
                continue
            for sequence in sorted(stored.newest.values()):
                record = stored.records.get(sequence)
                if record is not None:
                    self.offer(record)

    def _resume(self, name: str, stored: _Stored) -> None:
        durables = self.broker.durables
        state = durables.get((self.durable, name))
        if state is None:
            start = self.broker.clock.now() - REPLAY_S
            older = [s for s, r in stored.records.items() if r.at < start]
            state = _Durable(cursor=max(older, default=0))
            durables[self.durable, name] = state
        held = {s for f in self.broker.followers for n, s in f.held if n == name}
        for sequence in sorted(state.waiting - held):
            state.waiting.discard(sequence)
            if sequence in stored.records:
                self._send(stored.records[sequence], state)
        for sequence, record in list(stored.records.items()):
            if sequence > state.cursor and self._wants(record):
                self._send(record, state)

    def offer(self, record: Record) -> None:
        """A new message of some stream."""
        if not self.broker.available or not self._wants(record):
            return
        if not self.durable:
            self._carry(record, 1)
            return
        name = self.broker.stream_of(record.subject).stream.name
        state = self.broker.durables[self.durable, name]
        if record.sequence > state.cursor:
            self._send(record, state)

    def _wants(self, record: Record) -> bool:
        return record.subject.rsplit(".", 2)[0] in self.prefixes

    def _send(self, record: Record, state: _Durable) -> None:
        """Delivers under a durable name: whatever happens on the way, it comes back till acked."""
        state.cursor = max(state.cursor, record.sequence)
        state.counts[record.sequence] = state.counts.get(record.sequence, 0) + 1
        name = self.broker.stream_of(record.subject).stream.name
        self.held.add((name, record.sequence))
        state.waiting.add(record.sequence)
        if not self._carry(record, state.counts[record.sequence]):
            self._again(name, record, ACK_WAIT_S)

    def _carry(self, record: Record, count: int) -> bool:
        name = self.broker.stream_of(record.subject).stream.name
        delays = self.broker.fate(self.service, record)
        for delay in delays:
            if delay <= 0:
                self.queue.put_nowait((name, record, count))
            else:
                self._later(delay, partial(self.queue.put_nowait, (name, record, count)))
        return bool(delays)

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await self.broker.clock.sleep(delay_s)
            act()

        task = asyncio.get_running_loop().create_task(wait())
        self._timers.add(task)
        task.add_done_callback(self._timers.discard)

    def _again(self, name: str, record: Record, after_s: float) -> None:
        def act() -> None:
            state = self.broker.durables.get((self.durable, name))
            if state is not None and record.sequence in state.waiting:
                self._send(record, state)

        self._later(after_s, act)

    def forget(self) -> None:
        """Streams begin anew: nothing that was seen or held means anything."""
        self.seen.clear()
        self.held.clear()

    def outdated(self, record: Record) -> bool:
        """Whether a newer value of its subject was delivered: a stream never goes backwards."""
        if record.sequence < self.seen.get(record.subject, 0):
            return True
        self.seen[record.subject] = record.sequence
        return False

    async def ack(self, name: str, record: Record) -> None:
        state = self.broker.durables.get((self.durable, name))
        if state is not None:
            state.waiting.discard(record.sequence)
            state.counts.pop(record.sequence, None)
        self.held.discard((name, record.sequence))

    async def nak(self, name: str, record: Record, after_s: float) -> None:
        self._again(name, record, after_s)

    def close(self) -> None:
        self.broker.followers.discard(self)
        for task in self._timers:
            task.cancel()
