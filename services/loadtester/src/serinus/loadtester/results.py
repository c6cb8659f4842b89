"""What became of each task: the rows of /tasks, and the failures that a later call is told.

The bucket has the last run of every task, so that a failure is told whichever replica is asked, and
after a restart. Commands, and output that nobody asked to see, may hold secrets: not in it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from serinus.loadtester.core.tasks import Task
from serinus.loadtester.crew import Crew, Run
from serinus.runtime.bus import Bucket
from serinus.runtime.errors import Retry

log = logging.getLogger(__name__)

BUCKET = "serinus-load"
TAIL = 2000
LISTED_MAX = 200


class Result(Struct, frozen=True, kw_only=True, rename="camel"):
    """One run of a task; `id` is its own, `task` the same for every run of this command."""

    id: str
    task: str
    canary: str
    namespace: str
    type: str
    command: str = ""
    state: str
    started_at: float
    seconds: float
    exit: int | None
    error: str
    output: str
    numbers: dict[str, float]
    reported: bool = False


def result(run: Run, tail: int = TAIL) -> Result:
    """The run as it is now, with the end of its output; all of it where `tail` is 0."""
    ended, task = run.ended, run.task
    output = ended.output if ended else run.work.output.text()
    return Result(
        id=run.id,
        task=task.id,
        canary=task.canary,
        namespace=task.namespace,
        type=task.kind,
        command=task.command,
        state=run.state,
        started_at=run.started_at,
        seconds=run.seconds,
        exit=ended.status if ended else None,
        error=ended.error if ended else "",
        output=output[-tail:],
        numbers=run.numbers,
        reported=run.reported,
    )


class Results:
    """Runs here, and what the bucket knows of those before and elsewhere.

    bucket  None: there is none, and no elsewhere
    later   does something with the bus as soon as it can be reached; nobody waits for it
    """

    def __init__(
        self,
        crew: Crew,
        bucket: Bucket | None,
        later: Callable[[Callable[[], Awaitable[Any]]], None],
    ) -> None:
        self._crew = crew
        self._bucket = bucket
        self._later = later

    def keep(self, run: Run) -> None:
        """To be called when a run has ended."""
        self._put(result(run), run.task.is_public)

    async def untold_failure(self, task: Task) -> Result | None:
        """The newest run of this task if it failed and nobody was told; asking is being told."""
        here, kept = self._crew.last(task.id), await self._kept(task.id)
        rows = [row for row in (kept, result(here) if here else None) if row is not None]
        if not rows:
            return None
        newest = max(rows, key=lambda row: row.started_at)
        told = any(row.reported for row in rows if row.id == newest.id)
        if newest.state != "failed" or told:
            return None
        if here is not None:
            here.reported = True
        self._put(replace(newest, reported=True), task.is_public)
        return newest

    async def all(self) -> list[Result]:
        """What runs, then what ended, newest first; of what ran elsewhere the last of each task."""
        here = [result(run) for run in self._crew.runs()]
        known = {row.id for row in here}
        try:
            keys = await self._bucket.keys() if self._bucket is not None else []
        except Retry:
            keys = []
        kept = [await self._kept(key) for key in keys[:LISTED_MAX]]
        ended = [row for row in here if row.state != "running"]
        ended += [row for row in kept if row is not None and row.id not in known]
        ended.sort(key=lambda row: -row.started_at)
        return [row for row in here if row.state == "running"] + ended

    async def one(self, name: str) -> Result | None:
        """The run with this id, or the newest of the task with it, with all output there is."""
        run = next((run for run in self._crew.runs() if name in (run.id, run.task.id)), None)
        if run is not None:
            return result(run, tail=0)
        kept = await self._kept(name.partition(":")[0])
        return kept if kept is not None and name in (kept.id, kept.task) else None

    async def _kept(self, task: str) -> Result | None:
        if self._bucket is None:
            return None
        try:
            found = await self._bucket.get(task)
            return msgspec.json.decode(found, type=Result) if found is not None else None
        except (Retry, msgspec.MsgspecError):
            return None

    def _put(self, row: Result, is_public: bool) -> None:
        if self._bucket is not None:
            kept = replace(row, command="", output=row.output if is_public else "")
            self._later(partial(self._bucket.put, row.task, msgspec.json.encode(kept)))
