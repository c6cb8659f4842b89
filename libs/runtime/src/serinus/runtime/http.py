"""Outbound HTTP: the only place that opens a connection. Requests and answers are plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class HttpRequest(Struct, frozen=True, kw_only=True):
    """What to send. `verify_tls=False` skips certificate checks; `proxy` is a URL or ""."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes = b""
    timeout_s: float = 5.0
    verify_tls: bool = True
    proxy: str = ""


class HttpResponse(Struct, frozen=True, kw_only=True):
    """What came back; the body is cut at the client's limit."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Unanswered(Exception):
    """No answer: refused, timed out, no such host. The text is fit for people, without secrets."""


class Http(Protocol):
    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, whatever its status. Raises Unanswered when there is none in time."""
        ...
