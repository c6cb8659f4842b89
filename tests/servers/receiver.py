"""Every chat, pager and mailbox that there is a sender for, with the faults of networks.

An address names a cell: a kind of channel and what goes wrong with it. The first attempts of a cell
meet its fault, later ones are taken, if the vendor would take them (`vendors.py`). What was taken
is kept with the mark in its text (`mark 3 of slack/429`) and the key by which the receiver could
tell a repeat, where the vendor has one.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web
from aiosmtpd.smtp import SMTP
from tests.servers.vendors import complaints

FAULTS = ("429", "500", "timeout", "reset", "certificate", "dns")
HELD = "held"
"""Attempts of this cell are heard and not answered until `release`."""

FAULTY: Mapping[str, int] = {"429": 2, "500": 2, "timeout": 1, "reset": 2}
"""How many attempts of a cell go wrong at the receiver; the others fail before they reach it."""

NOWHERE = "nowhere.invalid"  # RFC 6761: never resolves
MARK = re.compile(r"mark (\d+) of (\w+)/(\w+)")


class Taken(msgspec.Struct, frozen=True):
    """One message that a receiver took. `key` is "" where the vendor has none."""

    kind: str
    fault: str
    mark: int
    key: str
    at: float


class Receiver:
    """Listens while its context is open.

    address(kind, fault)  goes into an AlertProvider; `cured` is the same without its fault of name
    taken                 what was taken, in order; `refused` what a vendor would refuse, and why
    changed               notified after each request
    """

    def __init__(self, folder: Path) -> None:
        self.taken: list[Taken] = []
        self.refused: list[str] = []
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.heard: list[tuple[str, int]] = []
        self.changed = asyncio.Condition()
        self._folder = folder
        self._released = asyncio.Event()
        self._ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []
        self._runner: web.AppRunner | None = None
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    @property
    def authority(self) -> Path:
        """The certificate of the authority that clients shall trust."""
        return self._folder / "authority.crt"

    async def __aenter__(self) -> Self:
        _certificates(self._folder)
        self._present("wrong")
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{kind}/{fault}{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        for scheme, tls in (("http", None), ("https", self._tls)):
            site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
            await site.start()
            self._ports[scheme] = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # public only in aiohttp's runner
        loop = asyncio.get_running_loop()
        for scheme, tls in (("smtp", None), ("smtps", self._tls)):
            server = await loop.create_server(lambda: _Door(self), "127.0.0.1", 0, ssl=tls)
            self._servers.append(server)
            self._ports[scheme] = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        for server in self._servers:
            server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _present(self, name: str) -> None:
        self._tls.load_cert_chain(self._folder / f"{name}.crt", self._folder / f"{name}.key")

    def trust(self) -> None:
        """From now on the certificate is the right one."""
        self._present("right")

    def release(self) -> None:
        """From now on what was held is taken."""
        self._released.set()

    def address(self, kind: str, fault: str, *, cured: bool = False) -> str:
        secure = fault == "certificate"
        host = NOWHERE if fault == "dns" and not cured else "127.0.0.1"
        if kind == "email":
            scheme = "smtps" if secure else "smtp"
            return f"{scheme}://{host}:{self._ports[scheme]}"
        scheme = "https" if secure else "http"
        where = f"{host}:{self._ports[scheme]}/{kind}/{fault}"
        if kind == "apprise":
            return f"{'jsons' if secure else 'json'}://{where}/"
        path = "/api/chat.postMessage" if kind == "slackbot" else ""
        return f"{scheme}://{where}{path}"

    # --- what goes wrong -------------------------------------------------------------------------

    def goes_wrong(self, kind: str, fault: str) -> bool:
        """Counts an attempt; says whether it meets the fault of its cell."""
        self.attempts[kind, fault] += 1
        return self.attempts[kind, fault] <= FAULTY.get(fault, 0)

    async def hold(self, kind: str, text: str) -> None:
        found = MARK.search(text)
        assert found is not None
        self.heard.append((kind, int(found[1])))
        await self.notify()
        await self._released.wait()

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, is_so: Callable[[], bool], within_s: float) -> None:
        async with asyncio.timeout(within_s), self.changed:
            await self.changed.wait_for(is_so)

    async def keep(self, kind: str, text: str, key: str) -> None:
        found = MARK.search(text)
        assert found is not None, text
        at = asyncio.get_running_loop().time()
        self.taken.append(Taken(kind, found[3], int(found[1]), key, at))
        await self.notify()

    # --- HTTP ------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        kind, fault = request.match_info["kind"], request.match_info["fault"]
        body = await request.read()
        if self.goes_wrong(kind, fault):
            return await _fault(request, kind, fault)
        if kind == "slackbot" and request.path.endswith("/chat.update"):
            return web.json_response({"ok": True, "channel": "C1", "ts": "1.0"})
        wrong = complaints(kind, request.headers, body)
        if wrong:
            self.refused.append(f"{kind}/{fault}: {wrong}")
            await self.notify()
            return web.Response(status=400, text="; ".join(wrong))
        if fault == HELD:
            await self.hold(kind, body.decode())
        await self.keep(kind, body.decode(), key_of(kind, request.headers, json.loads(body)))
        if kind == "slackbot":
            return web.json_response({"ok": True, "channel": "C1", "ts": "1.0"})
        return web.json_response({"status": "success"}, status=202)


async def _fault(request: web.Request, kind: str, fault: str) -> web.StreamResponse:
    match fault:
        case "429" if kind == "slackbot":
            found = {"ok": False, "error": "ratelimited"}
            return web.json_response(found, status=429, headers={"Retry-After": "1"})
        case "429":
            return web.Response(status=429, headers={"Retry-After": "1"}, text="slow down")
        case "500":
            return web.Response(status=500, text="oops")
        case "reset":
            assert request.transport is not None
            _reset(request.transport)
            return web.Response(status=500)
        case _:
            await asyncio.sleep(3600)  # until the client hangs up
            return web.Response(status=500)


def _reset(transport: asyncio.BaseTransport) -> None:
    """Hangs up with a reset instead of a goodbye."""
    found = transport.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert isinstance(transport, asyncio.Transport)
    transport.abort()


def key_of(kind: str, headers: Mapping[str, str], body: dict[str, Any]) -> str:
    """What a receiver of this kind knows a repeat by; "" where there is nothing."""
    match kind:
        case "pagerduty":
            return f"{body['dedup_key']} {body['event_action']}"
        case "opsgenie":
            return str(body["alias"])
        case "slackbot":
            return str(body["client_msg_id"])
        case "webhook":
            return headers["Idempotency-Key"]
        case "cdevents":
            return str(body["id"])
        case _:
            return ""


class _Door(SMTP):
    """One connection of a mail client; the cell is the recipient's mailbox."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(_Mailbox(receiver), hostname="localhost")


