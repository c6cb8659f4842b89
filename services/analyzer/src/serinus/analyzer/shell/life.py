"""One canary's life in the analyzer: look, decide, remember, intend, tell, ask; in this order.

The order is the whole protocol (what a crash leaves undone is found again, not replayed):

    remember   the status, by compare-and-swap; without it nothing else happened
    intend     the router is told what the cluster shall look like
    tell       the facts; what could not be published stays owed and goes first next time
    ask        questions; each answer makes us look again

Everything that happens to a canary ends in `turn`. Turns of one canary never overlap.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from msgspec import Struct

from serinus.analyzer.core.decide import decide
from serinus.analyzer.core.desired import UNDER_ANALYSIS, desired
from serinus.analyzer.core.ends import hook_told
from serinus.analyzer.core.moment import Moment
from serinus.analyzer.core.rollout import (
    Answer,
    Decision,
    HookAnswer,
    HookAsk,
    Look,
    Policy,
    Rollout,
)
from serinus.analyzer.shell.asks import Asks
from serinus.analyzer.shell.exports import Exports
from serinus.analyzer.shell.remember import Memory, ref_of, write_finalizer, write_status
from serinus.analyzer.shell.sources import Sources
from serinus.analyzer.shell.ticks import Ticks
from serinus.events import CanaryObserved, CanaryRef, CanaryStatus, Fact, Intent, RoutesObserved
from serinus.kube.cluster import Cluster
from serinus.kube.errors import NotFound
from serinus.runtime.bus import Bus
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Refuse, Retry, Stale

log = logging.getLogger(__name__)

# A turn goes on while decisions change the status; more than this many in a row is a mistake.
TURNS_MAX = 16
REMEMBERED_FACTS = 256
DOUBTFUL_WRITES = 4
# When a decision asks to be looked at again at a time that has passed, not at once: never a loop.
SOONEST_S = 1.0
CONFLICT_S = 2.0
REFUSED_S = 30.0
BUG_S = 60.0
ENTROPY_LETTERS = 40
LETTERS = (string.ascii_letters * 5)[:256].encode()


class World(Struct, frozen=True, kw_only=True):
    """What a life acts on."""

    bus: Bus
    cluster: Cluster
    clock: Clock
    asks: Asks
    ticks: Ticks
    sources: Sources
    exports: Exports
    policy: Policy
    spawn: Callable[[Coroutine[Any, Any, None], str], object]


class Life:
    """One canary, from its first snapshot to its last."""

    def __init__(self, world: World, seen: CanaryObserved) -> None:
        self._world = world
        self._memory = Memory(seen)
        self._routes: RoutesObserved | None = None
        # The last intent that was carried out, and when that was told first.
        self._settled: tuple[str, float] | None = None
        self._answers: dict[str, Answer] = {}
        self._told: OrderedDict[str, None] = OrderedDict()
        self._owed: deque[Fact] = deque()
        # Writes whose answer got lost: they may have happened.
        self._doubtful: deque[Decision] = deque(maxlen=DOUBTFUL_WRITES)
        self._intended: tuple[str, str] | None = None
        self._sequence: int | None = None
        self._in_conflict = False
        # When the first of the questions under way was put, in Unix seconds.
        self._turn_at: float | None = None
        self._turning = asyncio.Lock()
        self.gone = False

    @property
    def canary(self) -> CanaryRef:
        return self._memory.current.canary

    @property
    def seen(self) -> CanaryObserved:
        """The canary as it is known now."""
        return self._memory.current

    def rollout(self) -> Rollout:
        """Everything a decision may look at."""
        seen = self._memory.current
        return Rollout(
            spec=seen.spec,
            status=seen.status,
            seen=seen,
            routes=self._routes,
            policy=self._world.policy,
        )

    # --- what happens to it ----------------------------------------------------------------------

    async def observe(self, seen: CanaryObserved) -> None:
        async with self._turning:
            if seen.canary.uid != self.canary.uid:
                self._routes, self._settled, self._intended = None, None, None
                self._answers.clear()
            before = self.seen.status
            if self._memory.take(seen):
                self._in_conflict = False
                self._settle_doubts(before)
            await self._turn()

    async def observe_routes(self, routes: RoutesObserved) -> None:
        async with self._turning:
            self._routes = routes
            known = self._settled[0] if self._settled else ""
            if routes.settled and routes.intent != known:
                self._settled = routes.intent, routes.at
            await self._turn()

    async def answered(self, answer: Answer) -> None:
        async with self._turning:
            self._answers[answer.key] = answer
            await self._turn()

    async def tick(self) -> None:
        async with self._turning:
            if self._in_conflict:
                await self._read_live()
            await self._turn()

    async def republish(self) -> None:
        """The bus lost its memory: say again what shall be."""
        async with self._turning:
            self._intended, self._sequence = None, None
            await self._turn()

    def resume(self, left: Decision) -> None:
        """What a crash left undone of the last decision: facts to tell, hooks to ask."""
        self._settle(left, first=True)

    # --- a turn ----------------------------------------------------------------------------------

    async def _turn(self) -> None:
        """Decides until nothing changes; a setback ends the turn and sets the next one's time."""
        if self.gone:
            return
        exports, canary = self._world.exports, str(self.canary)
        try:
            for _ in range(TURNS_MAX):
                if not await self._step():
                    return
            log.error("decisions do not come to rest", extra={"canary": canary})
            self._look_again(REFUSED_S, "restless")
        except Stale as error:
            # News is on its way; should it not come, the next tick reads the object itself.
            log.info("superseded", extra={"canary": canary, "reason": str(error)})
            self._in_conflict = True
            self._look_again(CONFLICT_S, "conflict")
        except NotFound:
            log.info("canary is gone", extra={"canary": canary})
            self._world.asks.drop(self.canary.key)
            exports.set_back("gone")
        except Retry as error:
            log.warning("will try again", extra={"canary": canary, "reason": error.reason})
            self._look_again(max(error.after_s, SOONEST_S), "unreachable")
        except Refuse as error:
            log.error("refused", extra={"canary": canary, "reason": error.reason})
            self._look_again(REFUSED_S, "refused")
        except Exception:
            # A mistake of ours: told with its trace, and one canary's mistake stays its own.
            log.exception("turn failed", extra={"canary": canary})
            self._look_again(BUG_S, "bug")

    def _look_again(self, after_s: float, why: str) -> None:
        self._world.exports.set_back(why)
        self._world.ticks.set(self.canary.key, self._world.clock.now() + after_s)

    async def _step(self) -> bool:
        """One decision and what follows from it; says whether to decide again."""
        world, rollout = self._world, self.rollout()
        look = Look(
            at=world.clock.now(),
            turn_at=self._turn_at,
            settled_at=self._settled[1] if self._settled else None,
            answers=self._answers,
            entropy=_entropy(),
        )
        decision = decide(rollout, look)
        world.exports.decided(decision.reason)
        changed = decision.status != rollout.status
        if changed:
            await self._remember(decision)
        else:
            self._settle(decision, first=False)
        if self.gone:
            return False  # while we wrote; what it had in metrics is gone, too
        world.exports.observe(self.seen)
        world.exports.measured(self.canary.key, decision.samples)
        world.sources.warm(self.rollout())
        await self._intend()
        await self._tell()
        if decision.finalizer is not None and await self._finalize(decision.finalizer):
            return True
        if changed:
            return True
        self._ask(decision, rollout)
        world.ticks.set(self.canary.key, self._due(decision.due_at))
        return False

    def _due(self, at: float | None) -> float | None:
        now = self._world.clock.now()
        return at if at is None or at > now else now + SOONEST_S

    async def _remember(self, decision: Decision) -> None:
        """Writes the status; everything else of a decision that changes it hangs on that."""
        before = self.seen
        try:
            obj = await write_status(self._world.cluster, before, decision.status)
        except Retry:
            self._doubtful.append(decision)
            raise
        self._memory.wrote(obj)
        self._doubtful.clear()
        if self._turn_at is not None and before.status.phase in UNDER_ANALYSIS:
            took_s = self._world.clock.now() - self._turn_at
            self._world.exports.checked(before, max(0.0, took_s))
        self._settle(decision, first=True)
        log.info(
            "remembered",
            extra={
                "canary": str(self.canary),
                "reason": decision.reason,
                "phase": decision.status.phase,
                "weight": decision.status.canary_weight,
                "failed_checks": decision.status.failed_checks,
            },
        )

    def _settle(self, decision: Decision, *, first: bool) -> None:
        """What a decision leaves to be done, once it is remembered (`first`) or changes nothing."""
        self._owe(decision.facts)
        if not first:
            return
        world = self._world
        self._answers.clear()
        self._turn_at = None
        world.asks.drop(self.canary.key)
        world.exports.ended(self.canary.key, decision.samples)
        if decision.after:
            world.spawn(self._afterwards(decision, self.rollout()), f"after {self.canary}")
        else:
            self._owe(decision.after_facts)

    def _settle_doubts(self, before: CanaryStatus) -> None:
        """A newer version came from elsewhere, or from a write of ours whose answer got lost.

        In the second case what that write decided is still to be told.
        """
        status = self.seen.status
        for decision in self._doubtful:
            if decision.status == status:
                self._settle(decision, first=True)
        self._doubtful.clear()
        if status != before:
            self._answers.clear()
            self._turn_at = None

    # --- intend, tell ----------------------------------------------------------------------------

    async def _intend(self) -> None:
        """Publishes what shall be, unless the bus has it from us already."""
        intent = desired(self.rollout())
        if self._intended == (intent.id, intent.version):
            return
        if self._sequence is None:
            known = await self._world.bus.latest(Intent, self.canary)
            if known is not None and _same(known.message, intent):
                self._intended, self._sequence = (intent.id, intent.version), known.sequence
                return
            if known is not None and _is_newer(known.message, intent):
                raise Stale("the bus has an intent from a newer status")
            # With nothing readable there, there is nothing to be newer than.
            self._sequence = known.sequence if known is not None else None
        try:
            self._sequence = await self._world.bus.publish(intent, expect=self._sequence)
        except Stale:
            self._sequence = None
            raise
        self._intended = (intent.id, intent.version)

    def _owe(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            if fact.id in self._told:
                self._told.move_to_end(fact.id)
                continue
            self._told[fact.id] = None
            self._owed.append(fact)
        while len(self._told) > REMEMBERED_FACTS:
            self._told.popitem(last=False)

    async def _tell(self) -> None:
        while self._owed:
            await self._world.bus.publish(self._owed[0])
            self._owed.popleft()

    async def _finalize(self, wanted: bool) -> bool:
        obj = await write_finalizer(self._world.cluster, self.seen, wanted)
        if obj is None:
            return False
        self._memory.wrote(obj)
        return not self.seen.deleting

    # --- ask -------------------------------------------------------------------------------------

    def _ask(self, decision: Decision, rollout: Rollout) -> None:
        """Asks what has no answer yet, side by side; the next decision is made with each answer."""
        world, key = self._world, self.canary.key
        asks = [ask for ask in decision.asks if ask.key not in self._answers]
        if not asks:
            self._turn_at = None
            world.asks.drop(key)
            return
        if self._turn_at is None:
            self._turn_at = world.clock.now()
        world.asks.start(key, asks, rollout)

    async def _afterwards(self, decision: Decision, rollout: Rollout) -> None:
        """Hooks that come after the end: told about, but they decide nothing any more.

        Those of one type are asked in order, up to the first that fails.
        """
        facts: list[Fact] = []
        failed: set[str] = set()
        for ask in decision.after:
            if ask.hook.type in failed:
                continue
            fact = await self._after(ask, rollout)
            facts.append(fact)
            if fact.severity == "Warning":
                failed.add(ask.hook.type)
        async with self._turning:
            self._owe((*facts, *decision.after_facts))
            await self._turn()

    async def _after(self, ask: HookAsk, rollout: Rollout) -> Fact:
        answer = await self._world.asks.answer(ask, rollout)
        assert isinstance(answer, HookAnswer)
        moment = Moment(rollout, Look(at=self._world.clock.now()))
        return hook_told(moment, ask, answer)

    async def _read_live(self) -> None:
        """A conflict that no snapshot explained: the object itself is asked, once."""
        before = self.seen.status
        try:
            self._memory.read(await self._world.cluster.get(ref_of(self.canary)))
        except (Retry, Refuse, NotFound) as error:
            log.warning(
                "cannot read the canary", extra={"canary": str(self.canary), "reason": str(error)}
            )
            return
        self._in_conflict = False
        self._settle_doubts(before)


def _is_newer(known: Intent, wanted: Intent) -> bool:
    """Whether somebody derived an intent of this very canary from a later status."""
    return known.canary.uid == wanted.canary.uid and known.stamp > wanted.stamp


def _same(known: Intent, wanted: Intent) -> bool:
    return (known.id, known.version) == (wanted.id, wanted.version)


def _entropy() -> str:
    """Unguessable letters: one question to the system for all, as every look takes some."""
    return secrets.token_bytes(ENTROPY_LETTERS).translate(LETTERS).decode()
