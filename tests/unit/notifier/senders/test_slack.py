"""Slack's own words, and how slack-sdk is used: what it says back is what is believed."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.unit.notifier.helpers import WEB

from serinus.notifier.core.alerts import Field, Notice
from serinus.notifier.core.audience import Target
from serinus.notifier.senders.slack import post, render, web_api_error
from serinus.runtime.http import Unanswered

NOTICE = Notice(
    id="f",
    canary=WEB,
    severity="error",
    message="Failed checks threshold reached 5 & more",
    fields=(Field("Failed check latency", "700 ms, must be <= 500"),),
)


class Slack:
    """A web server that answers as it is told and keeps what it got."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, "ok", {}
        self.asked: list[tuple[str, dict[str, str], object]] = []

    async def answer(self, request: web.Request) -> web.Response:
        found = json.loads(await request.text())
        self.asked.append((request.path, dict(request.headers), found))
        return web.Response(status=self.status, text=self.body, headers=self.headers)


@pytest.fixture
async def slack() -> AsyncIterator[tuple[Slack, TestServer]]:
    stand_in = Slack()
    app = web.Application()
    app.router.add_post("/{path:.*}", stand_in.answer)
    async with TestServer(app) as server:
        yield stand_in, server


def target(server: TestServer, token: str = "") -> Target:
    return Target(type="slack", address=str(server.make_url("/services/T0/B0/secret")), token=token)


def test_control_characters_are_escaped() -> None:
    body = json.loads(render(NOTICE, Target(type="slack", address="http://x")).body)

    attachment = body["attachments"][0]
    assert attachment["text"] == "Failed checks threshold reached 5 &amp; more"
    assert attachment["fields"][0]["value"] == "700 ms, must be &lt;= 500"
    assert attachment["color"] == "danger"


async def test_the_message_arrives_with_the_token(slack: tuple[Slack, TestServer]) -> None:
    stand_in, server = slack
    request = render(NOTICE, target(server, token="xoxb-1"))

    answer = await post(request)

    assert (answer.status, answer.text) == (200, "ok")
    [(path, headers, body)] = stand_in.asked
    assert path == "/services/T0/B0/secret"
    assert headers["Authorization"] == "Bearer xoxb-1"
    assert body == json.loads(request.body)


async def test_a_refusal_is_asked_about_once(slack: tuple[Slack, TestServer]) -> None:
    """When to try again is decided by the stages, not by the SDK."""
    stand_in, server = slack
    stand_in.status, stand_in.body, stand_in.headers = 429, "slow down", {"Retry-After": "7"}

    answer = await post(render(NOTICE, target(server)))

    assert answer.status == 429
    assert answer.headers["Retry-After"] == "7"
    assert len(stand_in.asked) == 1


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ('{"ok": false, "error": "channel_not_found"}', 400, "channel_not_found"),
        ('{"ok": false, "error": "ratelimited"}', 429, "ratelimited"),
        ('{"ok": true}', 200, '{"ok": true}'),
    ],
)
async def test_an_error_inside_a_200_is_an_error(
    slack: tuple[Slack, TestServer], body: str, status: int, text: str
) -> None:
    """Slack's Web API, to which a token belongs, answers errors with status 200."""
    stand_in, server = slack
    stand_in.body = body

    answer = await post(render(NOTICE, target(server, token="xoxb-1")))

    assert (answer.status, answer.text) == (status, text)


async def test_nobody_there_is_unanswered_and_the_address_stays_secret(
    slack: tuple[Slack, TestServer],
) -> None:
    _, server = slack
    request = render(NOTICE, target(server))
    await server.close()

    with pytest.raises(Unanswered) as raised:
        await post(request)

    assert "secret" not in str(raised.value)
    assert "cannot connect" in str(raised.value)


async def test_a_connection_that_breaks_is_not_tried_again_by_the_sdk() -> None:
    came: list[int] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        request = render(NOTICE, Target(type="slack", address=f"http://127.0.0.1:{port}/"))
        with pytest.raises(Unanswered):
            await post(request)

    assert came == [1]


async def test_neither_address_nor_token_reach_the_log(
    slack: tuple[Slack, TestServer], caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK would write both at its debug level."""
    stand_in, server = slack
    stand_in.status = 429
    caplog.set_level(logging.DEBUG)

    await post(render(NOTICE, target(server, token="xoxb-1")))

    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("aiohttp.")]
    assert not any("xoxb-1" in text or "services/T0/B0" in text for text in ours)


@pytest.mark.parametrize("body", ["ok", "", "[]", "null", "{", '{"ok": true}'])
def test_other_answers_hold_no_error(body: str) -> None:
    assert web_api_error(body) == ""
