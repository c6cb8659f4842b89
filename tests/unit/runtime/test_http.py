"""Outbound requests against a real server on the loopback address."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.servers.control_plane import make_certificate

from serinus.runtime import context, http
from serinus.runtime.http import (
    Dialogue,
    Frame,
    HttpClient,
    HttpRequest,
    HttpResponse,
    Identity,
    Unanswered,
)
from serinus.runtime.telemetry import NoTracing

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def a_server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    server = TestServer(app, scheme="https" if tls else "http")
    await server.start_server(ssl=tls)
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HttpClient]:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = HttpClient(body_max=1000)
    yield made
    await made.close()


async def mirror(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.path_qs,
            "headers": dict(request.headers),
            "body": (await request.read()).decode(),
        },
        status=418,
        headers={"X-Seen": "yes"},
    )


async def test_the_answer_comes_back_whatever_its_status(client: HttpClient) -> None:
    async with a_server(mirror) as url:
        answer = await client.send(
            HttpRequest(url=f"{url}/x?q=a%20b", method="POST", body=b"hi", headers={"A": "b"})
        )
    seen = json.loads(answer.text)
    assert (answer.status, answer.headers["x-seen"]) == (418, "yes")
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/x?q=a%20b", "hi")
    assert seen["headers"]["A"] == "b"
    assert seen["headers"]["User-Agent"] == "serinus"


async def test_a_server_that_does_not_answer_in_time_is_unanswered(client: HttpClient) -> None:
    async def never(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    async with a_server(never) as url:
        with pytest.raises(Unanswered, match=r"GET http://.*: no answer within 0\.05 s"):
            await client.send(HttpRequest(url=url, timeout_s=0.05))


async def test_a_port_where_nobody_listens_is_unanswered(
    client: HttpClient, unused_tcp_port: int
) -> None:
    with pytest.raises(Unanswered, match="cannot connect: "):
        await client.send(HttpRequest(url=f"http://127.0.0.1:{unused_tcp_port}/"))


async def test_a_host_that_does_not_exist_is_unanswered(client: HttpClient) -> None:
    with pytest.raises(Unanswered, match=r"nowhere\.invalid"):
        await client.send(HttpRequest(url="http://nowhere.invalid/"))


@pytest.mark.parametrize("url", ["not a url", "ftp://host/x", "http://", ""])
async def test_what_is_no_web_address_is_unanswered(client: HttpClient, url: str) -> None:
    with pytest.raises(Unanswered):
        await client.send(HttpRequest(url=url))


async def test_no_secret_of_the_address_is_in_the_error(
    client: HttpClient, unused_tcp_port: int
) -> None:
    with pytest.raises(Unanswered) as caught:
        await client.send(
            HttpRequest(url=f"http://me:hunter2@127.0.0.1:{unused_tcp_port}/?token=hunter3")
        )
    assert "hunter" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_user_information_becomes_basic_authentication(client: HttpClient) -> None:
    async with a_server(mirror) as url:
        answer = await client.send(HttpRequest(url=url.replace("://", "://me:pw@") + "/x"))
    assert '"Authorization": "Basic bWU6cHc="' in answer.text


async def test_a_body_is_cut_at_the_limit(client: HttpClient) -> None:
    async def flood(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1_000_000)

    async with a_server(flood) as url:
        answer = await client.send(HttpRequest(url=url))
        again = await client.send(HttpRequest(url=url))
    assert answer.body == again.body == b"x" * 1000


async def test_a_redirect_is_an_answer_unless_it_shall_be_followed(client: HttpClient) -> None:
    async def there(request: web.Request) -> web.Response:
        if request.path == "/from":
            raise web.HTTPFound("/to")
        return web.Response(text="arrived")

    async with a_server(there) as url:
        plain = await client.send(HttpRequest(url=f"{url}/from"))
        followed = await client.send(HttpRequest(url=f"{url}/from", redirects=True))
    assert (plain.status, plain.headers["Location"]) == (302, "/to")
    assert (followed.status, followed.text) == (200, "arrived")


@pytest.mark.parametrize(
    "header",
    [
        {"Transfer-Encoding": "chunked"},
        {"transfer-encoding": "identity, chunked"},
        {"Content-Length": "1"},
        {"content-length": "5"},
        {"Trailer": "X"},
        {"Connection": "upgrade", "Upgrade": "websocket"},
    ],
)
async def test_headers_of_manifests_do_not_say_where_a_request_ends(
    client: HttpClient, header: dict[str, str]
) -> None:
    """What came after it would be a request of its own, with an answer that the next one gets: a
    gate of somebody else's, on the same server, would be opened by it."""
    hidden = b"0\r\n\r\nGET /gate HTTP/1.1\r\nHost: x\r\n\r\n"
    async with a_server(mirror) as url:
        headers = {"X-Of": "theirs", **header}
        ask = HttpRequest(url=f"{url}/theirs", method="POST", headers=headers, body=hidden)
        theirs = json.loads((await client.send(ask)).text)
        others = json.loads((await client.send(HttpRequest(url=f"{url}/others"))).text)

    assert ("/theirs", hidden.decode()) == (theirs["path"], theirs["body"])
    assert theirs["headers"]["X-Of"] == "theirs"
    sent = {name.lower(): value for name, value in theirs["headers"].items()}
    assert sent["content-length"] == str(len(hidden))
    assert not {"transfer-encoding", "trailer", "connection", "upgrade"} & set(sent)
    assert others["path"] == "/others"


