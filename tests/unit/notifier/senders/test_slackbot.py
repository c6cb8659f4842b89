"""One Slack message per release: slack-sdk against a server that answers as Slack does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.unit.notifier.helpers import PROMOTED, a_notice

from serinus.notifier.core.alerts import Field
from serinus.notifier.core.audience import Target
from serinus.notifier.senders import slackbot
from serinus.notifier.senders.slackbot import blocks, is_bot, send
from serinus.notifier.voice import THREADS
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import Unanswered
from serinus.runtime.memory import MemoryBroker, MemoryBus


class Slack:
    """The two methods that are used; `error` is answered instead where it is set."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.error = ""
        self.status, self.headers = 200, {}

    async def answer(self, request: web.Request) -> web.Response:
        assert "Bearer xoxb-1" == request.headers["Authorization"]
        body = await request.json()
        self.calls.append((request.match_info["method"], body))
        if self.error:
            found: dict[str, Any] = {"ok": False, "error": self.error}
        else:
            found = {"ok": True, "channel": "C1", "ts": f"{len(self.calls)}.0"}
        return web.json_response(found, status=self.status, headers=self.headers)


@pytest.fixture
async def slack() -> AsyncIterator[tuple[Slack, Target]]:
    stand_in = Slack()
    app = web.Application()
    app.router.add_post("/api/{method}", stand_in.answer)
    async with TestServer(app) as server:
        address = str(server.make_url("/api/chat.postMessage"))
        yield stand_in, Target(type="slack", address=address, channel="ops", token="xoxb-1")


@pytest.fixture
def threads() -> Any:
    return MemoryBus(MemoryBroker(SystemClock()), "notifier").bucket(THREADS)


async def test_a_release_is_one_message_with_its_story_as_a_thread(
    slack: tuple[Slack, Target], threads: Any
) -> None:
    stand_in, target = slack
    started = {"kind": "rollout.started", "severity": "info", "message": "New revision"}

    for fields in (started, PROMOTED):
        assert 200 == (await send(a_notice(**fields), target, threads)).status

    (post, first), (update, second), (reply, third) = stand_in.calls
    assert ("chat.postMessage", "chat.update", "chat.postMessage") == (post, update, reply)
    assert ("ops", "C1", "C1") == (first["channel"], second["channel"], third["channel"])
    assert ("1.0", "1.0") == (second["ts"], third["thread_ts"])
    assert "promotion finished" in json.dumps(second["blocks"])


async def test_the_next_release_is_a_message_of_its_own(
    slack: tuple[Slack, Target], threads: Any
) -> None:
    stand_in, target = slack

    await send(a_notice(), target, threads)
    await send(a_notice(revision="r3"), target, threads)

    assert ["chat.postMessage"] * 2 == [method for method, _ in stand_in.calls]


@pytest.mark.parametrize(
    ("error", "http", "expected"),
    [("channel_not_found", 200, 400), ("ratelimited", 200, 429), ("internal", 500, 500)],
)
async def test_a_refusal_means_what_slack_means_by_it(
    slack: tuple[Slack, Target], threads: Any, error: str, http: int, expected: int
) -> None:
    stand_in, target = slack
    stand_in.error, stand_in.status = error, http
    stand_in.headers = {"Retry-After": "7"}

    answer = await send(a_notice(), target, threads)

    assert (expected, error, "7") == (answer.status, answer.text, answer.headers["Retry-After"])
    assert 1 == len(stand_in.calls)


async def test_nobody_there_is_unanswered(threads: Any) -> None:
    target = Target(type="slack", address="http://127.0.0.1:1/api/chat.postMessage", token="t")

    with pytest.raises(Unanswered):
        await send(a_notice(), target, threads)


def test_a_webhook_is_no_bot() -> None:
    assert is_bot(Target(type="slack", address=slackbot.ADDRESS, token="xoxb-1"))
    assert not is_bot(Target(type="slack", address=slackbot.ADDRESS))
    assert not is_bot(Target(type="slack", address="https://hooks.slack.com/x", token="t"))


def test_blocks_stay_within_slacks_limits() -> None:
    fields = tuple(Field(f"field {n}", "x" * 5000) for n in range(600))

    found = blocks(a_notice(message="y" * 9000, fields=fields))

    assert slackbot.BLOCKS_MAX >= len(found)
    sections = [block for block in found if block["type"] == "section"]
    assert max(len(block.get("fields", ())) for block in sections) <= 10
    texts = [f["text"] for block in sections for f in block.get("fields", ())]
    assert max(map(len, texts)) <= slackbot.FIELD_MAX
    assert len(sections[0]["text"]["text"]) <= slackbot.TEXT_MAX
