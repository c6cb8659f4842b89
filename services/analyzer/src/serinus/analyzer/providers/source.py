"""What a provider is given and what it is: the nouns that all of them share.

A provider answers one question. It returns Value, NoData or Unreachable and raises nothing; the
text of Unreachable is fit for people and holds no secret.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from serinus.analyzer.core.checks import NO_SERIES, NOT_A_NUMBER
from serinus.analyzer.core.queries import (
    DURATION,
    SHARE,
    SUCCESS_RATE,
    Names,
    builtin_query,
    share_queries,
)
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.events.canary import MetricProvider
from serinus.runtime.http import Http, HttpRequest, HttpResponse, Identity, Unanswered

MAX_QUOTED = 500
TIMEOUT_S = 5.0
MULTIPLE = "query returned multiple values"
LOOK_BACK = 10
"""Sources that answer with a series are asked for so many windows back (reference 5.5)."""


class Source(Struct, frozen=True, kw_only=True):
    """One metrics source: what the MetricTemplate says, and the contents of its Secret.

    only  the one namespace whose objects may be read with our own rights; "": all
    """

    provider: MetricProvider
    credentials: Mapping[str, bytes] = {}
    only: str = ""

    def check(self, namespace: str, what: str) -> None:
        """Raises Misconfigured where this namespace is behind a wall."""
        if self.only and namespace != self.only:
            blocked = "cross-namespace references are blocked"
            raise Misconfigured(f"can't access {what} in {namespace}, {blocked}")


class Question(Struct, frozen=True, kw_only=True):
    """What is asked.

    at        Unix seconds; the window ends here
    window_s  how far back it reaches
    body      rendered body of a request (`http`)
    columns   instead of one value a table is asked for, from `since` on: a query each, by name
    check     name of the built-in check, "" for a query of the user's
    observer  row of the built-in queries, and `names` what they are about
    """

    query: str
    at: float
    window_s: float
    body: str = ""
    columns: Mapping[str, str] = {}
    since: float = 0.0
    check: str = ""
    observer: str = ""
    names: Names | None = None

    @property
    def begin(self) -> float:
        """Where a source begins that answers with a series."""
        return self.at - LOOK_BACK * self.window_s


def is_builtin(question: Question) -> bool:
    """Whether the query is the built-in one, and not one of the user's under its name."""
    names = question.names
    for check in (SUCCESS_RATE, DURATION):
        if question.check == check and names is not None:
            usual = builtin_query(question.observer, check, names)
            return _windowless(usual) == _windowless(question.query)
    return False


def is_share(question: Question) -> bool:
    """Whether the canary's share of requests is asked for."""
    if question.check != SHARE or question.names is None:
        return False
    usual, _ = share_queries(question.observer, question.names, "1m")
    return _windowless(usual) == _windowless(question.query)


def _windowless(query: str) -> str:
    return re.sub(r"\[\w*\]", "", query)


class Provider(Protocol):
    async def value(self, question: Question) -> Reading:
        """The answer. Its `key` is empty: the asker knows what it asked."""
        ...

    async def probe(self, at: float) -> Reading:
        """Value when the source can be asked, Unreachable when not."""
        ...


class Misconfigured(ValueError):
    """The source cannot be asked as it is described; the text says what is missing."""


class Halves(Struct, frozen=True, kw_only=True):
    """A provider that is one HTTP request: pure functions before and after the wire.

    request, probe    raise Misconfigured
    reading, probed   what the answer means
    """

    request: Callable[[Source, Question], HttpRequest]
    reading: Callable[[HttpResponse], Reading]
    probe: Callable[[Source, float], HttpRequest]
    probed: Callable[[HttpResponse], Reading]


class OverHttp:
    """Any provider of two halves, asked over HTTP."""

    def __init__(self, halves: Halves, source: Source, http: Http) -> None:
        self._halves = halves
        self._source = source
        self._http = http

    async def value(self, question: Question) -> Reading:
        return await self._ask(
            lambda: self._halves.request(self._source, question), self._halves.reading
        )

    async def probe(self, at: float) -> Reading:
        return await self._ask(lambda: self._halves.probe(self._source, at), self._halves.probed)

    async def _ask(
        self, make: Callable[[], HttpRequest], read: Callable[[HttpResponse], Reading]
    ) -> Reading:
        async def asked() -> Reading:
            return read(await self._http.send(make()))

        return await told(asked())


# --- before the wire ----------------------------------------------------------------------------


def address(source: Source, default: str = "") -> str:
    """The address without a slash at its end. Raises Misconfigured."""
    given = (source.provider.address or default).rstrip("/")
    if not given.startswith(("http://", "https://")):
        raise Misconfigured(f"address {given!r} is no http:// or https:// URL")
    return given


def credential(source: Source, *keys: str) -> tuple[str, ...]:
    """The texts under these keys of the Secret. Raises Misconfigured, naming what is missing."""
    missing = [key for key in keys if not source.credentials.get(key, b"").strip()]
    if missing:
        raise Misconfigured(f"the secret does not hold {' and '.join(missing)}")
    return tuple(_text(key, source.credentials[key]) for key in keys)


def _text(key: str, raw: bytes) -> str:
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        raise Misconfigured(f"the secret's {key} is no text") from None
    if not text.isprintable():
        raise Misconfigured(f"the secret's {key} holds line breaks or other characters of control")
    return text


