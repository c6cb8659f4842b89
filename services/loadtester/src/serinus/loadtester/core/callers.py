"""Who may call, for which namespaces, and which commands they may run.

A caller shows a bearer token. The namespace in a request's body is only believed as far as the
caller's own namespaces reach. With an allow-list nothing else runs, and nothing in a shell unless
a rule says so; without one every caller may run anything, as with Flagger's load tester.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import shlex
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from serinus.loadtester.core.payload import Payload

ANYBODY = "anybody"

T = TypeVar("T")


class Caller(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One token. `namespaces` is a regular expression that the whole name must match; "": all."""

    token: str
    name: str = ""
    namespaces: str = ""


class Rule(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What may run. Empty means any; the others are regular expressions for the whole text.

    shell  the command is given to a shell; else it is split into words and run as they are
    """

    namespace: str = ""
    canary: str = ""
    types: tuple[str, ...] = ()
    command: str = ""
    shell: bool = False

    def covers(self, call: Payload, kind: str, command: str) -> bool:
        return (
            _matches(self.namespace, call.namespace or "")
            and _matches(self.canary, call.name or "")
            and (not self.types or kind in self.types)
            and _matches(self.command, command)
        )


class Callers:
    """The known callers; none and `is_open`: anybody."""

    def __init__(self, known: Sequence[Caller], *, is_open: bool) -> None:
        self._known = tuple((_digest(caller.token), caller) for caller in known)
        self._is_open = is_open

    def of(self, authorization: str) -> Caller | None:
        """Who shows this Authorization header; None: nobody who may come in."""
        if not self._known:
            return Caller(token="", name=ANYBODY) if self._is_open else None
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            return None
        shown = _digest(token.strip())
        found = [caller for digest, caller in self._known if hmac.compare_digest(digest, shown)]
        return found[0] if found else None


def speaks_for(caller: Caller, namespace: str) -> bool:
    """Whether the caller may name this namespace in a body."""
    return _matches(caller.namespaces, namespace)


def rule_for(rules: Sequence[Rule], call: Payload, kind: str, command: str) -> Rule | None:
    """The first rule that lets this run."""
    return next((rule for rule in rules if rule.covers(call, kind, command)), None)


def words(command: str) -> tuple[str, ...] | None:
    """A command as words, with a shell's quoting but without a shell; None: it does not parse."""
    try:
        return tuple(shlex.split(command)) or None
    except ValueError:
        return None


def parsed_callers(text: bytes) -> tuple[Caller, ...]:
    """Callers from JSON. Raises ValueError with the place of the mistake."""
    found = _decoded(text, tuple[Caller, ...])
    for index, caller in enumerate(found):
        if not caller.token:
            raise ValueError(f"[{index}].token: must not be empty")
        _checked(f"[{index}].namespaces", caller.namespaces)
    return found


def parsed_rules(text: bytes) -> tuple[Rule, ...]:
    """Rules from JSON. Raises ValueError with the place of the mistake."""
    found = _decoded(text, tuple[Rule, ...])
    for index, rule in enumerate(found):
        for field in ("namespace", "canary", "command"):
            _checked(f"[{index}].{field}", getattr(rule, field))
    return found


def _decoded(text: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None


def _checked(where: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{where}: no regular expression: {error}") from None


def _matches(pattern: str, text: str) -> bool:
    return not pattern or re.fullmatch(pattern, text) is not None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
