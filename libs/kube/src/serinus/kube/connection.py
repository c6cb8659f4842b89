"""One connection to an API server: where it is, who we are, and requests as bytes in and out.

kubernetes-asyncio finds the kubeconfig or the pod's service account, keeps tokens fresh, does TLS
and proxies. Its generated models are left alone: bodies are for our own decoders.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from serinus.kube._library import ConfigException, Configuration, RESTClientObject, kubeconfig
from serinus.kube._library import load_incluster_config as load_incluster
from serinus.kube.errors import Denied, Unreachable
from serinus.runtime.http import proxy_of

CONNECT_TIMEOUT_S = 5.0
# Turns of the loop in which transports that were cut get to know that they are closed.
CLOSING_TURNS = 3
# How long a request whose caller has given up may still take to get out of the TLS handshake.
GRACE_S = 1.0
# Longer than any watch is asked to last: a server that hangs is given up at last.
SILENCE_S = 360.0
# A silent peer (a node that vanished) is noticed after 15 + 3 * 5 s on a watch.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
RELOAD_AT_MOST_EVERY_S = 10.0
# One event of a watch may be as large as an object can be, 1.5 MiB.
READ_AHEAD = 2**21


class Connection:
    """Sends requests with our credentials; reads them again when the API server refuses them."""

    def __init__(self, kubeconfig_path: str, configuration: Any) -> None:
        self._kubeconfig = kubeconfig_path
        self._configuration = configuration
        self._rest = _client(configuration)
        self._retired: list[Any] = []
        self._sending: set[asyncio.Future[Any]] = set()
        self._reload_lock = asyncio.Lock()
        self._reloaded_at = -RELOAD_AT_MOST_EVERY_S

    @classmethod
    async def open(cls, kubeconfig_path: str = "") -> Connection:
        """Finds the cluster: the given file, else KUBECONFIG, else ~/.kube/config, else the pod's
        service account. Raises Denied with the reason when none of them can be used."""
        return cls(kubeconfig_path, await _load(kubeconfig_path))

    @property
    def host(self) -> str:
        return str(self._configuration.host)

    async def close(self) -> None:
        if self._sending:
            await asyncio.wait(self._sending, timeout=2 * GRACE_S)
        for rest in (*self._retired, self._rest):
            await rest.close()
        for _ in range(CLOSING_TURNS):
            await asyncio.sleep(0)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float,
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers of the answer, whatever its status. Raises Unreachable."""
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self.open_stream(
                    method, path, query=query, body=body, content_type=content_type
                )
                try:
                    return answer.status, await answer.read(), answer.headers
                finally:
                    hang_up(answer)
        except TimeoutError:
            raise Unreachable(f"{self.host}: no answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{self.host}: {error or type(error).__name__}") from error

    async def open_stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        """The answer with its body unread; the caller closes it. Raises aiohttp's own errors."""
        answer = await self._send(method, path, query, body, content_type)
        if answer.status == 401 and await self._reload():
            hang_up(answer)
            answer = await self._send(method, path, query, body, content_type)
        return answer

    async def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Any, content_type: str
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        token = (await self._configuration.auth_settings()).get("BearerToken")
        if token and token["value"]:
            headers["Authorization"] = token["value"]
        request = self._rest.request(
            method,
            self._configuration.host + path,
            query_params=dict(query) if query else None,
            headers=headers,
            body=body,
            _preload_content=False,
            _request_timeout=aiohttp.ClientTimeout(
                sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S
            ),
        )
        return await self._uncut(asyncio.ensure_future(request))

    async def _uncut(
        self, sending: asyncio.Future[aiohttp.ClientResponse]
    ) -> aiohttp.ClientResponse:
        """Its result. Cancelling the caller cancels it a moment later.

        A connection that is cancelled at the very start of its TLS handshake is never closed by
        asyncio (the transport takes itself for closed already); a moment later it is.
        """
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            sending.add_done_callback(_drop)
            asyncio.get_running_loop().call_later(GRACE_S, sending.cancel)
            raise

    async def _reload(self) -> bool:
        """Reads the credentials again (a renewed token file, an exec plugin); False: too soon."""
        loop_time = asyncio.get_running_loop().time
        async with self._reload_lock:
            if loop_time() - self._reloaded_at < RELOAD_AT_MOST_EVERY_S:
                return False
            self._reloaded_at = loop_time()
            fresh = await _load(self._kubeconfig)
            renewed: bool = fresh.api_key != self._configuration.api_key
            if fresh.cert_file != self._configuration.cert_file:
                # Watches go on with the old session until their server ends them.
                self._retired.append(self._rest)
                self._rest = _client(fresh)
                renewed = True
            self._configuration = fresh
            return renewed


def _client(configuration: Any) -> Any:
    """The library's client, but for its session: that one looks for ~/.netrc and for a proxy in the
    environment before every request, each time in a thread of its own."""
    client = RESTClientObject(configuration)
    client.proxy = client.proxy or proxy_of(configuration.host)
    session = client.pool_manager
    client.pool_manager = aiohttp.ClientSession(
        connector=session.connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_AHEAD,
    )
    session.detach()
    return client


def _drop(sent: asyncio.Future[aiohttp.ClientResponse]) -> None:
    """Closes an answer that nobody waits for any more."""
    if not sent.cancelled() and sent.exception() is None:
        hang_up(sent.result())


def hang_up(answer: aiohttp.ClientResponse) -> None:
    """Ends an answer. One that was read to its end gave its connection back already; another's
    connection is cut, as a TLS farewell could take as long as the server likes."""
    transport = answer.connection.transport if answer.connection else None
    if transport is not None:
        transport.abort()
    answer.close()


def keep_alive(answer: aiohttp.ClientResponse) -> None:
    """Lets the kernel ask a silent peer whether it is still there: for long streams."""
    transport = answer.connection.transport if answer.connection else None
    sock = transport.get_extra_info("socket") if transport else None
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


async def _load(path: str) -> Any:
    configuration = Configuration()
    try:
        found = path or _default_kubeconfig()
        if found:
            await kubeconfig(found, configuration)
        else:
            load_incluster(client_configuration=configuration)
    except (ConfigException, OSError, ValueError, AssertionError, TypeError) as error:
        where = path or "KUBECONFIG, ~/.kube/config and the pod's service account"
        raise Denied(f"no usable cluster configuration in {where}: {error}") from error
    return configuration


def _default_kubeconfig() -> str:
    """KUBECONFIG (as it is), or ~/.kube/config where there is one, or ""."""
    named = os.environ.get("KUBECONFIG", "")
    home = Path.home() / ".kube" / "config"
    return named or (str(home) if home.is_file() else "")
