"""Concord, against a server that answers as its API does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from serinus.loadtester.tasks.concord import Concord, fields, multipart
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient

METADATA = {
    "org": "shop",
    "project": "web",
    "repo": "main",
    "entrypoint": "smoke",
    "endpoint": "http://web-canary/",
    "arguments.user": "ana",
    "arguments.endpoint": "not mine to set",
}


class Server:
    def __init__(self) -> None:
        self.states = ["ENQUEUED", "FINISHED"]
        self.form: dict[str, str] = {}
        self.keys: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers["Authorization"])
        if request.method == "POST":
            self.form = {k: str(v) for k, v in (await request.post()).items()}
            return web.json_response({"instanceId": "p-1", "ok": True})
        assert request.path == "/api/v1/process/p-1"
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return web.json_response({"status": state})


@pytest.fixture
async def concord(tmp_path: Path) -> AsyncIterator[tuple[Server, Any]]:
    stand_in = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stand_in.answer)
    (tmp_path / "key").write_text("s3cret\n")
    http = HttpClient()
    async with TestServer(app) as server:

        def make(timeout_s: float = 20.0, **more: str) -> Concord:
            where = {"server": str(server.make_url("/")), "apiKeyPath": str(tmp_path / "key")}
            return Concord(
                {**METADATA, **where, **more},
                poll_s=0.01,
                timeout_s=timeout_s,
                http=http,
                clock=SystemClock(),
            )

        yield stand_in, make
    await http.close()


async def test_a_process_is_started_with_its_arguments_and_waited_for(
    concord: tuple[Server, Any],
) -> None:
    stand_in, make = concord

    ended = await make().run()

    assert ended.status == 0
    assert stand_in.keys == {"s3cret"}
    assert stand_in.form == {
        "org": "shop",
        "project": "web",
        "repo": "main",
        "entryPoint": "smoke",
        "arguments.user": "ana",
        "arguments.endpoint": "http://web-canary/",
    }


async def test_a_process_that_fails_or_takes_too_long_is_a_failure(
    concord: tuple[Server, Any],
) -> None:
    stand_in, make = concord
    stand_in.states = ["FAILED"]
    assert (await make().run()).error == "process p-1 ended as FAILED"

    stand_in.states = ["RUNNING"]
    assert "did not end within 0 s" in (await make(timeout_s=0.0).run()).error


async def test_a_key_that_is_not_there_is_said(concord: tuple[Server, Any]) -> None:
    _, make = concord

    ended = await make(apiKeyPath="/nowhere/key").run()

    assert ended.status == 1
    assert "/nowhere/key" in ended.error


def test_equal_forms_are_equal_bytes() -> None:
    assert multipart(fields(METADATA)) == multipart(fields(dict(reversed(METADATA.items()))))
