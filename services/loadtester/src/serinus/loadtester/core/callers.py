"""Who may call, for which namespaces, and which commands they may run.

A caller shows a bearer token or a certificate. The namespace in a request's body is only believed
as far as the caller's own namespaces reach. With an allow-list nothing else runs, and nothing in a
shell unless a rule says so.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from serinus.loadtester.core.payload import Payload

ANYBODY = "anybody"

T = TypeVar("T")


class Caller(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Somebody with a token or a certificate of this name.

    namespaces  a regular expression that the whole name of a namespace must match; "": all
    """

    token: str = ""
    certificate: str = ""
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
    """The known callers.

    is_open   nobody is asked who they are
    any_certificate  a certificate that our authority signed is enough, whatever its name
    """

    def __init__(
        self, known: Sequence[Caller], *, is_open: bool = False, any_certificate: bool = False
    ) -> None:
        self._by_token = tuple((_digest(c.token), c) for c in known if c.token)
        self._by_certificate = {c.certificate: c for c in known if c.certificate}
        self._is_open = is_open
        self._any_certificate = any_certificate

    def of(self, authorization: str, certificate: Sequence[str] = ()) -> Caller | None:
        """Who shows this Authorization header, and a certificate with these names.

        None: nobody who may come in. A token says more than a certificate: it is shown on purpose.
        """
        if self._is_open:
            return Caller(name=ANYBODY)
        scheme, _, token = authorization.partition(" ")
        if scheme == "Bearer":
            shown = _digest(token.strip())
            found = [c for digest, c in self._by_token if hmac.compare_digest(digest, shown)]
            return found[0] if found else None
        named = [self._by_certificate[name] for name in certificate if name in self._by_certificate]
        if named:
            return named[0]
        return Caller(name=certificate[0]) if certificate and self._any_certificate else None


def speaks_for(caller: Caller, namespace: str) -> bool:
    """Whether the caller may name this namespace in a body."""
    return _matches(caller.namespaces, namespace)


def covering(rules: Sequence[Rule], call: Payload, kind: str, command: str) -> list[Rule]:
    """The rules that let this run."""
    return [rule for rule in rules if rule.covers(call, kind, command)]


def parsed_callers(text: bytes) -> tuple[Caller, ...]:
    """Callers from JSON. Raises ValueError with the place of the mistake."""
    found = _decoded(text, tuple[Caller, ...])
    for index, caller in enumerate(found):
        if bool(caller.token) == bool(caller.certificate):
            raise ValueError(f"[{index}]: either a token or a certificate, and not empty")
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
