"""What a run does, whether a program here or a job on another server."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from typing import Protocol

from serinus.loadtester.process import Ended, Output
from serinus.runtime.clock import Clock
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


class Job:
    """Work that another server does: started, then looked at until it has ended.

    metadata           what the task type needs
    poll_s, timeout_s  between two looks, and for all of it
    POLL_S, TIMEOUT_S  the same where the metadata says nothing; None: the load tester's own bound
    """

    POLL_S: float = 1.0
    TIMEOUT_S: float | None = None

    def __init__(
        self,
        metadata: Mapping[str, str],
        *,
        poll_s: float,
        timeout_s: float,
        http: Http,
        clock: Clock,
    ) -> None:
        self.output = Output(4096)
        self._metadata = metadata
        self._base = metadata["server"].rstrip("/")
        self._poll_s, self._timeout_s = poll_s, timeout_s
        self._http, self._clock = http, clock
        self._stopped = asyncio.Event()

    async def run(self) -> Ended:
        try:
            return await self._run()
        except (Failed, OSError) as error:
            return Ended(1, self.output.text(), str(error))

    def end(self, number: signal.Signals) -> None:
        self._stopped.set()

    async def _run(self) -> Ended:
        raise NotImplementedError