async def test_cookies_are_not_kept(client: HttpClient) -> None:
    async def bake(request: web.Request) -> web.Response:
        answer = web.Response(text=request.headers.get("Cookie", "none"))
        answer.set_cookie("a", "b")
        return answer

    async with a_server(bake) as url:
        await client.send(HttpRequest(url=url))
        assert (await client.send(HttpRequest(url=url))).text == "none"


async def test_a_proxy_gets_the_whole_address(client: HttpClient) -> None:
    async with a_server(mirror) as url:
        answer = await client.send(HttpRequest(url="http://far.invalid/x", proxy=url))
    assert '"Host": "far.invalid"' in answer.text


async def test_the_environments_proxy_is_used_but_not_for_its_exceptions(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_server(mirror) as url:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "near.invalid")
        assert (await client.send(HttpRequest(url="http://far.invalid/x"))).status == 418
        with pytest.raises(Unanswered):
            await client.send(HttpRequest(url="http://near.invalid/x"))


class _Traced(NoTracing):
    def outbound(self) -> dict[str, str]:
        return {"traceparent": context.new_trace()}


async def test_a_traced_request_carries_the_trace() -> None:
    client = HttpClient(tracing=_Traced())
    async with a_server(mirror) as url:
        assert '"traceparent": "00-' in (await client.send(HttpRequest(url=url))).text
    await client.close()


async def test_certificates_are_checked_unless_told_otherwise(
    client: HttpClient, tmp_path: Path
) -> None:
    make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    trusting = HttpClient(ca_file=str(tmp_path / "server.crt"))
    async with a_server(mirror, tls) as url:
        with pytest.raises(Unanswered, match="certificate"):
            await client.send(HttpRequest(url=url))
        assert (await client.send(HttpRequest(url=url, verify_tls=False))).status == 418
        assert (await trusting.send(HttpRequest(url=url))).status == 418
    await trusting.close()


