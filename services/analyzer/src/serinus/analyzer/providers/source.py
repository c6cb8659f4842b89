"""What a provider is given and what it is: the nouns that all of them share.

A provider answers one question. It returns Value, NoData or Unreachable and raises nothing; the
text of Unreachable is fit for people and holds no secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from msgspec import Struct

from serinus.analyzer.core.queries import Names
from serinus.analyzer.core.rollout import Reading, Unreachable
from serinus.events.canary import MetricProvider
from serinus.runtime.http import Http, HttpRequest, HttpResponse, Unanswered

MAX_QUOTED = 500


class Source(Struct, frozen=True, kw_only=True):
    """One metrics source: what the MetricTemplate says, and the contents of its Secret."""

    provider: MetricProvider
    credentials: Mapping[str, bytes] = {}


class Question(Struct, frozen=True, kw_only=True):
    """What is asked.

    at        Unix seconds; the window ends here
    window_s  how far back it reaches
    check     name of the built-in check, "" for a query of the user's
    observer  row of the built-in queries, and `names` what they are about
    """

    query: str
    at: float
    window_s: float
    check: str = ""
    observer: str = ""
    names: Names | None = None


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
        try:
            return read(await self._http.send(make()))
        except Misconfigured as error:
            return Unreachable(key="", why=str(error))
        except Unanswered as error:
            return Unreachable(key="", why=f"request failed: {error}")


def refusal(answer: HttpResponse) -> Unreachable | None:
    """Unreachable for an answer that is an error, in the reference's words (5.5)."""
    if answer.status < 300:
        return None
    body = answer.text[:MAX_QUOTED].strip()
    why = f"error response: Status {answer.status} {status_text(answer.status)}: {body}"
    return Unreachable(key="", why=why)


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
