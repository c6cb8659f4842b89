"""Runs tasks: each once at a time, so many together, and all of them end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from serinus.loadtester.core.numbers import numbers
from serinus.loadtester.core.tasks import Task
from serinus.loadtester.process import Ended
from serinus.loadtester.work import Work
from serinus.runtime.clock import Clock
from serinus.runtime.service import Metrics

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5
REMEMBERED = 100


@dataclass
class Run:
    """One run of a task. `ended` is set when it is over."""

    task: Task
    started_at: float
    work: Work
    seconds: float = 0.0
    ended: Ended | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: bool = False
    reported: bool = False

    @property
    def id(self) -> str:
        """Of this run alone; its facts carry it, too."""
        return f"{self.task.id}:{self.started_at:.3f}"

    @property
    def state(self) -> Literal["running", "succeeded", "failed", "stopped"]:
        """`stopped`: it did not fail, it was asked to end because the load tester ended."""
        if self.ended is None:
            return "running"
        if self.ended.status == 0:
            return "succeeded"
        return "stopped" if self.stopped else "failed"


@dataclass(frozen=True)
class Full:
    """No room for another task now. `closing`: and there will be none here any more."""

    closing: bool = False


class Crew:
    """The tasks that run here.

    work               makes what a run does
    started, finished  called for each run, to tell of it; they must not raise or wait
    """

    def __init__(
        self,
        *,
        clock: Clock,
        metrics: Metrics,
        work: Callable[[Task], Work],
        at_once: int,
        started: Callable[[Run], None],
        finished: Callable[[Run], None],
    ) -> None:
        self._clock = clock
        self._work = work
        self._at_once = at_once
        self._started = started
        self._finished = finished
        self._running: dict[str, Run] = {}
        self._past: OrderedDict[tuple[str, float], Run] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._gauge = metrics.gauge("serinus_load_running", "Tasks that are running now.")
        self._ended = metrics.counter(
            "serinus_load_tasks_total", "Tasks by kind and how they ended."
        )
        self._seconds = metrics.histogram(
            "serinus_load_task_seconds", "How long tasks ran, by kind.", (0.1, 1, 10, 60, 600, 3600)
        )

    def start(self, task: Task) -> Run | Full:
        """Starts a task, or joins the run of the same task that is under way."""
        if self._closing:
            return Full(closing=True)
        run = self._running.get(task.id)
        if run is not None:
            log.info("a task is running already", extra={"canary": task.canary, "task": task.id})
            return run
        if len(self._running) >= self._at_once:
            return Full()
        run = Run(task=task, started_at=self._clock.now(), work=self._work(task))
        self._running[task.id] = run
        self._gauge.set(len(self._running))
        self._started(run)
        worker = asyncio.create_task(self._run(run), name=f"task {task.id}")
        self._tasks.add(worker)
        worker.add_done_callback(self._tasks.discard)
        return run

    def last(self, task: str) -> Run | None:
        """The newest run of this task that has ended here."""
        return next((r for (id_, _), r in reversed(self._past.items()) if id_ == task), None)

    def runs(self) -> list[Run]:
        """What is running, then what ended, newest first."""
        return [*reversed(self._running.values()), *reversed(self._past.values())]

    async def drain(self, within_s: float) -> None:
        """Takes no more tasks and asks the running ones to end; after `within_s` they must."""
        self._closing = True
        if not self._tasks:
            return
        workers = tuple(self._tasks)
        for run in self._running.values():
            run.stopped = True
            run.work.end(signal.SIGTERM)
        _, late = await asyncio.wait(workers, timeout=within_s)
        for run in self._running.values():
            run.work.end(signal.SIGKILL)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _run(self, run: Run) -> None:
        since = self._clock.monotonic()
        try:
            run.ended = await run.work.run()
        finally:
            if run.ended is None:
                run.ended = Ended(-signal.SIGKILL, run.work.output.text(), "signal: killed")
            run.seconds = self._clock.monotonic() - since
            run.numbers = numbers(run.ended.output)
            run.work.output.clear()
            del self._running[run.task.id]
            self._past[(run.task.id, run.started_at)] = run
            while len(self._past) > REMEMBERED:
                self._past.popitem(last=False)
            self._gauge.set(len(self._running))
            labels = {"kind": run.task.kind}
            self._ended.inc({**labels, "outcome": run.state})
            self._seconds.observe(run.seconds, labels)
            self._log(run, run.ended)
            self._finished(run)
            run.over.set()

    def _log(self, run: Run, ended: Ended) -> None:
        extra = {"canary": run.task.canary, "task": run.task.id, "reason": ended.error}
        if run.task.logs:
            extra["output"] = ended.output
        if run.state == "failed":
            log.warning("a task failed", extra=extra)
        else:
            log.info(f"a task {run.state}", extra=extra)
