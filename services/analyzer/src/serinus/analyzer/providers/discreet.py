"""No credential leaves in an answer: servers like to quote what they were sent."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import msgspec

from serinus.analyzer.core.rollout import NoData, Reading, Unreachable
from serinus.analyzer.providers.source import Provider, Question, Source
from serinus.runtime.redact import MASK

# What is shorter is in every other text, and no secret worth the name.
SHORTEST = 4
# What is made from credentials on the way: access tokens, and sessions of a role.
_DERIVED = re.compile(r"(bearer\s+|x-amz-security-token\W+)[^\s'\",}]+", re.IGNORECASE)


class Discreet:
    """A provider whose texts hold none of its source's credentials and headers."""

    def __init__(self, provider: Provider, source: Source) -> None:
        self._provider = provider
        self._secrets = sorted(_secrets(source), key=len, reverse=True)

    async def value(self, question: Question) -> Reading:
        return self._masked(await self._provider.value(question))

    async def probe(self, at: float) -> Reading:
        return self._masked(await self._provider.probe(at))

    def _masked(self, reading: Reading) -> Reading:
        match reading:
            case Unreachable(why=why):
                return msgspec.structs.replace(reading, why=self._mask(why))
            case NoData(cause=cause):
                return msgspec.structs.replace(reading, cause=self._mask(cause))
        return reading

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _DERIVED.sub(rf"\1{MASK}", text)


def _secrets(source: Source) -> Iterator[str]:
    """Every credential and header value, in each form in which it may come back."""
    raw = [value for key, value in source.credentials.items() if key not in _PUBLIC]
    raw += [v.encode() for values in source.provider.headers.values() for v in values]
    user = source.credentials.get("username", b"").strip()
    password = source.credentials.get("password", b"").strip()
    if user and password:
        raw.append(base64.b64encode(user + b":" + password))
    for value in raw:
        text = value.decode("utf-8", "replace").strip()
        for one in (text, *text.split()):
            if len(one) >= SHORTEST:
                yield from {one, quote(one, safe=""), quote_plus(one)}


# Names, not secrets; masking them would hide what the text is about.
_PUBLIC = frozenset({"username", "org", "project", "newrelic_account_id", "ca.crt", "tls.crt"})
