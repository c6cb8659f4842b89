"""Between a message and its audience: order, dedup, retry, record. Written once for all senders.

Messages to one audience about one canary form a lane and keep their order. Lanes do not wait for
one another, so an audience that does not answer delays nobody else, and a noisy canary no other.
Jobs that have company wait a moment for it and are told as one. Everything has an end: attempts by
count and by age, lanes by length, and the messages that one audience gets at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from serinus.notifier.core.outcomes import Again, Known, Outcome, Refused, Sent, pause_s
from serinus.notifier.told import Told
from serinus.runtime import context
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Retry
from serinus.runtime.service import Metrics

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Company:
    """That a job may be told together with others of its audience.

    key   those of one key go together
    said  what this one adds
    tell  one attempt at telling all that they say at once
    """

    key: str
    said: Any
    tell: Callable[[Sequence[Any]], Awaitable[Outcome]]


@dataclass(frozen=True)
class Job:
    """One message to one audience.

    audience  who it is for, e.g. `slack oncall.prod`; one audience is sent few messages at a time
    canary    with `audience` it names the lane
    key       what the memory of things told knows it by
    send      one attempt; raises nothing that it can name
    record    called once with how it ended; not for repeats
    answers   how often an attempt that the other side answered may be made in all; 0: no own limit
    company   who may be told of in the same message; None: it goes alone
    """

    kind: str
    audience: str
    canary: str
    key: str
    send: Callable[[], Awaitable[Outcome]]
    record: Callable[[Outcome], Awaitable[None]] | None = None
    answers: int = 0
    age_s: float = 0.0
    cause: str = ""
    company: Company | None = None


@dataclass(frozen=True)
class Limits:
    """Bounds of the stages. A job waits `company_s` for others, of which `company_most` fit."""

    attempts: int = 12
    age_s: float = 900.0
    lane_length: int = 500
    at_once: int = 4
    company_s: float = 2.0
    company_most: int = 200


@dataclass(frozen=True)
class _Item:
    job: Job
    since: float
    trace: str
    done: asyncio.Future[Outcome]


@dataclass
class _Gathering:
    """Jobs that go together: `leave` is set when they shall wait no longer."""

    jobs: list[Job]
    leave: asyncio.Event
    ended: asyncio.Future[Outcome]


@dataclass
class _Lane:
    waiting: deque[_Item] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    gathering: _Gathering | None = None


class Courier:
    """Takes jobs and sees each to its end."""

    def __init__(
        self, *, told: Told, clock: Clock, metrics: Metrics, limits: Limits | None = None
    ) -> None:
        self._told = told
        self._clock = clock
        self._limits = limits or Limits()
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._doors: dict[str, asyncio.Semaphore] = {}
        self._gatherings: dict[tuple[str, str], _Gathering] = {}
        self._ended = metrics.counter(
            "serinus_notifications_total", "Messages by kind and how they ended."
        )
        self._seconds = metrics.histogram(
            "serinus_notification_seconds", "Time from a fact's arrival to its end, by kind."
        )
        self._waiting = metrics.gauge(
            "serinus_notifications_waiting", "Messages that are not told yet."
        )
        self._count = 0

    def put(self, job: Job) -> asyncio.Future[Outcome]:
        """Queues a job behind its lane; the future tells how it ended and never fails.

        A lane that is full refuses: its audience has been deaf for long, and memory is bounded.
        """
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        lane = self._lanes.setdefault((job.audience, job.canary), _Lane())
        lane.waiting.append(_Item(job, self._clock.monotonic(), context.trace.get(), done))
        self._count += 1
        self._waiting.set(self._count)
        if lane.gathering is not None:
            lane.gathering.leave.set()  # what comes next about this canary shall not wait
        if lane.task is None:
            lane.task = asyncio.create_task(
                self._run(lane, job), name=f"lane {job.audience} {job.canary}"
            )
        return done

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting or under way, and nothing is kept of what was."""
        return not self._lanes and not self._doors and self._count == 0

    async def drain(self, within_s: float) -> None:
        """Lets the lanes finish for a while, then ends them; what is left stays unacknowledged."""
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, lane: _Lane, first: Job) -> None:
        try:
            while lane.waiting:
                item = lane.waiting.popleft()
                job = item.job
                try:
                    with context.handling(job.canary, job.cause, item.trace):
                        outcome = await self._tell(lane, item)
                except asyncio.CancelledError:
                    item.done.cancel()
                    raise
                finally:
                    self._count -= 1
                    self._waiting.set(self._count)
                self._ended.inc({"kind": job.kind, "outcome": type(outcome).__name__.lower()})
                self._seconds.observe(self._clock.monotonic() - item.since, {"kind": job.kind})
                if not item.done.cancelled():
                    item.done.set_result(outcome)
        finally:
            for left in lane.waiting:
                left.done.cancel()
            self._count -= len(lane.waiting)
            del self._lanes[(first.audience, first.canary)]
            if not any(audience == first.audience for audience, _ in self._lanes):
                self._doors.pop(first.audience, None)

    async def _tell(self, lane: _Lane, item: _Item) -> Outcome:
        job = item.job
        if await self._known(job):
            return Known()
        if len(lane.waiting) >= self._limits.lane_length:
            outcome: Outcome = Refused(f"more than {self._limits.lane_length} messages are waiting")
        elif job.company is not None and not lane.waiting:
            outcome = await self._together(job, job.company, lane, item.since)
        else:
            outcome = await self._attempts(job, item.since)
        if isinstance(outcome, Sent):
            await self._remember(job)
        elif not isinstance(outcome, Known):  # its audience has no use for it
            log.warning(
                "could not be told", extra={"audience": job.audience, "reason": outcome.why}
            )
        if job.record is not None:
            with contextlib.suppress(Retry):  # the bus is away; the metric and the log have it
                await job.record(outcome)
        return outcome

    async def _together(self, job: Job, company: Company, lane: _Lane, since: float) -> Outcome:
        """Joins those that go together; the first of them waits for the others and tells all."""
        place = (job.audience, company.key)
        gathering = self._gatherings.get(place)
        if gathering is not None:
            gathering.jobs.append(job)
            if len(gathering.jobs) >= self._limits.company_most:
                self._gatherings.pop(place)
                gathering.leave.set()
            lane.gathering = gathering
            try:
                return await asyncio.shield(gathering.ended)
            finally:
                lane.gathering = None
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        gathering = _Gathering([job], asyncio.Event(), ended)
        self._gatherings[place] = lane.gathering = gathering
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.company_s):
                    await gathering.leave.wait()
            if self._gatherings.get(place) is gathering:
                self._gatherings.pop(place)
            said = [one.company.said for one in gathering.jobs if one.company is not None]
            if len(said) > 1:
                job = replace(job, send=lambda: company.tell(said))
            ended.set_result(await self._attempts(job, since))
            return ended.result()
        finally:
            lane.gathering = None
            if self._gatherings.get(place) is gathering:
                self._gatherings.pop(place)
            if not ended.done():
                ended.cancel()  # stopped in the middle: all of them come again

    async def _attempts(self, job: Job, since: float) -> Outcome:
        """Tries until it is taken or refused, or a bound is met; then the last reason stands."""
        answered = 0
        age_s = job.age_s or self._limits.age_s
        waited = self._clock.monotonic() - since
        if job.age_s and waited > age_s:
            return Refused(f"waited {waited:.0f} s behind others, which is too old to be told")
        for attempt in range(1, self._limits.attempts + 1):
            outcome = await self._attempt(job)
            if not isinstance(outcome, Again):
                return outcome
            answered += outcome.answered
            if job.answers and answered >= job.answers:
                return Refused(outcome.why)
            pause = pause_s(attempt, outcome.after_s)
            age = self._clock.monotonic() - since
            if attempt == self._limits.attempts or age + pause > age_s:
                return Refused(f"{outcome.why} (gave up after {attempt} attempts in {age:.0f} s)")
            await self._clock.sleep(pause)
        raise AssertionError("the loop above returns")

    async def _attempt(self, job: Job) -> Outcome:
        door = self._doors.setdefault(job.audience, asyncio.Semaphore(self._limits.at_once))
        async with door:
            try:
                return await job.send()
            except Exception as error:
                # Ours: a sender that raises would stop its lane for good.
                log.exception("a sender failed", extra={"kind": job.kind})
                return Refused(f"a fault of the notifier: {type(error).__name__}")

    async def _known(self, job: Job) -> bool:
        try:
            return await self._told.has(job.key)
        except Retry as error:
            log.warning("cannot look up what was told", extra={"reason": error.reason})
            return False  # better told twice than not at all

    async def _remember(self, job: Job) -> None:
        try:
            await self._told.add(job.key)
        except Retry as error:
            log.warning("cannot remember what was told", extra={"reason": error.reason})
