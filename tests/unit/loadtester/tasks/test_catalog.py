"""How each task type is done."""

from __future__ import annotations

import pytest

from serinus.loadtester.core.callers import Rule
from serinus.loadtester.core.payload import Payload
from serinus.loadtester.core.tasks import CONCORD, NGRINDER, TASKS, Refused, Task, task
from serinus.loadtester.kin import Kin
from serinus.loadtester.process import Program
from serinus.loadtester.tasks.catalog import REMOTE, workshop
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient


def a_task(kind: str, keys: tuple[str, ...]) -> Task | Refused:
    metadata = {"type": kind, **dict.fromkeys(keys, "x")}
    return task(Payload(name="web", namespace="prod", metadata=metadata), (Rule(),))


def test_every_type_is_a_program_or_another_servers_job() -> None:
    make = workshop(HttpClient(), SystemClock(), Kin(100), timeout_s=1, output_limit=1024)
    for kind, row in TASKS.items():
        found = a_task(kind, row.needs)
        assert isinstance(found, Task)
        assert isinstance(make(found), REMOTE.get(kind, Program)), kind


@pytest.mark.parametrize(("kind", "needs"), [("ngrinder", NGRINDER), ("concord", CONCORD)])
def test_what_is_missing_is_named(kind: str, needs: tuple[str, ...]) -> None:
    for missing in needs:
        rest = tuple(key for key in needs if key != missing)
        assert a_task(kind, rest) == Refused(f"{missing} not found in metadata")
