"""The body of a hook (reference 6.2) and the words in it."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class Payload(Struct, frozen=True):
    """Who calls, in which phase, and what for. Missing fields are empty, as in Go."""

    name: str | None = ""
    namespace: str | None = ""
    phase: str | None = ""
    checksum: str | None = ""
    metadata: dict[str, str | None] | None = None

    @property
    def canary(self) -> str:
        """The canary as tasks are filed under: `name.namespace`."""
        return f"{self.name or ''}.{self.namespace or ''}"

    def word(self, key: str) -> str:
        return (self.metadata or {}).get(key) or ""

    def flag(self, key: str) -> bool:
        """A truth value as Go's strconv.ParseBool reads it; anything else is false."""
        return self.word(key) in _TRUE

    @property
    def about(self) -> tuple[str, str] | None:
        """Namespace and name where they can be those of an object, else None.

        Only then may facts name them: they become part of subjects.
        """
        namespace, name = self.namespace or "", self.name or ""
        if _NAME.fullmatch(namespace) and _NAME.fullmatch(name):
            return namespace, name
        return None


_decoder = msgspec.json.Decoder(Payload)


def payload(body: bytes) -> Payload | None:
    """The payload in a request's body, or None where there is none that can be read."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return None


class Namespaces:
    """Which namespaces may use this load tester: an unanchored search, as in Flagger."""

    def __init__(self, pattern: str) -> None:
        """Raises ValueError when the pattern is no regular expression."""
        try:
            self._pattern = re.compile(pattern) if pattern else None
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None

    def allow(self, call: Payload) -> bool:
        return self._pattern is None or self._pattern.search(call.namespace or "") is not None
