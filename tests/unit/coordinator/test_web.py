"""The routes that hooks call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from serinus.coordinator.core.answers import Answer
from serinus.coordinator.core.standing import Key
from serinus.coordinator.web import app


class Desk:
    """Answers what the test says, and remembers what it was asked."""

    name = "here"

    def __init__(self) -> None:
        self.answer = Answer(200, "go")
        self.asked: list[Any] = []

    def confirm(self, namespace: str, name: str) -> Answer:
        self.asked.append((namespace, name))
        return self.answer

    def done(self, asking: Key, cluster: str, name: str, namespace: str) -> Answer:
        self.asked.append((asking, cluster, name, namespace))
        return self.answer

    async def settled(self, ask: Callable[[], Answer], within_s: float) -> Answer:
        self.asked.append(within_s)
        return ask()

    def overview(self) -> list[dict[str, Any]]:
        return [{"name": "web", "namespace": "shop", "status": {"phase": "Idle"}}]


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    desk: Any = Desk()
    made = app(desk, wait_s=8.0, check_wait_s=595.0)
    async with TestClient(TestServer(made)) as found:
        found.desk = desk  # type: ignore[attr-defined]
        yield found


def desk_of(client: Any) -> Desk:
    found: Desk = client.desk
    return found


HOOK = {"name": "web", "namespace": "shop", "phase": "Waiting", "checksum": "85d557f47b"}


@pytest.mark.parametrize("status", [200, 403, 409])
async def test_a_gate_answers_what_the_desk_says(client: Any, status: int) -> None:
    desk_of(client).answer = Answer(status, "because")
    answer = await client.post("/confirm", json=HOOK)
    assert (status, "because") == (answer.status, await answer.text())
    assert [8.0, ("shop", "web")] == desk_of(client).asked


@pytest.mark.parametrize(
    ("path", "word"), [("/check-status", "region"), ("/check-primary-status", "primary-cluster")]
)
async def test_the_guides_hooks_name_a_canary_and_its_cluster(
    client: Any, path: str, word: str
) -> None:
    metadata = {word: "us-east-1", "canary": "api-gateway-us-east"}
    answer = await client.post(path, json={**HOOK, "metadata": metadata})
    assert 200 == answer.status
    asked = (Key("here", "shop", "web"), "us-east-1", "api-gateway-us-east", "")
    assert [595.0, asked] == desk_of(client).asked


async def test_a_hook_that_names_no_canary_is_told_the_field(client: Any) -> None:
    answer = await client.post("/check-status", json=HOOK)
    assert 400 == answer.status
    assert "metadata.canary" in await answer.text()


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"metadata": {"a": 1}}'])
async def test_a_body_that_is_no_hooks_is_refused(client: Any, body: bytes) -> None:
    answer = await client.post("/confirm", data=body)
    assert 400 == answer.status
    assert [] == desk_of(client).asked


async def test_news_by_hook_are_taken(client: Any) -> None:
    answer = await client.post("/trigger-deployment", json=HOOK)
    assert 202 == answer.status


async def test_waves_are_listed(client: Any) -> None:
    answer = await client.get("/waves")
    assert [
        {"name": "web", "namespace": "shop", "status": {"phase": "Idle"}}
    ] == await answer.json()
    assert 200 == (await client.get("/healthz")).status
