"""Outbound HTTP: the only place that opens a connection. Requests and answers are plain data."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
from msgspec import Struct

from serinus.runtime import redact
from serinus.runtime.telemetry import NoTracing, Tracing

BODY_MAX = 1 << 20
"""Bytes of an answer that are read; what checks and hooks answer is far smaller."""

CONNECTIONS_MAX = 200
PER_HOST_MAX = 50
REDIRECTS_MAX = 5


class HttpRequest(Struct, frozen=True, kw_only=True):
    """What to send. `verify_tls=False` skips certificate checks; `proxy` is a URL or "".

    Without `proxy` those of the environment are used (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).
    Redirects are not followed unless `redirects` says so: credentials would go where nobody said.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes = b""
    timeout_s: float = 5.0
    verify_tls: bool = True
    proxy: str = ""
    redirects: bool = False


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


class HttpClient:
    """`Http` on aiohttp: one session, pooled connections, every wait bounded."""

    def __init__(
        self,
        *,
        ca_file: str = "",
        body_max: int = BODY_MAX,
        tracing: Tracing | None = None,
        user_agent: str = "serinus",
    ) -> None:
        self._body_max = body_max
        self._tracing = tracing or NoTracing()
        self._user_agent = user_agent
        self._tls = ssl.create_default_context(cafile=ca_file or None) if ca_file else None
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, whatever its status. Raises Unanswered when there is none in time."""
        where = redact.url(request.url)
        try:
            with self._tracing.span(f"HTTP {request.method}", "client", url=where):
                async with asyncio.timeout(request.timeout_s):
                    return await self._exchange(request)
        except TimeoutError:
            raise Unanswered(
                f"{request.method} {where}: no answer within {request.timeout_s:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unanswered(f"{request.method} {where}: {_why(error)}") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        async with self._opened().request(
            request.method,
            request.url,
            headers={"User-Agent": self._user_agent, **self._tracing.outbound(), **request.headers},
            data=request.body or None,
            allow_redirects=request.redirects,
            max_redirects=REDIRECTS_MAX,
            proxy=request.proxy or _proxy_of(request.url),
            ssl=(self._tls or True) if request.verify_tls else False,
        ) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) >= self._body_max:
                    # The rest is not wanted: the connection cannot be used again.
                    answer.close()
                    break
            return HttpResponse(
                status=answer.status, headers=answer.headers, body=bytes(body[: self._body_max])
            )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS_MAX, limit_per_host=PER_HOST_MAX, enable_cleanup_closed=False
                ),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
        return self._session


def _proxy_of(url: str) -> str | None:
    """The environment's proxy for this address; aiohttp's own way would read ~/.netrc too."""
    proxies = getproxies_environment()
    parts = urlsplit(url)
    found = proxies.get(parts.scheme)
    if found is None or proxy_bypass(parts.hostname or "", proxies):
        return None
    return found


def _why(error: Exception) -> str:
    """The reason in few words, without addresses that hold secrets."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"no such host: {error.host}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"certificate: {redact.text(str(error.certificate_error))}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or error.os_error}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    if isinstance(error, aiohttp.InvalidURL):
        return "not a URL"
    return redact.text(str(error)) or type(error).__name__
