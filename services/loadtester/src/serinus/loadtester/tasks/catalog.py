"""How each task type is done: by a program here, or by a row of other servers' jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from serinus.loadtester.core.tasks import Task
from serinus.loadtester.kin import Kin
from serinus.loadtester.process import Program
from serinus.loadtester.tasks.concord import Concord
from serinus.loadtester.tasks.ngrinder import NGrinder
from serinus.loadtester.work import Job, Work
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http

REMOTE: Mapping[str, type[Job]] = {"ngrinder": NGrinder, "concord": Concord}


def workshop(
    http: Http, clock: Clock, kin: Kin, *, timeout_s: float, output_limit: int
) -> Callable[[Task], Work]:
    """Makes the work of a task, with these bounds."""

    def make(task: Task) -> Work:
        remote = REMOTE.get(task.kind)
        if remote is None:
            return Program(task.argv, kin=kin, timeout_s=timeout_s, output_limit=output_limit)
        return remote(
            task.metadata,
            poll_s=_seconds(task.metadata.get("pollInterval", ""), remote.POLL_S),
            timeout_s=_seconds(task.metadata.get("pollTimeout", ""), remote.TIMEOUT_S or timeout_s),
            http=http,
            clock=clock,
        )

    return make


def _seconds(text: str, default: float) -> float:
    """A number of seconds, with or without the unit."""
    try:
        found = float(text.removesuffix("s"))
    except ValueError:
        return default
    return found if found > 0 else default
