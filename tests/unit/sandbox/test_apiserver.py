"""The HTTP face that the contract does not cover: counting, warnings, probes, bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from serinus.sandbox.apiserver import ApiServer


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    running = ApiServer()
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def http(server: ApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as session:
        yield session


CONFIGS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_it_says_that_it_is_well(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as answer:
        assert (answer.status, await answer.text()) == (200, "ok")


async def test_requests_are_counted_by_verb_and_kind(
    server: ApiServer, http: aiohttp.ClientSession
) -> None:
    for _ in range(2):
        async with http.get(CONFIGS):
            pass
    async with http.post(CONFIGS, json={"metadata": {"name": "c"}}):
        pass

    assert server.requests == {("list", "configmaps"): 2, ("create", "configmaps"): 1}


async def test_yaml_is_understood(http: aiohttp.ClientSession) -> None:
    body, kind = b"metadata: {name: c}\ndata: {a: b}\n", "application/yaml"

    async with http.post(CONFIGS, data=body, headers={"Content-Type": kind}) as answer:
        assert (answer.status, (await answer.json())["data"]) == (201, {"a": "b"})


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("application/vnd.kubernetes.protobuf", b"k8s\x00", 415),
        ("application/json", b"{nonsense", 400),
        ("application/json", b"[]", 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    http: aiohttp.ClientSession, kind: str, body: bytes, code: int
) -> None:
    async with http.post(CONFIGS, data=body, headers={"Content-Type": kind}) as answer:
        assert answer.status == code
        assert (await answer.json())["kind"] == "Status"


async def test_methods_that_make_no_sense_are_refused(http: aiohttp.ClientSession) -> None:
    async with http.put(CONFIGS, json={}) as answer:
        assert answer.status == 405
    async with http.post("/api/v1/configmaps", json={}) as answer:
        assert answer.status == 405


async def test_a_stop_ends_the_watches(server: ApiServer, http: aiohttp.ClientSession) -> None:
    query = {"watch": "true", "resourceVersion": str(server.store.revision)}
    async with asyncio.timeout(5), http.get(CONFIGS, params=query) as answer:
        assert answer.status == 200
        await server.stop()
        try:
            assert await answer.content.read() == b""
        except aiohttp.ClientError:
            return  # cut off is an end, too
