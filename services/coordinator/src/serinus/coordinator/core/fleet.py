"""What clusters tell each other: each is the only one to speak of its canaries and its waves.

State travels, not history: a coordinator numbers its changes and says the newest number in every
pulse, so whoever missed one notices within a pulse and asks for the whole. Messages may be lost,
repeated or late; after a partition the views are equal again as soon as one pulse comes through.
No I/O and no clock here: times are handed in, what is to be said is handed out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TypeAlias

import msgspec
from msgspec import Struct

from serinus.coordinator.core.orders import Order
from serinus.coordinator.core.standing import Key, Standing

PULSE_S = 1.0
SILENT_S = 5.0
ASK_S = 1.0


class Pulse(Struct, frozen=True, tag_field="type", tag="pulse.v1"):
    """`cluster` lives, and its newest change has this number. `boot` grows with every start."""

    cluster: str
    boot: int
    number: int


class Changed(Struct, frozen=True, kw_only=True, tag_field="type", tag="changed.v1"):
    """One change: what is new, and the keys of what is gone; orders by wave."""

    cluster: str
    boot: int
    number: int
    standings: tuple[Standing, ...] = ()
    gone: tuple[Key, ...] = ()
    orders: dict[str, tuple[Order, ...]] = {}
    withdrawn: dict[str, tuple[Key, ...]] = {}


class Report(Struct, frozen=True, kw_only=True, tag_field="type", tag="report.v1"):
    """Everything that `cluster` has to say."""

    cluster: str
    boot: int
    number: int
    standings: tuple[Standing, ...] = ()
    orders: dict[str, tuple[Order, ...]] = {}


class Ask(Struct, frozen=True, tag_field="type", tag="ask.v1"):
    """`cluster` wants the whole of another one."""

    cluster: str
    whom: str


Message: TypeAlias = Pulse | Changed | Report | Ask

WORDS = ("ask", "changed", "pulse", "report")
"""The first part of every message's tag, which is the last part of its subject."""

decoder = msgspec.json.Decoder(Message)
encode = msgspec.json.Encoder().encode


Orders: TypeAlias = dict[str, dict[Key, Order]]
"""By wave and canary."""


class _Other(Struct):
    """What is known of another cluster. `number` -1: its whole is still to come (again).

    whole  it came once: what it says of its canaries is all there is
    """

    boot: int = 0
    number: int = -1
    whole: bool = False
    heard_at: float = float("-inf")
    asked_at: float = float("-inf")
    standings: dict[Key, Standing] = {}
    orders: Orders = {}


