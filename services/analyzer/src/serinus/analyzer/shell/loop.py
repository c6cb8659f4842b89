"""All canaries: what the bus says goes to the right life, what is due wakes it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from serinus.analyzer.core.retold import left, witnesses
from serinus.analyzer.core.rollout import Answer, Decision, Policy, Rollout
from serinus.analyzer.providers.catalog import tools
from serinus.analyzer.providers.scrape import Scraper
from serinus.analyzer.shell.asks import Asks
from serinus.analyzer.shell.exports import Exports
from serinus.analyzer.shell.life import Life, World
from serinus.analyzer.shell.loadtester import Credentials
from serinus.analyzer.shell.sources import Sources
from serinus.analyzer.shell.ticks import Ticks
from serinus.events import CanaryGone, CanaryObserved, RoutesObserved
from serinus.kube.cluster import Cluster
from serinus.kube.share import Share
from serinus.runtime import context
from serinus.runtime.bus import Bus
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None], str], object]

# Canaries that went last, so that what is said of them afterwards is not taken for news.
GONE_MAX = 1000
# Turns that begin by themselves at one time; the bus has a bound of its own.
WAKING_MAX = 256


class Loop:
    """The analyzer, but for its settings and its process.

    share           which canaries are ours
    spawn           starts a background task by name
    concurrent_asks how many questions are out at one time
    group_queries_from  canaries on one server before they are asked about together
    """

    def __init__(
        self,
        *,
        bus: Bus,
        cluster: Cluster,
        http: Http,
        clock: Clock,
        exports: Exports,
        policy: Policy,
        share: Share,
        spawn: Spawn,
        concurrent_asks: int,
        group_queries_from: int,
        loadtester: Credentials | None = None,
    ) -> None:
        self._spawn_raw = spawn
        self._share = share
        self._lives: dict[str, Life] = {}
        # The newest snapshots of canaries that are another replica's.
        self._others: dict[str, CanaryObserved] = {}
        # Routes that came before their canary's first snapshot, or of another replica's canary.
        self._early: dict[str, RoutesObserved] = {}
        self._gone: OrderedDict[str, str] = OrderedDict()
        self._births: dict[str, asyncio.Lock] = {}
        self._waking = asyncio.Semaphore(WAKING_MAX)
        scraper = Scraper(http, clock, self._spawn)
        sources = Sources(
            cluster=cluster,
            tools=tools(http, cluster, clock, scraper, group_queries_from),
            clock=clock,
        )
        self._asks = Asks(
            sources=sources,
            http=http,
            clock=clock,
            answered=self._answered,
            limit=concurrent_asks,
            ours=loadtester,
        )
        self._ticks = Ticks(clock, self._due)
        self._world = World(
            bus=bus,
            cluster=cluster,
            clock=clock,
            asks=self._asks,
            ticks=self._ticks,
            sources=sources,
            exports=exports,
            policy=policy,
            spawn=self._spawn,
        )

    def start(self) -> None:
        """Begins to keep time, and to listen for a bus that lost its memory."""
        self._spawn_raw(self._ticks.run(), "ticks")
        self._world.bus.on_reset(self._republish)
        self._share.on_change(self._change_hands)

    async def close(self) -> None:
        await self._asks.close()

    @property
    def early(self) -> int:
        """Of how many canaries routes were heard of, but no snapshot yet."""
        return len(self._early)

    def life(self, key: str) -> Life | None:
        """The canary `namespace/name`, if it is known."""
        return self._lives.get(key)

    # --- what the bus says -----------------------------------------------------------------------

    async def observe(self, seen: CanaryObserved) -> None:
        key = seen.canary.key
        if not self._share.owns(key):
            self._others[key] = seen
            return
        life = self._lives.get(key)
        if life is not None:
            await life.observe(seen)
            return
        # What the bus says and a change of hands may bring one canary to life at the same time.
        async with self._births.setdefault(key, asyncio.Lock()):
            life = self._lives.get(key)
            if life is None:
                await self._begin(seen)
                return
        await life.observe(seen)

    async def _begin(self, seen: CanaryObserved) -> None:
        key = seen.canary.key
        life = Life(self._world, seen)
        left = await self._left(life.rollout())
        if left is not None:
            log.info("does what was left undone", extra={"canary": str(seen.canary)})
            life.resume(left)
        if not self._share.owns(key):
            self._others.setdefault(key, seen)
            return
        self._lives[key] = life
        routes = self._early.pop(key, None)
        if routes is not None and routes.canary.uid == seen.canary.uid:
            await life.observe_routes(routes)
        else:
            await life.observe(seen)

    async def observe_routes(self, routes: RoutesObserved) -> None:
        life = self._lives.get(routes.canary.key)
        if life is None:
            if routes.canary.uid != self._gone.get(routes.canary.key):
                self._early[routes.canary.key] = routes
            return
        if routes.canary.uid and routes.canary.uid != life.canary.uid:
            return
        self._world.exports.observe_routes(life.seen.spec.target_ref.name, routes)
        await life.observe_routes(routes)

    async def forget(self, gone: CanaryGone) -> None:
        key = gone.canary.key
        self._early.pop(key, None)
        self._gone[key] = gone.canary.uid
        self._gone.move_to_end(key)
        if len(self._gone) > GONE_MAX:
            self._gone.popitem(last=False)
        self._others.pop(key, None)
        self._end(key)

    def _end(self, key: str) -> Life | None:
        life = self._lives.pop(key, None)
        self._births.pop(key, None)
        if life is not None:
            life.gone = True
        self._asks.drop(key)
        self._ticks.set(key, None)
        self._world.exports.forget(key)
        return life

    # --- who does it ---------------------------------------------------------------------------

    def _change_hands(self) -> None:
        """Other canaries may be ours now; whoever has one now finds out what was left undone."""
        for key in [key for key in self._lives if not self._share.owns(key)]:
            life = self._end(key)
            assert life is not None
            self._others[key] = life.seen
            if (routes := life.rollout().routes) is not None:
                self._early[key] = routes
        for key in [key for key in self._others if self._share.owns(key)]:
            seen = self._others.pop(key)
            self._spawn(self._wake(partial(self.observe, seen)), f"take over {seen.canary}")

    # --- what happens by itself ------------------------------------------------------------------

    def _due(self, key: str) -> None:
        life = self._lives.get(key)
        if life is not None:
            self._spawn(self._wake(life.tick), f"tick {life.canary}")

    def _republish(self) -> None:
        for life in list(self._lives.values()):
            self._spawn(self._wake(life.republish), f"republish {life.canary}")

    async def _wake(self, act: Callable[[], Awaitable[None]]) -> None:
        async with self._waking:
            await act()

    async def _answered(self, key: str, answer: Answer) -> None:
        life = self._lives.get(key)
        if life is not None:
            await self._guarded(life.answered(answer), f"answer {life.canary}")

    async def _left(self, rollout: Rollout) -> Decision | None:
        """The rest of the last decision, if our last run ended between remembering and doing it."""
        at = self._world.clock.now()
        told = [
            found.message
            for kind in witnesses(rollout, at)
            if (found := await self._world.bus.latest(kind, rollout.seen.canary)) is not None
        ]
        return left(rollout, at, told)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._spawn_raw(self._guarded(work, name), name)

    async def _guarded(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A mistake of ours in one canary's turn must not end everybody's."""
        key = name.partition(" ")[2]
        name_, _, namespace = key.partition(".")
        token = context.canary.set(f"{namespace}/{name_}" if namespace else "")
        try:
            await work
        except Exception:
            log.exception("background work failed", extra={"canary": key, "reason": name})
            self._world.exports.set_back("bug")
        finally:
            context.canary.reset(token)