def basic(source: Source) -> str:
    """The Authorization header of `username` and `password`. Raises Misconfigured."""
    pair = ":".join(credential(source, "username", "password"))
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def headers_of(source: Source) -> dict[str, str]:
    """The provider's own headers; a copy, for they are shared."""
    return {name: ", ".join(values) for name, values in source.provider.headers.items()}


def identity_of(source: Source) -> Identity | None:
    """The Secret's `ca.crt`, `tls.crt` and `tls.key`, if it has any. Raises Misconfigured."""
    ca, cert, key = (source.credentials.get(k, b"") for k in ("ca.crt", "tls.crt", "tls.key"))
    if bool(cert) != bool(key):
        raise Misconfigured(f"the secret does not hold {'tls.key' if cert else 'tls.crt'}")
    return Identity(ca=ca, cert=cert, key=key) if ca or cert else None


def get(source: Source, url: str, headers: Mapping[str, str] | None = None) -> HttpRequest:
    """A GET with the source's TLS settings and headers; those given here win."""
    return HttpRequest(
        url=url,
        headers={**headers_of(source), **(headers or {})},
        timeout_s=TIMEOUT_S,
        verify_tls=not source.provider.insecure_skip_verify,
        identity=identity_of(source),
    )


def post(
    source: Source, url: str, body: bytes | Any, headers: Mapping[str, str] | None = None
) -> HttpRequest:
    """A POST of bytes, or of JSON, like `get`."""
    given = {"Content-Type": "application/json", **(headers or {})}
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return msgspec.structs.replace(get(source, url, given), method="POST", body=raw)


# --- after the wire -----------------------------------------------------------------------------


async def told(asking: Awaitable[Reading]) -> Reading:
    """The reading, or what went wrong on the way as one."""
    try:
        return await asking
    except Unanswered as error:
        return Unreachable(key="", why=f"request failed: {error}", away=True)
    except Refused as refused:
        return refused.reading
    except (Misconfigured, Misread) as error:
        return Unreachable(key="", why=str(error))
    except _ANOTHER_SHAPE:
        return Unreachable(key="", why="the answer has another shape than its documents say")


def refusal(answer: HttpResponse) -> Unreachable | None:
    """Unreachable for an answer that is an error, in the reference's words (5.5)."""
    if answer.status < 300:
        return None
    body = answer.text[:MAX_QUOTED].strip()
    why = f"error response: Status {answer.status} {status_text(answer.status)}: {body}"
    cause = _CAUSES.get(answer.status, "")
    return Unreachable(
        key="",
        why=f"{why} ({cause})" if cause else why,
        away=answer.status >= 500 or answer.status in _CAUSES,
    )


# Statuses that say nothing about the query, and everything about the server and us.
_CAUSES = {
    401: "are the credentials expired?",
    403: "may these credentials read metrics?",
    407: "a proxy on the way wants credentials",
    429: "rate limit",
}


def document(answer: HttpResponse) -> Any:
    """The JSON of a good answer. Raises Misread, or Refused for an answer that is an error."""
    if (refused := refusal(answer)) is not None:
        raise Refused(refused)
    try:
        return msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        raise Misread(f"the answer is not JSON: {first_line(answer.text)}") from None


_ANOTHER_SHAPE = (KeyError, IndexError, TypeError, ValueError, AttributeError)


class Misread(ValueError):
    """An answer in another shape than the source's documents say."""


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, reading: Unreachable) -> None:
        super().__init__(reading.why)
        self.reading = reading


def first_line(text: str) -> str:
    """Enough of an answer to recognise it."""
    lines = text.strip().splitlines()
    return lines[0][:120] if lines else "(empty)"


def reads(read: Callable[[HttpResponse], Reading]) -> Callable[[HttpResponse], Reading]:
    """`read`, with what it raises turned into answers."""

    def reading(answer: HttpResponse) -> Reading:
        try:
            return read(answer)
        except Refused as refused:
            return refused.reading
        except Misread as error:
            return Unreachable(key="", why=str(error))
        except _ANOTHER_SHAPE:
            why = f"the answer has another shape than expected: {first_line(answer.text)}"
            return Unreachable(key="", why=why)

    return reading


def number(found: Any, samples: float | None = None) -> Reading:
    """A value of a JSON answer; null and NaN are no data."""
    if found is None:
        return NoData(key="", cause=NO_SERIES)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Misread(f"the answer holds no number: {first_line(repr(found))}")
    try:
        value = float(found)
    except OverflowError:
        value = math.inf
    if math.isnan(value):
        return NoData(key="", cause=NOT_A_NUMBER)
    return Value(key="", value=value, samples=samples)


def numeric(text: Any) -> Reading:
    """A number that its source writes as a text."""
    try:
        return number(float(text))
    except (TypeError, ValueError):
        raise Misread(f"the answer holds no number: {first_line(repr(text))}") from None


def online(answer: HttpResponse) -> Reading:
    """Value 1 for any answer that is no error."""
    return refusal(answer) or Value(key="", value=1.0)


# Names that newer Pythons give differently from Go.
_STATUS_TEXTS = {413: "Request Entity Too Large", 416: "Requested Range Not Satisfiable"} | {
    422: "Unprocessable Entity"
}


def status_text(status: int) -> str:
    """The reason phrase as Go has it; "" for a status without one."""
    try:
        return _STATUS_TEXTS.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return ""
