"""Requests to tasks."""

from __future__ import annotations

import pytest

from serinus.loadtester.core.callers import Rule
from serinus.loadtester.core.payload import Payload
from serinus.loadtester.core.tasks import Refused, Task, exit_text, failure
from serinus.loadtester.core.tasks import task as task_by


def task(call: Payload) -> Task | Refused:
    """What becomes of a call where everything is allowed."""
    return task_by(call, (Rule(shell=True),))


def call(name: str = "web", **metadata: str) -> Payload:
    return Payload(name=name, namespace="prod", metadata=metadata)


@pytest.mark.parametrize(
    ("kind", "argv", "waits"),
    [
        ("cmd", ("sh", "-c", "hey -z 1m 'http://web/'"), False),
        ("bash", ("bash", "-c", "hey -z 1m 'http://web/'"), True),
        ("helm", ("helm", "hey", "-z", "1m", "'http://web/'"), True),
        ("helmv3", ("helm", "hey", "-z", "1m", "'http://web/'"), True),
        ("kubectl", ("kubectl", "hey", "-z", "1m", "'http://web/'"), True),
    ],
)
def test_each_type_has_its_program_and_its_way_to_answer(
    kind: str, argv: tuple[str, ...], waits: bool
) -> None:
    found = task(call(type=kind, cmd="hey -z 1m 'http://web/'"))

    assert isinstance(found, Task)
    assert (found.argv, found.waits, found.kind) == (argv, waits, kind)


def test_without_a_type_it_is_a_cmd() -> None:
    found = task(call(cmd="true"))

    assert isinstance(found, Task)
    assert found.kind == "cmd"


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({}, "metadata not found in payload"),
        ({"type": "cmd"}, "cmd not found in metadata"),
        ({"type": "bash", "cmd": ""}, "cmd not found in metadata"),
        ({"type": "wrk2", "cmd": "x"}, "unknown task type wrk2"),
        ({"type": "", "cmd": "x"}, "unknown task type "),
    ],
)
def test_what_cannot_be_done_is_refused_in_the_references_words(
    metadata: dict[str, str], why: str
) -> None:
    """In the reference an unknown type breaks the connection (6.6)."""
    assert task(call(**metadata)) == Refused(why)


def test_no_metadata_at_all_is_refused_the_same() -> None:
    assert task(Payload(name="web")) == Refused("metadata not found in payload")


def test_output_is_shown_and_logged_only_on_request() -> None:
    quiet = task(call(cmd="x"))
    loud = task(call(cmd="x", returnCmdOutput="true", logCmdOutput="1"))

    assert isinstance(quiet, Task)
    assert isinstance(loud, Task)
    assert (quiet.shows, quiet.logs) == (False, False)
    assert (loud.shows, loud.logs) == (True, True)


def test_a_command_of_a_canary_has_one_id() -> None:
    calls = (
        call(cmd="x"),
        call(cmd="x", logCmdOutput="true"),
        call(cmd="y"),
        call("other", cmd="x"),
        call(cmd="x", type="bash"),
    )

    ids = [found.id for found in map(task, calls) if isinstance(found, Task)]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 4


def test_a_failure_is_told_as_the_reference_tells_it() -> None:
    found = task(call(type="bash", cmd="make test"))

    assert isinstance(found, Task)
    assert (
        failure(found, "1 failed", "exit status 2")
        == "command make test failed: 1 failed: exit status 2"
    )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (1, "exit status 1"),
        (-9, "signal: killed"),
        (-15, "signal: terminated"),
        (-64, "signal: signal 64"),
    ],
)
def test_an_end_is_said_in_gos_words(status: int, text: str) -> None:
    assert exit_text(status) == text
