"""The one loop: topics that changed -> canaries affected -> snapshots that say something new.

Bursts become one snapshot: a canary is composed at once when news comes, then at most every 20 ms.
What could not be published is composed again later, so nothing is lost while the bus is away.

Each kind has a watch of its own, and none waits for another: a Canary may be seen before the
Deployment that was created before it. So before a snapshot says that something is missing, the API
server is asked for it, once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from serinus.events import CanaryGone, CanaryObserved, CanaryRef
from serinus.kube.errors import NotFound
from serinus.kube.refs import Obj, Ref
from serinus.kube.share import Share
from serinus.runtime.bus import Bus
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Refuse, Retry
from serinus.runtime.service import Metrics
from serinus.watcher.core.compose import Composed, compose, content, missing
from serinus.watcher.core.index import Index
from serinus.watcher.core.workloads import Policy
from serinus.watcher.sources import Cache

_log = logging.getLogger(__name__)

PAUSE_S = 0.02
# Snapshots on their way to the bus at the same time.
AT_ONCE = 32
# How long the last values of the bus are read for canaries that went while nobody watched.
GHOSTS_S = 30.0
AGES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0)


class Eyes:
    """Publishes a CanaryObserved whenever what is known about a canary changes.

    get  one object as the API server has it now. Raises NotFound, Retry, Refuse
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        metrics: Metrics,
        policy: Policy,
        get: Callable[[Ref], Awaitable[Obj]],
        share: Share,
    ) -> None:
        self.cache = Cache(self._changed)
        self._share = share
        self._bus = bus
        self._clock = clock
        self._policy = policy
        self._get = get
        self._index = Index()
        self._absent: dict[str, frozenset[Ref]] = {}
        self._told: dict[str, tuple[CanaryRef, bytes]] = {}
        self._epoch = 0
        self._since: dict[str, float] = {}
        self._topics: dict[str, float] = {}
        self._news = asyncio.Event()
        self._free = asyncio.Semaphore(AT_ONCE)
        self._ages = metrics.histogram(
            "serinus_snapshot_age_seconds",
            "Age of the oldest news in a snapshot when it was on the bus.",
            AGES_S,
        )
        self._snapshots = metrics.counter(
            "serinus_snapshots_total", "Snapshots composed, by what became of them."
        )
        self._objects = metrics.gauge("serinus_watched_objects", "Objects kept, by kind.")

    async def run(self) -> None:
        """Follows the cache for ever. The first snapshots come when every list is in."""
        await self.cache.synced()
        self.tell_all()
        while True:
            await self._news.wait()
            self._news.clear()
            self._note_topics()
            for source in self.cache.sources:
                self._objects.set(len(self.cache.stores[source.word]), {"kind": source.word})
            due, self._since = self._since, {}
            await asyncio.gather(*(self._looks(key, since) for key, since in sorted(due.items())))
            await self._clock.sleep(PAUSE_S)

    def tell_all(self) -> None:
        """Publishes every canary again: at the start, and when the bus lost its memory."""
        # A snapshot that is on its way right now may have gone to the old memory.
        self._epoch += 1
        self._told = {key: (ref, b"") for key, (ref, _) in self._told.items()}
        self.look_at_all()

    def look_at_all(self) -> None:
        """Publishes what of it is news: other canaries may be ours now."""
        for canary in self.cache.stores["Canary"]:
            self._due(f"{canary['metadata']['namespace']}/{canary['metadata']['name']}")

    async def lay_ghosts(self, namespace: str = "") -> None:
        """Says of canaries that were deleted while nobody watched that they are gone.

        The only look at the bus: the last values, for a bounded time, at the start and when
        canaries change hands.
        """
        await self.cache.synced()
        try:
            async with asyncio.timeout(GHOSTS_S):
                async for delivery in self._bus.follow([CanaryObserved]):
                    self._lay(delivery.message.canary, namespace)
        except TimeoutError:
            return

    def _lay(self, ref: CanaryRef, namespace: str) -> None:
        is_ours = not namespace or ref.namespace == namespace
        if is_ours and self.cache.canary(ref.namespace, ref.name) is None:
            self._told.setdefault(ref.key, (ref, b""))
            self._due(ref.key)

    def _changed(self, topics: Iterable[str]) -> None:
        """An event of a watch: called for every one, so it only takes note."""
        now = self._clock.monotonic()
        for topic in topics:
            self._topics.setdefault(topic, now)
        self._news.set()

    def _due(self, key: str, since: float | None = None) -> None:
        """This canary has to be looked at; the news is from `since`, monotonic seconds."""
        began = self._clock.monotonic() if since is None else since
        self._since[key] = min(began, self._since.get(key, began))
        self._news.set()

    def _note_topics(self) -> None:
        topics, self._topics = self._topics, {}
        for topic, since in topics.items():
            for key in self._index.affected((topic,)):
                self._due(key, since)
            # A canary that is new has no interests yet.
            if topic.startswith("canary/"):
                self._due(topic.removeprefix("canary/"), since)

    async def _looks(self, key: str, since: float) -> None:
        """What we cannot read in one canary must not close our eyes to all others."""
        try:
            await self._look(key, since)
        except Exception:
            _log.exception("a canary could not be looked at", extra={"canary": key})
            self._snapshots.inc({"result": "failed"})
            self._told.pop(key, None)

    async def _look(self, key: str, since: float) -> None:
        async with self._free:
            if not self._share.owns(key):
                self._index.remove(key)
                self._told.pop(key, None)
                self._absent.pop(key, None)
                return
            namespace, _, name = key.partition("/")
            canary = self.cache.canary(namespace, name)
            if canary is None:
                await self._tell_gone(key, since)
                return
            composed = self._compose(key, canary)
            try:
                if await self._finds(key, missing(composed.snapshot)):
                    composed = self._compose(key, self.cache.canary(namespace, name) or canary)
            except Retry as error:
                self._later(error.after_s, partial(self._due, key, since))
                return
            snapshot = composed.snapshot
            digest = content(snapshot)
            before = self._told.get(key)
            if before is not None and before[1] == digest:
                self._snapshots.inc({"result": "unchanged"})
                return
            self._told[key] = (snapshot.canary, b"")
            epoch = self._epoch
            if await self._publish(snapshot, key, since) and epoch == self._epoch:
                self._told[key] = (snapshot.canary, digest)

    def _compose(self, key: str, canary: Obj) -> Composed:
        composed = compose(canary, self.cache, self._policy, self._clock.now())
        self._index.put(key, composed.topics)
        return composed

    async def _finds(self, key: str, absent: frozenset[Ref]) -> bool:
        """Whether something is there after all that its watch has not brought yet."""
        known = self._absent.get(key, frozenset())
        self._absent[key] = absent
        found = False
        for ref in sorted(absent - known):
            try:
                obj = await self._get(ref)
            except (NotFound, Refuse):
                continue
            except Retry:
                self._absent[key] = known
                raise
            self.cache.store(ref).put_written(obj)
            found = True
        return found

    async def _tell_gone(self, key: str, since: float) -> None:
        self._index.remove(key)
        self._absent.pop(key, None)
        told = self._told.get(key)
        if told is None:
            return
        gone = CanaryGone(canary=told[0], at=self._clock.now())
        if await self._publish(gone, key, since):
            del self._told[key]

    async def _publish(self, message: Any, key: str, since: float) -> bool:
        """Whether the bus has it; what it did not take now is due again."""
        try:
            await self._bus.publish(message)
        except Retry as error:
            self._snapshots.inc({"result": "delayed"})
            self._later(error.after_s, partial(self._due, key, since))
            return False
        except Refuse as error:
            _log.error("snapshot refused", extra={"canary": key, "reason": error.reason})
            self._snapshots.inc({"result": "refused"})
            return False
        self._snapshots.inc({"result": "published"})
        self._ages.observe(max(0.0, self._clock.monotonic() - since))
        return True

    def _later(self, after_s: float, act: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(after_s, act)