class _Mailbox:
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        fault = address.partition("@")[0]
        if self._receiver.goes_wrong("email", fault):
            if fault == "timeout":
                await asyncio.sleep(3600)
            if fault == "reset":
                _reset(server.transport)
            return "451 4.7.1 slow down" if fault == "429" else "452 4.3.1 oops"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        text = envelope.content.decode()
        unfolded = re.sub(r"\r?\n[ \t]", " ", text)
        if f"of email/{HELD}" in unfolded:
            await self._receiver.hold("email", unfolded)
        found = re.search(r"^Message-ID: *(\S+)", unfolded, re.M | re.I)
        assert found is not None
        await self._receiver.keep("email", unfolded, found[1])
        return "250 taken"


def _certificates(folder: Path) -> None:
    """An authority, and two servers' certificates of it: one for loopback, one for another host."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"
    _openssl(folder, "req", "-x509", *key, "-subj", "/CN=authority", "-addext", usage,
             "-keyout", "authority.key", "-out", "authority.crt")  # fmt: skip
    for name, host in (("right", "IP:127.0.0.1"), ("wrong", "DNS:another.test")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={host}\n")
        _openssl(folder, "req", *key, "-subj", f"/CN={name}",
                 "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-days", "30",
                 "-CA", "authority.crt", "-CAkey", "authority.key", "-CAcreateserial",
                 "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=30)