class Fleet:
    """One cluster's view of all.

    boot  a number that is greater after every start, e.g. the time in milliseconds
    """

    def __init__(self, cluster: str, boot: int) -> None:
        self.cluster = cluster
        self.boot = boot
        self._number = 0
        self._standings: dict[Key, Standing] = {}
        self._orders: Orders = {}
        self._others: dict[str, _Other] = {}
        self._reported_at = float("-inf")
        # All orders by canary; None: they changed since that was made.
        self._index: dict[Key, list[tuple[str, Order]]] | None = None

    # --- what is known ---------------------------------------------------------------------------

    @property
    def standings(self) -> Mapping[Key, Standing]:
        """How every canary stands, as far as is known."""
        found = dict(self._standings)
        for other in self._others.values():
            found.update(other.standings)
        return found

    @property
    def mine(self) -> Mapping[Key, Standing]:
        """The canaries of this cluster."""
        return self._standings

    @property
    def others(self) -> tuple[str, ...]:
        """The other clusters that were heard of."""
        return tuple(self._others)

    @property
    def whole(self) -> frozenset[str]:
        """The other clusters of which everything is known that they ever said."""
        return frozenset(cluster for cluster, other in self._others.items() if other.whole)

    def orders_for(self, key: Key) -> list[tuple[str, Order]]:
        """What every wave says about one canary, with the cluster that the wave lives in."""
        if self._index is None:
            self._index = {}
            homes = {self.cluster: self._orders} | {c: o.orders for c, o in self._others.items()}
            for home, waves in homes.items():
                for order in chain.from_iterable(orders.values() for orders in waves.values()):
                    self._index.setdefault(order.key, []).append((home, order))
        return self._index.get(key, [])

    def silent(self, now: float) -> dict[str, float]:
        """Clusters that were heard of once and not lately, with when they were heard last."""
        return {
            cluster: other.heard_at
            for cluster, other in self._others.items()
            if now - other.heard_at > SILENT_S
        }

    # --- what is new here -------------------------------------------------------------------------

    def stand(self, standing: Standing) -> list[Message]:
        """A canary of ours stands so."""
        if self._standings.get(standing.key) == standing:
            return []
        self._standings[standing.key] = standing
        return [self._changed(standings=(standing,))]

    def forget(self, key: Key) -> list[Message]:
        """A canary of ours is gone."""
        if self._standings.pop(key, None) is None:
            return []
        return [self._changed(gone=(key,))]

    def order(self, wave: str, orders: Iterable[Order]) -> list[Message]:
        """A wave of ours says this to its canaries; nothing: the wave is gone, or at rest."""
        known, given = self._orders.get(wave, {}), {order.key: order for order in orders}
        new = tuple(order for key, order in given.items() if known.get(key) != order)
        withdrawn = tuple(known.keys() - given.keys())
        if not new and not withdrawn:
            return []
        _take(self._orders, {wave: new}, {wave: withdrawn})
        self._index = None
        return [self._changed(orders={wave: new}, withdrawn={wave: withdrawn})]

    def _changed(
        self,
        *,
        standings: tuple[Standing, ...] = (),
        gone: tuple[Key, ...] = (),
        orders: dict[str, tuple[Order, ...]] | None = None,
        withdrawn: dict[str, tuple[Key, ...]] | None = None,
    ) -> Message:
        self._number += 1
        return Changed(
            cluster=self.cluster,
            boot=self.boot,
            number=self._number,
            standings=standings,
            gone=gone,
            orders=orders or {},
            withdrawn=withdrawn or {},
        )

    def pulse(self) -> Message:
        """To be said every PULSE_S."""
        return Pulse(self.cluster, self.boot, self._number)

    # --- what others say --------------------------------------------------------------------------

    def hear(self, message: Message, now: float) -> list[Message]:
        """Takes what another cluster says; gives what is to be said about that."""
        if message.cluster == self.cluster:
            return []
        match message:
            case Ask(whom=whom):
                return self._report(now) if whom == self.cluster else []
            case Pulse(cluster, boot, number):
                other = self._heard(cluster, boot, now)
                if other is None or other.number == number:
                    return []
                return self._ask(cluster, other, now)
            case Changed():
                return self._apply(message, now)
            case Report():
                self._replace(message, now)
                return []

    def _heard(self, cluster: str, boot: int, now: float) -> _Other | None:
        """The cluster's entry, begun anew where it was restarted; None for a voice from before.

        Clocks differ: a coordinator that starts where it is earlier is believed when the one before
        it has fallen silent.
        """
        other = self._others.setdefault(cluster, _Other())
        if boot < other.boot and now - other.heard_at <= SILENT_S:
            return None
        if boot != other.boot:
            # What it said before stands until its whole comes: it may be saying the same.
            other.boot, other.number = boot, -1
        other.heard_at = now
        return other

    def _apply(self, message: Changed, now: float) -> list[Message]:
        other = self._heard(message.cluster, message.boot, now)
        if other is None or message.number <= other.number:
            return []
        if other.number < 0 or message.number != other.number + 1:
            return self._ask(message.cluster, other, now)
        other.number = message.number
        for standing in message.standings:
            other.standings[standing.key] = standing
        for key in message.gone:
            other.standings.pop(key, None)
        if message.orders or message.withdrawn:
            _take(other.orders, message.orders, message.withdrawn)
            self._index = None
        return []

    def _replace(self, message: Report, now: float) -> None:
        other = self._heard(message.cluster, message.boot, now)
        if other is None or message.number < other.number:
            return
        other.number, other.whole = message.number, True
        other.standings = {standing.key: standing for standing in message.standings}
        other.orders = {}
        _take(other.orders, message.orders, {})
        self._index = None

    def _ask(self, cluster: str, other: _Other, now: float) -> list[Message]:
        if now - other.asked_at < ASK_S:
            return []
        other.asked_at = now
        return [Ask(self.cluster, cluster)]

    def _report(self, now: float) -> list[Message]:
        """The whole, for everybody: one answer serves all who ask at the same time."""
        if now - self._reported_at < ASK_S / 2:
            return []
        self._reported_at = now
        return [
            Report(
                cluster=self.cluster,
                boot=self.boot,
                number=self._number,
                standings=tuple(self._standings.values()),
                orders={wave: tuple(orders.values()) for wave, orders in self._orders.items()},
            )
        ]


def _take(
    orders: Orders,
    new: Mapping[str, Iterable[Order]],
    withdrawn: Mapping[str, Iterable[Key]],
) -> None:
    for wave, found in new.items():
        orders.setdefault(wave, {}).update((order.key, order) for order in found)
    for wave, keys in withdrawn.items():
        known = orders.get(wave, {})
        for key in keys:
            known.pop(key, None)
    for wave in [wave for wave in orders if not orders[wave]]:
        del orders[wave]
