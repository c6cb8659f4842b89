"""The outside world of the tests keeps to its script and forgets nothing."""

from __future__ import annotations

import json

import aiohttp
from tests.servers.stub import Answers, Reply, Stub


async def ask(stub: Stub, space: str, query: str) -> tuple[int, list[str]]:
    address = stub.url("prometheus", space) + "/api/v1/query"
    async with (
        aiohttp.ClientSession() as client,
        client.get(address, params={"query": query}) as answer,
    ):
        text = await answer.text()
        if answer.status != 200:
            return answer.status, [text]
    return answer.status, [row["value"][1] for row in json.loads(text)["data"]["result"]]


async def post(stub: Stub, role: str, path: str, body: object) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(stub.url(role) + path, json=body) as answer,
    ):
        return answer.status, await answer.text()


async def test_each_query_takes_the_next_value_and_the_last_one_repeats(stub: Stub) -> None:
    """A number is a sample, None an empty result, a mapping an error."""
    stub.script("shop").set_prometheus(
        [
            Answers(match="latency", values=(7,)),
            Answers(match=".", values=(99.5, None, {"status": 500, "body": "oops"})),
        ]
    )

    answers = [await ask(stub, "shop", "success") for _ in range(4)]

    assert answers == [(200, ["99.5"]), (200, []), (500, ["oops"]), (500, ["oops"])]
    assert await ask(stub, "shop", "latency") == (200, ["7"])


async def test_spaces_do_not_hear_each_other(stub: Stub) -> None:
    """A script of one space says nothing in another, and the calls are told apart."""
    stub.script("one").set_prometheus([Answers(match=".", values=(1,))])

    assert await ask(stub, "two", "q") == (200, [])

    assert [call.query for call in stub.of("two")] == ["q"]
    assert stub.of("one") == []


async def test_the_probe_of_a_metrics_server_uses_up_no_value(stub: Stub) -> None:
    """`vector(1)` is always 1."""
    stub.script("shop").set_prometheus([Answers(match=".", values=(5, 6))])

    assert await ask(stub, "shop", "vector(1)") == (200, ["1"])

    assert await ask(stub, "shop", "q") == (200, ["5"])


async def test_a_webhook_answers_by_path_in_order(stub: Stub) -> None:
    """Paths that the script does not name answer 200 OK; bodies are kept as they came."""
    gate = (Reply(status=403, body="Forbidden"), Reply())
    stub.script("shop").set_hooks({"/gate": gate})

    answers = [await post(stub, "hook", "/shop/gate", {"n": n}) for n in range(3)]

    assert answers == [(403, "Forbidden"), (200, "OK"), (200, "OK")]
    assert await post(stub, "hook", "/shop/other", {}) == (200, "OK")
    assert [call.body for call in stub.of("shop", "hook")][:2] == [{"n": 0}, {"n": 1}]


async def test_a_chat_service_can_refuse(stub: Stub) -> None:
    """The status is scripted per path."""
    stub.script("shop").set_chat({"/slack": 404})

    assert (await post(stub, "chat", "/shop/slack", {"text": "hi"}))[0] == 404

    await stub.until(lambda calls: [call.body for call in calls] == [{"text": "hi"}])
