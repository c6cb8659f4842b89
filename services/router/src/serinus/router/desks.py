"""One desk per canary: the newest intent on it, and a worker for as long as there is work.

A desk is looked at when an intent comes, when an object that its plan may look at changes, and when
a plan asked for time. Nothing is polled. After each write all is looked at again, so the newest
intent and the newest objects always count. Whoever else writes the same fields is answered at
once the first time and ever slower afterwards: two controllers at odds must not melt the API.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from serinus.events import Intent, IntentRefused, RoutesObserved
from serinus.kube.errors import NoKind
from serinus.kube.refs import Obj, Ref
from serinus.kube.share import Share
from serinus.router.core.objects import Refusal, merge_patch
from serinus.router.core.plan import Report, makes, next_step, report
from serinus.router.core.releasing import left_behind, orphans
from serinus.router.core.scene import Scene, needs
from serinus.router.core.serving import Serving
from serinus.router.core.steps import Next, Options, Read, Settled, Wait, World, Write
from serinus.router.executor import Executor
from serinus.runtime.bus import Bus
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Refuse, Retry, SerinusError

_log = logging.getLogger(__name__)

SYNC_S = 5.0
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
# An answer of the API server that only a change can mend is asked for again this rarely.
REFUSED_RETRY_S = 30.0
MISSING_KIND_RETRY_S = 15.0
# Somebody who undid nothing for so long is answered at once again.
QUARREL_S = 120.0
WRITES_PER_LOOK = 60
# A wait that clocks can hardly tell from none ends a hair too early, and again, and again.
SHORTEST_WAIT_S = 0.01
Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]  # the work, its name


@dataclass
class Desk:
    """What is remembered about one canary between two looks; losing it costs a look, no more.

    signature, since  where requests went when last looked, and since when (monotonic seconds)
    knew_primary      its primary was there at some look
    serving           since when both have been seen to serve, and what proxies can know of that
    parked_for        the intent that has seen the canary parked
    copied            checksums of the copies that were written for this intent
    written           the last writes, to notice a quarrel: (when, how often in a row)
    """

    intent: Intent
    refs: tuple[Ref, ...] = ()
    work: asyncio.Task[None] | None = None
    timer: asyncio.Task[None] | None = None
    is_dirty: bool = False
    failures: int = 0
    signature: Hashable = None
    since: float = 0.0
    knew_primary: bool = False
    serving: Serving = field(default_factory=Serving)
    parked_for: str = ""
    copied: dict[str, str] = field(default_factory=dict)
    written: dict[tuple[Ref, str], tuple[float, int]] = field(default_factory=dict)
    told: RoutesObserved | None = None
    refused: tuple[str, str] | None = None


class Desks:
    """All canaries. `take` and `changed` never wait; the work is done in tasks of their own."""

    def __init__(
        self,
        executor: Executor,
        *,
        bus: Bus,
        clock: Clock,
        options: Options,
        share: Share,
        spawn: Spawn,
    ) -> None:
        self._executor = executor
        self._bus = bus
        self._clock = clock
        self._options = options
        self._share = share
        self._spawn = spawn
        self._desks: dict[str, Desk] = {}
        # The newest intents of canaries that are another replica's.
        self._others: dict[str, Intent] = {}
        self._interested: dict[Ref, set[str]] = defaultdict(set)

    def take(self, intent: Intent) -> None:
        """A new intent; the one before it does not count any more.

        One that was derived from an older status is passed over: two analyzers may be awake.
        """
        key = intent.canary.key
        if not self._share.owns(key):
            known = self._others.get(key)
            if known is None or not _outdated(intent, known):
                self._others[key] = intent
            return
        desk = self._desks.get(key)
        if desk is not None and desk.intent.canary.uid != intent.canary.uid:
            self._forget(key)
            desk = None
        if desk is not None and _outdated(intent, desk.intent):
            return
        if desk is None:
            desk = self._desks[key] = Desk(intent)
        elif desk.intent.id != intent.id:
            desk.copied, desk.written, desk.refused = {}, {}, None
            # The same wish may come back after another one; what was seen for it then is over.
            desk.parked_for = ""
        desk.intent, desk.failures = intent, 0
        self._register(key, desk)
        self._wake(desk)

    def changed(self, ref: Ref) -> None:
        """An object changed: whoever may look at it looks again."""
        for key in self._interested.get(ref, ()):
            self._wake(self._desks[key])

    def change_hands(self) -> None:
        """Other canaries may be ours now: a desk for each of them, and for no other."""
        for key in [key for key in self._desks if not self._share.owns(key)]:
            self._others[key] = self._desks[key].intent
            self._forget(key)
        for key in [key for key in self._others if self._share.owns(key)]:
            self.take(self._others.pop(key))

    def retell(self) -> None:
        """The bus lost its memory: whoever asks it shall find what was last reported."""
        for desk in self._desks.values():
            desk.told = None
            self._wake(desk)

    def __len__(self) -> int:
        return len(self._desks)

    def _register(self, key: str, desk: Desk) -> None:
        for ref in desk.refs:
            self._interested[ref].discard(key)
        desk.refs = needs(desk.intent)
        for ref in desk.refs:
            self._interested[ref].add(key)

    def _forget(self, key: str) -> None:
        desk = self._desks.pop(key, None)
        if desk is None:
            return
        for ref in desk.refs:
            self._interested[ref].discard(key)
            if not self._interested[ref]:
                del self._interested[ref]
        for task in (desk.timer, desk.work):
            if task is not None and task is not asyncio.current_task():
                task.cancel()

    async def _bury(self, desk: Desk) -> None:
        """The Canary is gone: so is its desk, and what nobody would collect.

        What we had taken for it is given back, if it went before our eyes: of one that went long
        ago nobody knows what became of its target since.
        """
        intent = desk.intent
        _log.info("no such canary", extra={"canary": intent.canary.key})
        if desk.knew_primary and await self._executor.is_gone(intent.canary):
            for _ in range(WRITES_PER_LOOK):
                world = World(live=self._executor.live(desk.refs), options=self._options)
                step = left_behind(intent, world)
                if step is None:
                    break
                await self._write(desk, intent, step)
        for orphan in orphans(intent, self._executor.live(desk.refs)):
            await self._executor.delete(orphan)
        self._forget(intent.canary.key)

    def _wake(self, desk: Desk) -> None:
        desk.is_dirty = True
        if desk.timer is not None:
            desk.timer.cancel()
            desk.timer = None
        if desk.work is None:
            desk.work = self._spawn(self._work(desk), f"converge {desk.intent.canary.key}")

    async def _work(self, desk: Desk) -> None:
        """Looks until nothing is new, then leaves a timer behind if time is all that is missing."""
        again_s: float | None = None
        try:
            while desk.is_dirty:
                desk.is_dirty = False
                again_s = await self._look(desk)
        finally:
            desk.work = None
        if again_s is not None and self._desks.get(desk.intent.canary.key) is desk:
            desk.timer = self._spawn(self._later(desk, again_s), "look again")

    async def _later(self, desk: Desk, seconds: float) -> None:
        await self._clock.sleep(max(seconds, SHORTEST_WAIT_S))
        desk.timer = None
        self._wake(desk)

    async def _look(self, desk: Desk) -> float | None:
        """Converges as far as possible and tells. In how many seconds to look again, if at all."""
        try:
            again_s = await self._converge(desk)
            desk.failures = 0
            return again_s
        except Refusal as refusal:
            await self._refuse(desk, refusal)
            return None
        except SerinusError as error:
            return await self._failed(desk, error)
        except Exception as error:
            # A bug of ours about one canary must not keep the others from their routes.
            _log.exception("converging failed", extra={"canary": desk.intent.canary.key})
            return await self._failed(desk, error)

    async def _converge(self, desk: Desk) -> float | None:
        late = await self._executor.synced(desk.refs, SYNC_S)
        if late:
            await self._tell(desk, Report(error=f"no list of {', '.join(late)} yet"))
            return SYNC_S
        contents: dict[str, Obj | None] = {}
        earlier: Sequence[Obj] | None = None
        is_alive = False
        for _ in range(WRITES_PER_LOOK):
            intent = desk.intent
            scene = self._scene(desk, intent, contents=contents, earlier=earlier)
            found = next_step(scene)
            match found:
                case Read():
                    earlier = await self._read(desk, scene, found, contents)
                    continue
                case Write() if (pause_s := self._quarrel_s(desk, found)) > 0:
                    why = f"{found.ref} keeps being changed by somebody else"
                    await self._tell(desk, report(scene, Wait(why)))
                    return pause_s
                case Wait(lacks=True) if not await self._executor.exists(intent.canary):
                    await self._bury(desk)
                    return None
                case Write():
                    if makes(found) and not is_alive:
                        is_alive = await self._executor.exists(intent.canary)
                        if not is_alive:
                            await self._bury(desk)
                            return None
                    await self._write(desk, intent, found)
                    # A copy's content is in `copied` now; a secret is not kept any longer.
                    if desk.intent is not intent or found.ref.kind == "Pod":
                        contents.clear()
                    continue
            await self._tell(desk, report(scene, found))
            return _again_s(found)
        return FIRST_RETRY_S

    async def _read(
        self, desk: Desk, scene: Scene, wanted: Read, contents: dict[str, Obj | None]
    ) -> Sequence[Obj] | None:
        """Finds out what a plan wants to know; what is kept of earlier primaries, as now known."""
        namespace = scene.canary.namespace
        for key in wanted.keys:
            contents[key] = await self._executor.contents(key, namespace)
        if wanted.service:
            ready = await self._executor.addresses(wanted.service, namespace)
            desk.serving.hear(ready, self._clock.monotonic())
        if wanted.earlier and scene.primary is not None:
            return await self._executor.earlier(scene.primary, scene.earlier_kind)
        return scene.world.earlier

    def _scene(self, desk: Desk, intent: Intent, **read: Any) -> Scene:
        now = self._clock.monotonic()
        desk.is_dirty = False  # whatever changed until here is in this look
        world = World(
            live=self._executor.live(desk.refs),
            copied=desk.copied,
            was_parked=desk.parked_for == intent.id,
            options=self._options,
            **read,
        )
        scene = Scene(intent, world)
        desk.knew_primary = desk.knew_primary or scene.primary is not None
        desk.serving.see(scene, now, first_at=None if desk.signature else self._clock.now())
        if desk.signature != scene.signature:
            desk.signature, desk.since = scene.signature, now
        if scene.target_rests and scene.target and scene.is_parked:
            desk.parked_for = intent.id
        seen = msgspec.structs.replace(world, unchanged_s=now - desk.since)
        return Scene(intent, desk.serving.told(seen, now))

    async def _write(self, desk: Desk, intent: Intent, step: Write) -> None:
        await self._executor.write(step, intent.canary)
        if desk.intent is intent:
            what, (at, times) = self._written(desk, step)
            now = self._clock.monotonic()
            desk.written[what] = (now, times + 1 if now - at < QUARREL_S else 1)
        if step.verb == "copy":
            desk.copied[step.why.removeprefix("copy of ")] = step.checksum
        said = {"canary": intent.canary.key, "object": str(step.ref)}
        _log.info("wrote", extra={**said, "reason": step.why})
        if step.risk:
            _log.warning("requests may be lost", extra={**said, "reason": step.risk})

    def _quarrel_s(self, desk: Desk, step: Write) -> float:
        """For how long not to write what somebody else keeps undoing; 0: write."""
        _, (at, times) = self._written(desk, step)
        since_s = self._clock.monotonic() - at
        if times < 2:
            return 0.0
        return max(0.0, min(LONGEST_RETRY_S, 2.0 ** (times - 2)) - since_s)

    def _written(self, desk: Desk, step: Write) -> tuple[tuple[Ref, str], tuple[float, int]]:
        """This write, and when it last succeeded and how often in a row."""
        what = merge_patch(step.live or {}, step.whole)
        digest = hashlib.sha256(msgspec.json.encode(what, order="sorted")).hexdigest()
        key = (step.ref, digest)
        return key, desk.written.get(key, (0.0, 0))

    async def _refuse(self, desk: Desk, refusal: Refusal) -> None:
        intent = desk.intent
        await self._tell(desk, Report(error=refusal.text, refused=refusal.reason))
        if not refusal.reason or desk.refused == (intent.id, refusal.text):
            return
        digest = hashlib.sha256(refusal.text.encode()).hexdigest()[:8]
        await self._bus.publish(
            IntentRefused(
                canary=intent.canary,
                id=f"refused:{intent.canary.uid}:{intent.id}:{digest}",
                at=self._clock.now(),
                phase=intent.phase,
                revision=intent.revision,
                severity="Warning",
                intent=intent.id,
                reason=refusal.reason,
                why=refusal.text,
            )
        )
        desk.refused = (intent.id, refusal.text)

    async def _failed(self, desk: Desk, error: Exception) -> float:
        desk.failures += 1
        pause_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(desk.failures - 1, 10))
        if isinstance(error, NoKind):
            pause_s = MISSING_KIND_RETRY_S
        elif isinstance(error, Refuse):
            pause_s = max(pause_s, REFUSED_RETRY_S)
        why = error.reason if isinstance(error, Refuse | Retry) else str(error)
        _log.warning("could not converge", extra={"canary": desk.intent.canary.key, "reason": why})
        try:
            await self._tell(desk, Report(error=why))
        except SerinusError as away:
            _log.warning("could not tell", extra={"reason": str(away)})
        return pause_s

    async def _tell(self, desk: Desk, told: Report) -> None:
        """Publishes what there is to say about the newest intent, if it is news."""
        intent = desk.intent
        fields = msgspec.structs.asdict(told)
        news = RoutesObserved(
            canary=intent.canary, intent=intent.id, revision=intent.revision, **fields
        )
        if desk.told is None:
            desk.told = await self._known(intent)
        if news == desk.told:
            return
        await self._bus.publish(msgspec.structs.replace(news, at=self._clock.now()))
        desk.told = news

    async def _known(self, intent: Intent) -> RoutesObserved | None:
        """What a process before this one reported last: its time stands while it is still true.

        Intervals count from when routes are true; told again, every rollout would begin another.
        """
        found = await self._bus.latest(RoutesObserved, intent.canary)
        if found is None or found.message.canary.uid != intent.canary.uid:
            return None
        known: RoutesObserved = msgspec.structs.replace(found.message, at=0.0)
        return known


def _outdated(intent: Intent, known: Intent) -> bool:
    """Whether it was derived from an older status of the same canary."""
    return intent.canary.uid == known.canary.uid and intent.stamp < known.stamp


def _again_s(found: Next) -> float | None:
    return found.after_s if isinstance(found, Wait | Settled) else None
