"""Manners towards metrics sources: few questions at a time, and rest for a server that wants it.

A server that says 429, or 503 with Retry-After, is left alone for as long as it wishes; questions
of that time wait if it is short, and are answered "later" if it is not.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from serinus.runtime.clock import Clock
from serinus.runtime.http import Dialogue, Heard, Http, HttpRequest, HttpResponse, Unanswered

AT_A_TIME = 20
PATIENCE_S = 5.0
PAUSE_S = 10.0
PAUSE_MAX_S = 300.0
SOURCES_MAX = 512


class _Manners:
    """What one host is owed."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(AT_A_TIME)
        self.not_before = 0.0


class Polite:
    """`Http` with bounds per host."""

    def __init__(self, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._hosts: dict[str, _Manners] = {}

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, whatever its status. Raises Unanswered, also when the host wants a rest."""
        manners = self._of(request)
        async with manners.slots:
            await self._waited(manners, request)
            answer = await self._http.send(request)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        wish = headers.get("retry-after", "")
        if answer.status == 429 or (answer.status == 503 and wish):
            pause = min(float(wish), PAUSE_MAX_S) if wish.isdigit() else PAUSE_S
            manners.not_before = max(manners.not_before, self._clock.monotonic() + pause)
        return answer

    async def converse(self, request: HttpRequest, dialogue: Dialogue[Heard]) -> Heard:
        """What a dialogue over a websocket came to. Raises Unanswered."""
        manners = self._of(request)
        async with manners.slots:
            await self._waited(manners, request)
            return await self._http.converse(request, dialogue)

    async def _waited(self, manners: _Manners, request: HttpRequest) -> None:
        left = manners.not_before - self._clock.monotonic()
        if left > PATIENCE_S:
            host = urlsplit(request.url).hostname
            raise Unanswered(f"rate limit of {host}: it is asked again in {left:.0f}s")
        if left > 0:
            await self._clock.sleep(left)

    def _of(self, request: HttpRequest) -> _Manners:
        host = urlsplit(request.url).netloc.rpartition("@")[2]
        if host not in self._hosts and len(self._hosts) >= SOURCES_MAX:
            now = self._clock.monotonic()
            self._hosts = {h: m for h, m in self._hosts.items() if m.not_before > now}
        return self._hosts.setdefault(host, _Manners())
