"""Requests to tasks: what a hook's metadata asks for, or why it cannot be done.

One row per `type`. Running is not done here: a task says which program with which arguments, and
whether the caller waits for the result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from serinus.loadtester.core.callers import Rule, covering
from serinus.loadtester.core.payload import Payload
from serinus.loadtester.core.shell import shell_sign, words

DEFAULT_TYPE = "cmd"
NGRINDER = ("server", "clone", "username", "passwd")
CONCORD = ("server", "org", "project", "repo", "entrypoint", "apiKeyPath", "endpoint")
SHELLS = frozenset({"cmd", "bash"})
COMMAND_MAX = 100_000
"""Characters; the kernel takes little more as one argument."""


class Task(Struct, frozen=True, kw_only=True):
    """Something to run.

    id      the same for the same command of the same canary: it runs once at a time
    canary  `name.namespace`, as the caller spelled it
    namespace  the latter
    about   namespace and name where they can be an object's; None: facts cannot speak of it
    argv    program and arguments; () for a job on another server
    metadata  what such a job is described by
    waits   the caller waits and learns how it ended; else it is only told that it was taken
    shows   the output is the body of a success
    logs    the output goes to our log
    fails   the end of a run that nobody waited for is the answer to the next call
    """

    id: str
    canary: str
    namespace: str
    kind: str
    command: str
    argv: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    waits: bool
    about: tuple[str, str] | None = None
    shows: bool = False
    logs: bool = False
    fails: bool = False

    @property
    def is_public(self) -> bool:
        """Whether somebody asked to see the output; else it goes nowhere, it may hold secrets."""
        return self.shows or self.logs


class Refused(Struct, frozen=True):
    """Why there is no task, in the reference's words; the answer is 400, or 403 if forbidden."""

    why: str
    forbidden: bool = False


class Row(Struct, frozen=True):
    """One task type. `argv` makes the command line; `waits` as in Task.

    needs  keys that its metadata must have
    """

    name: str
    argv: Callable[[str], tuple[str, ...]] | None
    waits: Literal[True, False]
    needs: tuple[str, ...] = ("cmd",)


def _words(program: str) -> Callable[[str], tuple[str, ...]]:
    """Arguments are split at white space; there is no quoting, as in the reference."""
    return lambda command: (program, *command.split())


TASKS: Mapping[str, Row] = {
    row.name: row
    for row in (
        Row("cmd", lambda command: ("sh", "-c", command), waits=False),
        Row("bash", lambda command: ("bash", "-c", command), waits=True),
        Row("helm", _words("helm"), waits=True),
        Row("helmv3", _words("helm"), waits=True),
        Row("kubectl", _words("kubectl"), waits=True),
        Row("ngrinder", None, waits=False, needs=NGRINDER),
        Row("concord", None, waits=True, needs=CONCORD),
    )
}


def task(call: Payload, rules: Sequence[Rule]) -> Task | Refused:
    """The task that a call asks for, if the rules let it run."""
    if not call.metadata:
        return Refused("metadata not found in payload")
    kind = call.word("type") if "type" in call.metadata else DEFAULT_TYPE
    row = TASKS.get(kind)
    if row is None:
        return Refused(f"unknown task type {kind}")
    missing = next((key for key in row.needs if not call.word(key)), None)
    if missing:
        return Refused(f"{missing} not found in metadata")
    command = call.word("cmd") or call.word("server")
    if len(command) > COMMAND_MAX:
        return Refused(f"cmd is longer than {COMMAND_MAX} characters")
    able = covering(rules, call, kind, command)
    if not able:
        return Refused(f"no rule lets {call.canary} run this {kind}", forbidden=True)
    argv = row.argv(command) if row.argv else ()
    if kind in SHELLS and not any(rule.shell for rule in able):
        if sign := shell_sign(command):
            return Refused(f"cmd needs a shell ({sign}), and no rule allows one", forbidden=True)
        split = words(command)
        if split is None:
            return Refused("cmd cannot be split into words")
        argv = split
    metadata = {k: v for k, v in call.metadata.items() if v is not None}
    return Task(
        id=key(kind, call.canary, command),
        canary=call.canary,
        namespace=call.namespace or "",
        kind=kind,
        command=command,
        argv=argv,
        metadata={} if row.argv else metadata,
        waits=row.waits,
        about=call.about,
        shows=call.flag("returnCmdOutput"),
        logs=call.flag("logCmdOutput"),
        fails=call.flag("failOnError"),
    )


def key(kind: str, canary: str, command: str) -> str:
    """Names a command of a canary, in 16 hexadecimal digits."""
    return hashlib.sha256(f"{kind}\0{canary}\0{command}".encode()).hexdigest()[:16]


def failure(done: Task, output: str, error: str) -> str:
    """The answer to a caller whose task failed."""
    return f"command {done.command} failed: {output}: {error}"


def exit_text(status: int) -> str:
    """How a program ended, as Go says it. A negative status is the signal that ended it."""
    if status >= 0:
        return f"exit status {status}"
    return f"signal: {_SIGNALS.get(-status, f'signal {-status}')}"


_SIGNALS = {
    1: "hangup",
    2: "interrupt",
    6: "aborted",
    9: "killed",
    11: "segmentation fault",
    13: "broken pipe",
    15: "terminated",
}
