"""Apprise, through its own library against a real web server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.unit.notifier.helpers import PROMOTED, a_notice

from serinus.notifier.core.audience import Target
from serinus.notifier.senders.apprise import render, send


async def test_an_apprise_url_is_enough() -> None:
    taken = []

    async def take(request: web.Request) -> web.Response:
        taken.append(json.loads(await request.text()))
        return web.Response(status=200 if len(taken) == 1 else 500)

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app) as server:
        to = Target(type="apprise", address=f"json://127.0.0.1:{server.port}/hook")
        first, second = await send(a_notice(), to), await send(a_notice(), to)

    assert (202, 503) == (first.status, second.status)
    assert ("web.prod", "failure") == (taken[0]["title"], taken[0]["type"])
    assert "Failed check latency: 700 ms" in taken[0]["message"]


async def test_an_address_that_apprise_does_not_know_is_refused() -> None:
    answer = await send(a_notice(), Target(type="apprise", address="nonsense"))

    assert (400, "not an Apprise URL, or one that names a file") == (answer.status, answer.text)


@pytest.mark.parametrize(
    "address",
    [
        "workflows://127.0.0.1:9/flow/signature?template={}",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?template={}",
        "fcm://project@123/device?keyfile={}",
    ],
)
async def test_an_address_cannot_have_files_or_other_addresses_answers_sent_to_somebody(
    address: str, tmp_path: Path
) -> None:
    """A cloud's credentials for this machine are JSON at an address that only we can reach."""
    asked = []

    async def tell(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"AccessKeyId": "A"})

    app = web.Application()
    app.router.add_get("/latest/meta-data", tell)
    file = tmp_path / "mine.json"
    file.write_text("{}")
    async with TestServer(app) as server:
        for place in (server.make_url("/latest/meta-data"), file):
            answer = await send(a_notice(), Target(type="apprise", address=address.format(place)))
            assert answer.status == 400
    assert asked == []


def test_good_news_are_a_success() -> None:
    assert "success" == render(a_notice(**PROMOTED))[2]
