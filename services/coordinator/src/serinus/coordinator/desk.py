"""Everything that happens to waves ends here: look, plan, remember, then let go.

A wave's status is written before its orders are said, with `resourceVersion` as precondition: what
was let go survives every restart, and two coordinators cannot both let something go. What only
shows how far a wave is may be written a moment later, with what comes meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from serinus.coordinator.board import Board
from serinus.coordinator.core import answers
from serinus.coordinator.core.answers import Answer
from serinus.coordinator.core.conditions import conditions
from serinus.coordinator.core.fleet import PULSE_S, SILENT_S, Ask, Fleet, Message
from serinus.coordinator.core.objects import Unreadable, event, key_of, status_patch, told, wave_of
from serinus.coordinator.core.orders import Order, Plan, View
from serinus.coordinator.core.rules import plan, refused
from serinus.coordinator.core.standing import Key, Standing, standing
from serinus.coordinator.core.waves import API_VERSION, Wave, WaveStatus, essence
from serinus.coordinator.wire import Alone, Line
from serinus.events import CanaryGone, CanaryObserved
from serinus.kube.cluster import Cluster
from serinus.kube.refs import Obj, Ref
from serinus.kube.store import Store
from serinus.kube.times import rfc3339
from serinus.runtime.clock import Clock
from serinus.runtime.errors import SerinusError
from serinus.runtime.service import Metrics

log = logging.getLogger(__name__)

MANAGER = "serinus-coordinator"
CANARY = "flagger.app/v1beta1"
ABORT, UNDO, PAUSE = "flagger.app/abort", "flagger.app/undo", "flagger.app/pause"
# News that come together are looked at together.
GATHER_S = 0.02
AGAIN_S = 5.0
# How far a wave is need not be written more often.
SHOW_S = 1.0
# After a start everybody is heard of within so long, or said to be away; all canaries of our own
# have been seen so long after the first: the bus brings the newest of each at once.
START_S, SEEN_S, LISTEN_S = SILENT_S, 2.0, 0.1


class Desk:
    """One cluster's coordinator."""

    def __init__(
        self,
        name: str,
        boot: int,
        *,
        cluster: Cluster,
        clock: Clock,
        metrics: Metrics,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        # Whether all waves were looked at once: before that nobody is told anything.
        self.ready = False
        self._on_ready = on_ready
        self.waves = Store(on_change=self._on_wave)
        self.fleet = Fleet(name, boot)
        self.line: Line = Alone()
        self._cluster = cluster
        self._clock = clock
        # Seconds of the wall clock at which the steady one began: times of one run never jump.
        self._epoch = clock.now() - clock.monotonic()
        self._news = asyncio.Event()
        self._turned = asyncio.Condition()
        self._talking = asyncio.Lock()
        self._due: float | None = None
        self._started = clock.monotonic()
        self._first_seen: float | None = None
        # Waves that were looked at since the start, and when each one's status was written last.
        self._looked: set[str] = set()
        self._written: dict[str, float] = {}
        self._annotations: dict[Key, dict[str, str]] = {}
        self._saying: list[Message] = []
        self._gone: list[str] = []
        self._board = Board(metrics)

    # --- what happens -----------------------------------------------------------------------------

    async def observe(self, seen: CanaryObserved) -> None:
        """A canary of this cluster, as the watcher sees it."""
        if self._first_seen is None:
            self._first_seen = self._clock.monotonic()
        now = standing(seen, self.name)
        self._annotations[now.key] = dict(seen.annotations)
        self._saying += self.fleet.stand(now)
        self._news.set()

    async def forget(self, gone: CanaryGone) -> None:
        key = Key(self.name, gone.canary.namespace, gone.canary.name)
        self._annotations.pop(key, None)
        self._saying += self.fleet.forget(key)
        self._news.set()

    def hear(self, message: Message) -> None:
        """What another cluster says."""
        if isinstance(message, Ask) and not self.ready:
            return  # it asks again: what we said before we started stands until we know as much
        self._saying += self.fleet.hear(message, self._clock.monotonic())
        self._news.set()

    def _on_wave(self, before: Obj | None, after: Obj | None) -> None:
        if after is None and before is not None:
            self._gone.append(key_of(before))
        self._news.set()

    # --- what is done about it --------------------------------------------------------------------

    async def run(self) -> None:
        """Looks whenever something is new or due, for ever."""
        await self.waves.synced()
        await self._listen()
        while True:
            self._news.clear()
            await self._turn()
            self.ready = True
            self._on_ready()
            async with self._turned:
                self._turned.notify_all()
            await self._clock.sleep(GATHER_S)
            await self._rest()

    async def _listen(self) -> None:
        """Waits for those whom waves name: nobody is to be told that all others are away."""
        while self._clock.monotonic() - self._started < START_S:
            named = {self.name}.union(*(self._named(obj) for obj in self.waves))
            if named <= self.whole():
                return
            await self._say()
            await self._clock.sleep(LISTEN_S)

    def _named(self, obj: Obj) -> set[str]:
        try:
            steps = wave_of(obj, self.name).spec.steps
        except Unreadable:
            return set()
        return {member.cluster or self.name for step in steps for member in step.canaries}

    def whole(self) -> frozenset[str]:
        """The clusters all of whose canaries are known here."""
        whole, first = self.fleet.whole, self._first_seen
        if first is None:
            return whole
        if self._clock.monotonic() - first < SEEN_S:
            self._wake_at(self._epoch + first + SEEN_S)
            return whole
        return whole | {self.name}

    async def _rest(self) -> None:
        if self._due is None:
            await self._news.wait()
            return
        seconds = max(0.0, self._due - self._clock.now())
        sleep = asyncio.ensure_future(self._clock.sleep(seconds))
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait((sleep, news), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            news.cancel()

    async def pulse(self) -> None:
        """Tells the others that we live, and notices who does not, for ever."""
        silent: frozenset[str] = frozenset()
        while True:
            # Behind the changes that it counts, or everybody would take them for lost.
            self._saying.append(self.fleet.pulse())
            await self._say()
            now = frozenset(self.fleet.silent(self._clock.monotonic()))
            if now != silent:
                log.warning("silent clusters", extra={"reason": ", ".join(sorted(now)) or "none"})
                silent = now
                self._news.set()
            named = set().union(*(self._named(obj) for obj in self.waves)) - {self.name}
            heard = self.fleet.whole - now
            self._board.hears({c: c in heard for c in named.union(self.fleet.others)})
            await self._clock.sleep(PULSE_S)

    async def _turn(self) -> None:
        await self._say()
        self._due = None
        view = View(
            self.fleet.standings, self.whole(), self._epoch + self._started, self.silent_since()
        )
        for key in self._gone:
            self._saying += self.fleet.order(key, ())
            self._looked.discard(key)
            self._written.pop(key, None)
        self._gone.clear()
        shown = {}
        for obj in self.waves:
            found = await self._look(obj, view)
            if found is None:
                self._wake_at(self._clock.now() + AGAIN_S)
                continue
            shown[key_of(obj)] = found.status
            if found.due_at is not None:
                self._wake_at(found.due_at)
        self._board.shows(shown)
        await self._say()
        for canary in list(self.fleet.mine):
            await self._carry_out(canary)

    def _wake_at(self, at: float) -> None:
        self._due = at if self._due is None else min(self._due, at)

    async def _say(self) -> None:
        async with self._talking:
            said, self._saying = self._saying, []
            await self.line.say(said)

    def silent_since(self) -> dict[str, float]:
        """Clusters without news, with since when in Unix seconds."""
        silent = self.fleet.silent(self._clock.monotonic())
        return {cluster: self._epoch + heard_at for cluster, heard_at in silent.items()}

    async def _look(self, obj: Obj, view: View) -> Plan | None:
        """Plans one wave, remembers, lets go. None: it could not be remembered.

        Of one that cannot be read what was ordered before stands; it says why.
        """
        now = self._clock.now()
        try:
            wave = wave_of(obj, self.name)
            found = plan(wave, view, now)
        except Unreadable as error:
            wave, found = error.wave, Plan(status=refused(error.wave, error.why, now))
            unreadable = True
        else:
            unreadable = False
        status = msgspec.structs.replace(
            found.status, conditions=conditions(wave.status, found.status, now)
        )
        if not await self._is_remembered(wave, status):
            return None
        if not unreadable:
            self._saying += self.fleet.order(wave.key, found.orders)
            self._looked.add(wave.key)
        return found

    async def _is_remembered(self, wave: Wave, status: WaveStatus) -> bool:
        if status == wave.status:
            return True
        due_at = self._written.get(wave.key, float("-inf")) + SHOW_S
        if essence(status) == essence(wave.status) and self._clock.now() < due_at:
            self._wake_at(due_at)
            return True
        return await self._remember(wave, status)

    async def _remember(self, wave: Wave, status: WaveStatus) -> bool:
        patch = {
            "metadata": {"resourceVersion": wave.resource_version},
            "status": status_patch(wave.status, status),
        }
        ref = Ref(API_VERSION, "Wave", wave.namespace, wave.name)
        try:
            obj = await self._cluster.patch(ref, patch, manager=MANAGER, subresource="status")
        except SerinusError as error:
            log.info("not remembered", extra={"reason": f"{wave.key}: {error}"})
            return False
        self._written[wave.key] = self._clock.now()
        self.waves.put_written(obj)
        if told(wave.status) != told(status):
            await self._tell(wave, status)
        return True

    async def _tell(self, wave: Wave, status: WaveStatus) -> None:
        """What the wave does, or waits for."""
        try:
            await self._cluster.create(event(wave, status, self._clock.now()))
        except SerinusError as error:
            log.info("event not written", extra={"reason": str(error)})

    # --- on our own canaries ----------------------------------------------------------------------

    async def _carry_out(self, key: Key) -> None:
        """Abort, undo and hold are requests by annotation, as anybody could make them."""
        known = self._annotations.get(key)
        stands = self.fleet.mine.get(key)
        if known is None or stands is None:
            return
        wanted: dict[str, str | None] = {}
        orders = [o for _, o in self.fleet.orders_for(key) if o.release == stands.release]
        for order in orders:
            if order.action in _ASKS:
                wanted[_ASKS[order.action]] = _words(order)
        held = known.get(PAUSE, "")
        if PAUSE not in wanted and held.startswith(_MARK) and self._may_release(held):
            wanted[PAUSE] = None
        news = {name: value for name, value in wanted.items() if known.get(name) != value}
        if not news:
            return
        ref = Ref(CANARY, "Canary", key.namespace, key.name)
        patch = {"metadata": {"annotations": news}}
        try:
            await self._cluster.patch(ref, patch, manager=MANAGER)
        except SerinusError as error:
            log.warning("could not ask", extra={"canary": str(key), "reason": str(error)})
            self._wake_at(self._clock.now() + AGAIN_S)
            return
        # The next snapshot says the same; until it comes nothing is asked twice.
        known.update({name: value or "" for name, value in news.items()})
        log.info("asked", extra={"canary": str(key), "reason": str(news)})

    def _may_release(self, held: str) -> bool:
        """Whether the wave that holds a canary would have said so again: nobody guesses."""
        wave, _, home = held.removeprefix(_MARK).partition(",")[0].partition("@")
        if home != self.name:
            return home in self.fleet.whole
        return wave in self._looked or wave not in map(key_of, self.waves)

    # --- hooks ------------------------------------------------------------------------------------

    def confirm(self, namespace: str, name: str) -> Answer:
        """Whether a canary of this cluster may begin, or go on."""
        if not self.ready:
            return Answer(NOT_YET, "the coordinator has just started")
        key = Key(self.name, namespace, name)
        return answers.confirm(
            self.fleet.mine.get(key),
            self.fleet.orders_for(key),
            self._silent_s(),
            self.fleet.whole | {self.name},
        )

    def done(self, asking: Key, cluster: str, name: str, namespace: str) -> Answer:
        """Whether another canary is done."""
        asked = answers.find(self.fleet.standings, cluster, name, namespace)
        what = f"canary {name}" + (f" in {cluster}" if cluster else "")
        if cluster and cluster not in self.whole():
            began = rfc3339(self._epoch + self._started)
            what += f": no news from there since this coordinator started at {began}"
        mine: Standing | None = self.fleet.mine.get(asking)
        return answers.done(asked, mine, what, self._silent_s())

    def _silent_s(self) -> dict[str, float]:
        now = self._clock.monotonic()
        return {cluster: now - at for cluster, at in self.fleet.silent(now).items()}

    async def settled(self, ask: Callable[[], Answer], within_s: float) -> Answer:
        """The first answer that is not `not yet`, or the last one when the time is over."""

        async def turns() -> Answer:
            while True:
                async with self._turned:
                    answer = ask()
                    if answer.status != NOT_YET:
                        return answer
                    await self._turned.wait()

        try:
            async with asyncio.timeout(within_s):
                return await turns()
        except TimeoutError:
            return ask()

    def overview(self) -> list[dict[str, Any]]:
        """Waves and how their canaries stand, for people."""
        return [
            {"name": o["metadata"]["name"], "namespace": o["metadata"]["namespace"]}
            | {"status": o.get("status") or {}}
            for o in self.waves
        ]


NOT_YET = 403
_MARK = "wave "
_ASKS = {"abort": ABORT, "undo": UNDO, "hold": PAUSE}


def _words(order: Order) -> str:
    """An annotation's value: another release of the same wave is another request."""
    return f"{_MARK}{order.wave}, release {order.release}: {order.why}"