async def test_a_server_may_have_an_authority_of_its_own_and_want_a_certificate(
    client: HttpClient, tmp_path: Path
) -> None:
    make_certificate(tmp_path)
    pem, key = ((tmp_path / f"server.{kind}").read_bytes() for kind in ("crt", "key"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    tls.load_verify_locations(tmp_path / "server.crt")
    tls.verify_mode = ssl.CERT_REQUIRED
    both, ca_only = Identity(ca=pem, cert=pem, key=key), Identity(ca=pem)
    async with a_server(mirror, tls) as url:
        assert (await client.send(HttpRequest(url=url, identity=both))).status == 418
        with pytest.raises(Unanswered):
            await client.send(HttpRequest(url=url, identity=ca_only))
        nobody = HttpRequest(url=url, identity=Identity(cert=pem, key=key), verify_tls=False)
        assert (await client.send(nobody)).status == 418
        with pytest.raises(Unanswered, match="not PEM"):
            await client.send(HttpRequest(url=url, identity=Identity(ca=b"no certificate")))


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.data == "end":
            break
        await socket.send_bytes(message.data.encode())
    return socket


def spelling(*words: str) -> Dialogue[list[Frame]]:
    heard: list[Frame] = []
    for word in words:
        frame = yield (word,)
        heard.append(frame)
    return heard


async def test_a_dialogue_is_held_over_a_websocket(client: HttpClient) -> None:
    async with a_server(echo) as url:
        address = HttpRequest(url=url.replace("http", "ws"), timeout_s=2.0)

        assert await client.converse(address, spelling("a", "b")) == [b"a", b"b"]
        with pytest.raises(Unanswered, match="closed the connection"):
            await client.converse(address, spelling("a", "end"))


async def test_a_dialogue_has_an_end_and_an_address(client: HttpClient) -> None:
    async with a_server(mirror) as url:
        with pytest.raises(Unanswered, match="no websocket there: 418"):
            await client.converse(HttpRequest(url=url.replace("http", "ws")), spelling("a"))
    never = HttpRequest(url="ws://127.0.0.1:1", timeout_s=1.0)
    with pytest.raises(Unanswered):
        await client.converse(never, spelling("a"))


def test_a_body_that_is_not_utf_8_can_be_read_all_the_same() -> None:
    assert HttpResponse(status=200, body=b"a\xff").text == "a\ufffd"


# --- what is the machine's own -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "is_own"),
    [
        ("169.254.169.254", True),
        ("169.254.0.1", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("fd00:ec2::253", False),
        ("100.100.100.201", False),
    ],
)
def test_where_clouds_keep_the_credentials_of_a_machine(address: str, is_own: bool) -> None:
    assert http.is_machines_own(address) is is_own


@pytest.fixture
def loopback_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nothing is sent anywhere else if the guard fails."""
    monkeypatch.setattr(http, "MACHINES_OWN", [ip_network("127.0.0.0/8")])


@pytest.mark.usefixtures("loopback_is_the_machines")
async def test_whoever_may_write_an_address_cannot_have_the_machines_credentials(
    client: HttpClient,
) -> None:
    async with a_server(mirror) as url:
        with pytest.raises(Unanswered, match="cannot connect: an address of the machine's own"):
            await client.send(HttpRequest(url=url))
        name = url.replace("127.0.0.1", "localhost")
        with pytest.raises(Unanswered, match="cannot connect: an address of the machine's own"):
            await client.send(HttpRequest(url=name))
        with pytest.raises(Unanswered, match="cannot connect: an address of the machine's own"):
            await client.converse(HttpRequest(url=url.replace("http", "ws")), nothing())


@pytest.mark.usefixtures("loopback_is_the_machines")
async def test_who_looks_for_its_own_credentials_may_ask_and_leaves_no_way_open(
    client: HttpClient,
) -> None:
    async with a_server(mirror) as url:
        answer = await client.send(HttpRequest(url=url, for_own_credentials=True))
        assert answer.status == 418
        with pytest.raises(Unanswered):
            await client.send(HttpRequest(url=url))


async def test_an_answer_cannot_lead_there_either(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MACHINES_OWN", [ip_network("127.0.0.2/32")])

    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.2:1/")

    async with a_server(elsewhere) as url:
        with pytest.raises(Unanswered, match="an address of the machine's own"):
            await client.send(HttpRequest(url=url, redirects=True))


def nothing() -> Dialogue[None]:
    yield ()
