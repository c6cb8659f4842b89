"""Everything that happens to waves ends here: look, plan, remember, then let go.

A wave's status is written before its orders are said, with `resourceVersion` as precondition: what
was let go survives every restart, and two coordinators cannot both let something go.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from serinus.coordinator.core import answers
from serinus.coordinator.core.answers import Answer
from serinus.coordinator.core.conditions import conditions
from serinus.coordinator.core.fleet import PULSE_S, Fleet, Message
from serinus.coordinator.core.orders import Order, Plan, View
from serinus.coordinator.core.rules import plan
from serinus.coordinator.core.standing import Key, Standing, standing
from serinus.coordinator.core.waves import API_VERSION, Wave, WaveSpec, WaveStatus
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
PHASES = ("Idle", "Running", "Waiting", "Frozen", "Paused", "Stopped", "Refused")


class Desk:
    """One cluster's coordinator."""

    def __init__(
        self, name: str, boot: int, *, cluster: Cluster, clock: Clock, metrics: Metrics
    ) -> None:
        self.name = name
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
        self._annotations: dict[Key, dict[str, str]] = {}
        self._saying: list[Message] = []
        self._gone: list[str] = []
        self._phases = metrics.gauge("serinus_waves", "Waves of this cluster, by phase.")
        self._heard = metrics.gauge("serinus_fleet_clusters", "Other clusters, by state.")

    # --- what happens -----------------------------------------------------------------------------

    async def observe(self, seen: CanaryObserved) -> None:
        """A canary of this cluster, as the watcher sees it."""
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
        self._saying += self.fleet.hear(message, self._clock.monotonic())
        self._news.set()

    def _on_wave(self, before: Obj | None, after: Obj | None) -> None:
        if after is None and before is not None:
            meta = before["metadata"]
            self._gone.append(f"{meta['namespace']}/{meta['name']}")
        self._news.set()

    # --- what is done about it --------------------------------------------------------------------

    async def run(self) -> None:
        """Looks whenever something is new or due, for ever."""
        await self.waves.synced()
        while True:
            await self._rest()
            self._news.clear()
            await self._turn()
            async with self._turned:
                self._turned.notify_all()
            await self._clock.sleep(GATHER_S)

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
            self._heard.set(len(now), {"state": "silent"})
            self._heard.set(len(self.fleet.others) - len(now), {"state": "heard"})
            await self._clock.sleep(PULSE_S)

    async def _turn(self) -> None:
        await self._say()
        view = View(self.fleet.standings, self.silent_since())
        self._due = None
        phases = dict.fromkeys(PHASES, 0)
        for key in self._gone:
            self._saying += self.fleet.order(key, ())
        self._gone.clear()
        for obj in self.waves:
            found = await self._look(obj, view)
            if found is None:
                self._wake_at(self._clock.now() + AGAIN_S)
                continue
            phases[found.status.phase] = phases.get(found.status.phase, 0) + 1
            if found.due_at is not None:
                self._wake_at(found.due_at)
        for phase, count in phases.items():
            self._phases.set(count, {"phase": phase})
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
        """Plans one wave, remembers, lets go. None: it could not be remembered."""
        try:
            wave = wave_of(obj, self.name)
        except msgspec.ValidationError as error:
            log.warning("cannot read a wave", extra={"reason": str(error)})
            return Plan(status=WaveStatus(phase="Refused"))
        found = plan(wave, view, self._clock.now())
        status = msgspec.structs.replace(
            found.status, conditions=conditions(wave.status, found.status, self._clock.now())
        )
        if status != wave.status and not await self._remember(wave, status):
            return None
        self._saying += self.fleet.order(wave.key, found.orders)
        return found

    async def _remember(self, wave: Wave, status: WaveStatus) -> bool:
        patch = {
            "metadata": {"resourceVersion": wave.resource_version},
            "status": _whole(wave.status, status),
        }
        ref = Ref(API_VERSION, "Wave", wave.namespace, wave.name)
        try:
            obj = await self._cluster.patch(ref, patch, manager=MANAGER, subresource="status")
        except SerinusError as error:
            log.info("not remembered", extra={"reason": f"{wave.key}: {error}"})
            return False
        self.waves.put_written(obj)
        if (wave.status.phase, wave.status.message) != (status.phase, status.message):
            await self._tell(wave, status)
        return True

    async def _tell(self, wave: Wave, status: WaveStatus) -> None:
        """A Kubernetes Event: what the wave does, or waits for."""
        text = status.message or f"{status.phase}, {status.done} done"
        where = f"step {status.step}: " if status.step else ""
        digest = hashlib.sha256(f"{wave.uid}{status.since}{text}".encode()).hexdigest()[:12]
        at = rfc3339(self._clock.now())
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{wave.name}.{digest}", "namespace": wave.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": "Wave",
                "name": wave.name,
                "namespace": wave.namespace,
                "uid": wave.uid,
            },
            "reason": status.phase,
            "message": f"{where}{text}",
            "type": "Warning" if status.phase in ("Stopped", "Refused") else "Normal",
            "source": {"component": "serinus-coordinator"},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
        try:
            await self._cluster.create(event)
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
        if PAUSE not in wanted and known.get(PAUSE, "").startswith(_MARK):
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

    # --- hooks ------------------------------------------------------------------------------------

    def confirm(self, namespace: str, name: str) -> Answer:
        """Whether a canary of this cluster may begin, or go on."""
        key = Key(self.name, namespace, name)
        return answers.confirm(
            self.fleet.mine.get(key), self.fleet.orders_for(key), self._silent_s()
        )

    def done(self, asking: Key, cluster: str, name: str, namespace: str) -> Answer:
        """Whether another canary is done."""
        asked = answers.find(self.fleet.standings, cluster, name, namespace)
        what = f"canary {name}" + (f" in {cluster}" if cluster else "")
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


def wave_of(obj: Obj, cluster: str) -> Wave:
    """A Wave as the API server has it. Raises msgspec.ValidationError."""
    meta = obj["metadata"]
    return Wave(
        cluster=cluster,
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
        generation=meta.get("generation", 0),
        annotations=meta.get("annotations") or {},
        spec=msgspec.convert(obj.get("spec") or {}, WaveSpec),
        status=msgspec.convert(obj.get("status") or {}, WaveStatus),
    )


def _whole(before: WaveStatus, after: WaveStatus) -> Obj:
    """The status as a merge patch: what is left out of it now is taken away."""
    new: Obj = msgspec.to_builtins(after)
    gone = msgspec.to_builtins(before).keys() - new.keys()
    used = {key: None for key in before.used.keys() - after.used.keys()}
    found: Obj = {**new, **dict.fromkeys(gone)}
    if used:
        found["used"] = {**(new.get("used") or {}), **used}
    return found
