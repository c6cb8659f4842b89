"""What a run does, whether a program here or a job on another server."""

from __future__ import annotations

import signal
from typing import Protocol

from serinus.loadtester.process import Ended, Output
from serinus.runtime.http import Http, HttpRequest, HttpResponse, Unanswered


class Work(Protocol):
    """One run of something; `output` may be read at any time."""

    output: Output

    async def run(self) -> Ended:
        """Until it has ended, or its time is over. Never raises for what it does."""
        ...

    def end(self, number: signal.Signals) -> None:
        """Asks it to end."""
        ...


class Failed(Exception):
    """The other server cannot do it; the text is for people."""


async def asked(http: Http, request: HttpRequest) -> HttpResponse:
    """An answer of status 2xx. Raises Failed."""
    try:
        answer = await http.send(request)
    except Unanswered as error:
        raise Failed(str(error)) from None
    if not 200 <= answer.status < 300:
        raise Failed(f"status {answer.status}: {answer.text[:200]}".rstrip(": "))
    return answer
