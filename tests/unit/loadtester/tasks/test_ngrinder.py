"""nGrinder, against a server that answers as its API does."""

from __future__ import annotations

import base64
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from serinus.loadtester.tasks.ngrinder import NGrinder
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient


class Grinder:
    """`states` are what the test is in, look by look; the last one stays."""

    def __init__(self) -> None:
        self.states: list[Any] = ["TESTING", "FINISHED"]
        self.asked: list[str] = []
        self.password = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        scheme, _, token = request.headers["Authorization"].partition(" ")
        assert scheme == "Basic"
        self.password = base64.b64decode(token).decode()
        if request.path.endswith("clone_and_start"):
            return web.json_response({"id": 7})
        if request.method == "PUT":
            return web.Response()
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return web.json_response({"id": 7, "status": state})


@pytest.fixture
async def grinder() -> AsyncIterator[tuple[Grinder, TestServer]]:
    stand_in = Grinder()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stand_in.answer)
    async with TestServer(app) as server:
        yield stand_in, server


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


def a_test(server: TestServer, http: HttpClient, timeout_s: float = 20.0) -> NGrinder:
    passwd = base64.b64encode(b"p@ss").decode()
    metadata = {
        "server": str(server.make_url("/")),
        "clone": "3",
        "username": "u",
        "passwd": passwd,
    }
    return NGrinder(metadata, poll_s=0.01, timeout_s=timeout_s, http=http, clock=SystemClock())


async def test_a_test_is_cloned_started_and_waited_for(
    grinder: tuple[Grinder, TestServer], http: HttpClient
) -> None:
    stand_in, server = grinder

    ended = await a_test(server, http).run()

    assert (ended.status, ended.output) == (0, "TESTING\nFINISHED\n")
    assert stand_in.password == "u:p@ss"
    assert stand_in.asked[:2] == [
        "POST /perftest/api/3/clone_and_start",
        "GET /perftest/api/7/status",
    ]


@pytest.mark.parametrize("state", ["STOP_BY_ERROR", "CANCELED", "UNKNOWN", {"name": "CANCELED"}])
async def test_a_test_that_ends_badly_is_a_failure(
    grinder: tuple[Grinder, TestServer], http: HttpClient, state: Any
) -> None:
    stand_in, server = grinder
    stand_in.states = [state]

    ended = await a_test(server, http).run()

    assert ended.status == 1
    assert ended.error.startswith("test 7 ended as ")


async def test_after_its_time_a_test_is_stopped_there_too(
    grinder: tuple[Grinder, TestServer], http: HttpClient
) -> None:
    stand_in, server = grinder
    stand_in.states = ["TESTING"]

    ended = await a_test(server, http, timeout_s=0.0).run()

    assert ended.status == 1
    assert stand_in.asked[-1] == "PUT /perftest/api/7?action=stop"


async def test_a_tester_that_stops_stops_the_test(
    grinder: tuple[Grinder, TestServer], http: HttpClient
) -> None:
    stand_in, server = grinder
    stand_in.states = ["TESTING"]
    work = a_test(server, http)
    work.end(signal.SIGTERM)

    assert (await work.run()).status == 1
    assert stand_in.asked[-1].startswith("PUT ")


async def test_nobody_there_is_a_failure_with_its_reason(http: HttpClient) -> None:
    metadata = {"server": "http://127.0.0.1:1", "clone": "3", "username": "u", "passwd": "p"}
    work = NGrinder(metadata, poll_s=0.01, timeout_s=1.0, http=http, clock=SystemClock())

    ended = await work.run()

    assert ended.status == 1
    assert ended.error
