"""Who may call, and what may run."""

from __future__ import annotations

import pytest

from serinus.loadtester.core.callers import (
    ANYBODY,
    Caller,
    Callers,
    Rule,
    covering,
    parsed_callers,
    parsed_rules,
    speaks_for,
)
from serinus.loadtester.core.payload import Payload
from serinus.loadtester.core.tasks import Refused, Task, task

CI = Caller(token="t1", name="ci")


def call(**metadata: str) -> Payload:
    return Payload(name="web", namespace="prod", metadata=metadata)


@pytest.mark.parametrize(
    ("shown", "known"),
    [("Bearer t1", True), ("Bearer t2", False), ("t1", False), ("Basic t1", False), ("", False)],
)
def test_a_caller_shows_its_token(shown: str, known: bool) -> None:
    assert (Callers((CI,)).of(shown) is not None) == known


def test_open_means_anybody_and_closed_nobody() -> None:
    anybody = Callers((), is_open=True).of("")

    assert anybody is not None
    assert anybody.name == ANYBODY
    assert Callers(()).of("Bearer t1") is None


OPS = Caller(certificate="ops.test", name="ops", namespaces="prod")


@pytest.mark.parametrize(
    ("names", "any_certificate", "who"),
    [
        (["x", "ops.test"], False, OPS),
        (["x"], False, None),
        ([], True, None),
        (["x", "y"], True, Caller(name="x")),
    ],
)
def test_a_certificate_is_a_caller_by_its_name(
    names: list[str], any_certificate: bool, who: Caller | None
) -> None:
    assert Callers((CI, OPS), any_certificate=any_certificate).of("", names) == who


def test_a_wrong_token_is_not_made_good_by_a_certificate() -> None:
    assert Callers((CI, OPS)).of("Bearer t2", ["ops.test"]) is None


@pytest.mark.parametrize(
    ("pattern", "namespace", "may"),
    [("", "any", True), ("prod", "prod", True), ("prod", "prod2", False), ("a|b", "b", True)],
)
def test_namespaces_are_matched_as_a_whole(pattern: str, namespace: str, may: bool) -> None:
    assert speaks_for(Caller(token="t", namespaces=pattern), namespace) == may


@pytest.mark.parametrize(
    ("rule", "covers"),
    [
        (Rule(), True),
        (Rule(namespace="prod", canary="web", types=("bash",), command="hey .*"), True),
        (Rule(namespace="stage"), False),
        (Rule(canary="we"), False),
        (Rule(types=("cmd",)), False),
        (Rule(command="hey"), False),
    ],
)
def test_a_rule_covers_what_all_of_its_fields_match(rule: Rule, covers: bool) -> None:
    assert covering((rule,), call(), "bash", "hey -z 1m") == ([rule] if covers else [])


def test_there_is_no_shell_unless_a_rule_says_so() -> None:
    asked = call(cmd="hey 'http://web/?a=1&b=2'")

    plain, shelled = task(asked, (Rule(),)), task(asked, (Rule(), Rule(shell=True)))

    assert isinstance(plain, Task)
    assert isinstance(shelled, Task)
    assert plain.argv == ("hey", "http://web/?a=1&b=2")
    assert shelled.argv[:2] == ("sh", "-c")


def test_a_command_that_needs_a_shell_is_refused_where_there_is_none() -> None:
    """`curl web | grep ok` as words would succeed, and test nothing."""
    assert task(call(cmd="curl web | grep ok"), (Rule(),)) == Refused(
        "cmd needs a shell (|), and no rule allows one", forbidden=True
    )


def test_a_task_without_a_rule_is_forbidden() -> None:
    found = task(call(cmd="true"), ())

    assert found == Refused("no rule lets web.prod run this cmd", forbidden=True)


def test_a_command_that_is_no_words_is_refused() -> None:
    assert task(call(cmd="echo 'a"), (Rule(),)) == Refused("cmd cannot be split into words")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'[{"token": ""}]', r"\[0\]: either"),
        (b'[{"token": "t", "certificate": "c"}]', r"\[0\]: either"),
        (b'[{"token": "t", "namespaces": "("}]', r"\[0\]\.namespaces"),
        (b'[{"token": "t", "namespace": "x"}]', "namespace"),
        (b"{", "array"),
    ],
)
def test_callers_that_cannot_work_say_where(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parsed_callers(text)


def test_rules_come_from_json_and_say_where_they_are_wrong() -> None:
    [rule] = parsed_rules(b'[{"namespace": "prod", "types": ["cmd"], "shell": true}]')
    assert rule == Rule(namespace="prod", types=("cmd",), shell=True)

    with pytest.raises(ValueError, match=r"\[0\]\.command"):
        parsed_rules(b'[{"command": "("}]')
