"""Outbound HTTP: the only place that opens a connection. Requests and answers are plain data."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections import OrderedDict
from collections.abc import Coroutine, Generator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Protocol, TypeVar
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
IDENTITIES_MAX = 64

MACHINES_OWN = [
    ip_network(one)
    for one in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",  # AWS
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure
    )
]
"""Where a machine finds what is meant for it alone: clouds keep its credentials there."""

FRAMING = frozenset(
    {"content-length", "transfer-encoding", "te", "trailer", "connection", "keep-alive", "upgrade"}
)
"""Headers that say where a request ends. They come with the body and the connection, from nobody
else: who could choose them would put a second request into the first, whose answer another gets."""

Heard = TypeVar("Heard")
Frame = str | bytes
Dialogue = Generator[tuple[str, ...], Frame, Heard]
"""A conversation without a socket: yields the texts to send, is sent each frame that comes in, and
returns what it was about."""


class Identity(Struct, frozen=True, kw_only=True):
    """Whom to trust and who we are, as PEM texts.

    ca         certificates to trust instead of the system's; b"": the system's
    cert, key  our own certificate with its key; b"": none
    """

    ca: bytes = b""
    cert: bytes = b""
    key: bytes = b""


class HttpRequest(Struct, frozen=True, kw_only=True):
    """What to send. `verify_tls=False` skips certificate checks; `proxy` is a URL or "".

    Without `proxy` those of the environment are used (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).
    Headers that say where a request ends (FRAMING) are left out.
    Redirects are not followed unless `redirects` says so: credentials would go where nobody said.
    `identity` is for servers with a certificate authority, or clients with a certificate, of
    their own. Addresses are other people's as a rule, so those where clouds keep the machine's
    credentials are not asked unless `for_own_credentials`.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes = b""
    timeout_s: float = 5.0
    verify_tls: bool = True
    proxy: str = ""
    redirects: bool = False
    identity: Identity | None = None
    for_own_credentials: bool = False


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

    async def converse(self, request: HttpRequest, dialogue: Dialogue[Heard]) -> Heard:
        """What a dialogue over a websocket came to, all within the request's timeout.

        Raises Unanswered when it does not come to its end, and what the dialogue raises.
        """
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
        # By whether they may reach what is the machine's own: connections are kept, and shared.
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._identities: OrderedDict[tuple[Identity, bool], ssl.SSLContext] = OrderedDict()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, whatever its status. Raises Unanswered when there is none in time."""
        return await self._bounded(request, self._exchange(request))

    async def converse(self, request: HttpRequest, dialogue: Dialogue[Heard]) -> Heard:
        """What a dialogue over a websocket came to, all within the request's timeout."""
        return await self._bounded(request, self._talk(request, dialogue))

    async def _bounded(self, request: HttpRequest, work: Coroutine[Any, Any, Heard]) -> Heard:
        where = redact.url(request.url)
        try:
            with self._tracing.span(f"HTTP {request.method}", "client", url=where):
                async with asyncio.timeout(request.timeout_s):
                    return await work
        except TimeoutError:
            raise Unanswered(
                f"{request.method} {where}: no answer within {request.timeout_s:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unanswered(f"{request.method} {where}: {_why(error)}") from None

    async def close(self) -> None:
        while self._sessions:
            await self._sessions.popitem()[1].close()

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        async with self._opened(request).request(
            request.method,
            request.url,
            headers=self._headers(request),
            data=request.body or None,
            allow_redirects=request.redirects,
            max_redirects=REDIRECTS_MAX,
            proxy=request.proxy or proxy_of(request.url),
            ssl=self._trust(request),
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

    async def _talk(self, request: HttpRequest, dialogue: Dialogue[Heard]) -> Heard:
        async with self._opened(request).ws_connect(
            request.url,
            headers=self._headers(request),
            max_msg_size=self._body_max,
            proxy=request.proxy or proxy_of(request.url.replace("ws", "http", 1)),
            ssl=self._trust(request),
        ) as socket:
            try:
                say = next(dialogue)
                while True:
                    for text in say:
                        await socket.send_str(text)
                    say = dialogue.send(await _frame(socket))
            except StopIteration as end:
                heard: Heard = end.value
                return heard

    def _headers(self, request: HttpRequest) -> dict[str, str]:
        theirs = {k: v for k, v in request.headers.items() if k.strip().lower() not in FRAMING}
        return {"User-Agent": self._user_agent, **self._tracing.outbound(), **theirs}

    def _trust(self, request: HttpRequest) -> ssl.SSLContext | bool:
        identity = request.identity
        if identity is None:
            return (self._tls or True) if request.verify_tls else False
        asked = (identity, request.verify_tls)
        context = self._identities.get(asked)
        if context is None:
            context = self._identities[asked] = _context(identity, request.verify_tls)
            if len(self._identities) > IDENTITIES_MAX:
                self._identities.popitem(last=False)
        return context

    def _opened(self, request: HttpRequest) -> aiohttp.ClientSession:
        session = self._sessions.get(request.for_own_credentials)
        if session is None:
            session = self._sessions[request.for_own_credentials] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS_MAX,
                    limit_per_host=PER_HOST_MAX,
                    enable_cleanup_closed=False,
                    socket_factory=None if request.for_own_credentials else _outward,
                ),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
        return session


def _outward(info: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that may be asked. Raises OSError.

    Here, because it is the last place before a connection: whatever a name resolved to, and
    wherever an answer led.
    """
    family, kind, protocol, _, address = info
    if is_machines_own(address[0]):
        raise OSError(errno.EACCES, "an address of the machine's own")
    return socket.socket(family, kind, protocol)


def is_machines_own(address: str) -> bool:
    """Whether this is an address in MACHINES_OWN."""
    found = ip_address(address.partition("%")[0])
    plain = getattr(found, "ipv4_mapped", None) or found
    return any(plain in network for network in MACHINES_OWN)


async def _frame(socket: aiohttp.ClientWebSocketResponse) -> Frame:
    """The next text or binary frame. Raises ClientError when the other side has hung up."""
    message = await socket.receive()
    if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
        data: Frame = message.data
        return data
    raise aiohttp.ServerDisconnectedError


def _context(identity: Identity, verify: bool) -> ssl.SSLContext:
    """Raises ValueError when a certificate or key is not one."""
    try:
        context = ssl.create_default_context(cadata=identity.ca.decode() if identity.ca else None)
        if identity.cert:
            _show(context, identity)
    except (ssl.SSLError, UnicodeDecodeError):
        raise ValueError("the CA, certificate or key is not PEM, or they do not match") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _show(context: ssl.SSLContext, identity: Identity) -> None:
    """Gives the context our certificate; only files can be named, so it is one in memory."""
    file = os.memfd_create("identity")
    try:
        os.write(file, identity.cert + b"\n" + identity.key)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def proxy_of(url: str) -> str | None:
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
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"no websocket there: {error.status} {error.message}"
    if isinstance(error, aiohttp.InvalidURL):
        return "not a URL"
    return redact.text(str(error)) or type(error).__name__
