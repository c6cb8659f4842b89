"""What Kubernetes and Prometheus see."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from serinus.runtime.health import HealthBoard, HealthServer


@asynccontextmanager
async def serving(
    board: HealthBoard, port_file: str = ""
) -> AsyncIterator[tuple[HealthServer, aiohttp.ClientSession]]:
    server = HealthServer(
        board, lambda: b"up 1\n", listen="127.0.0.1:0", port_file=port_file, content_type="text/x"
    )
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield server, session
    finally:
        await server.close()


def test_a_board_on_which_nothing_stands_is_not_ready() -> None:
    assert not HealthBoard().ready


def test_a_name_that_was_never_true_keeps_it_red() -> None:
    board = HealthBoard()
    board.set("nats", False, "not connected")
    board.set("start", True)
    assert not board.ready
    assert board.red == {"nats": "not connected"}
    board.set("nats", True)
    assert board.ready


async def test_ready_says_no_and_why_until_everything_is_fine() -> None:
    board = HealthBoard()
    board.set("nats", False, "not connected")
    async with serving(board) as (_, session):
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert await answer.json() == {"ready": False, "red": {"nats": "not connected"}}
        board.set("nats", True)
        async with session.get("/readyz") as answer:
            assert answer.status == 200
            assert await answer.json() == {"ready": True, "red": {}}


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
async def test_alive_means_that_it_answers(path: str) -> None:
    async with serving(HealthBoard()) as (_, session), session.get(path) as answer:
        assert (answer.status, await answer.text()) == (200, "OK")


async def test_metrics_are_served_as_they_are() -> None:
    async with serving(HealthBoard()) as (_, session), session.get("/metrics") as answer:
        assert (answer.headers["Content-Type"], await answer.read()) == ("text/x", b"up 1\n")


async def test_the_port_that_was_bound_is_written_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "port"
    async with serving(HealthBoard(), str(file)) as (server, _):
        written = await asyncio.to_thread(file.read_text)
        assert int(written) == server.port > 0
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["port"]


async def test_an_empty_address_serves_nothing() -> None:
    server = HealthServer(HealthBoard(), lambda: b"", listen="")
    await server.start()
    assert server.port == 0
    await server.close()


async def test_an_address_that_is_taken_is_an_error() -> None:
    async with serving(HealthBoard()) as (server, _):
        second = HealthServer(HealthBoard(), lambda: b"", listen=f"127.0.0.1:{server.port}")
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
