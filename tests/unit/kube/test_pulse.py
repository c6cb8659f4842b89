"""The API server is asked for a sign of life when nothing else is heard of it."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator

import pytest

from serinus.kube.errors import Unreachable
from serinus.kube.pulse import pulse
from serinus.runtime.clock import LoopClock
from serinus.runtime.health import HealthBoard

pytestmark = pytest.mark.looptime


class Server:
    """What a client knows of it."""

    def __init__(self) -> None:
        self.heard_at = -math.inf
        self.answers = True
        self.asked = 0

    def silent_s(self) -> float:
        return asyncio.get_running_loop().time() - self.heard_at

    async def live(self) -> None:
        self.asked += 1
        if not self.answers:
            raise Unreachable("no answer within 5 s")
        self.heard_at = asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def followed(server: Server) -> AsyncIterator[HealthBoard]:
    board = HealthBoard()
    task = asyncio.create_task(pulse(server, clock=LoopClock(), health=board))
    try:
        yield board
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_server_that_is_heard_is_not_asked() -> None:
    server = Server()
    async with followed(server) as board:
        for _ in range(100):
            server.heard_at = asyncio.get_running_loop().time()
            await asyncio.sleep(5)

    assert (0, True) == (server.asked, board.ready)


async def test_silence_alone_is_no_alarm() -> None:
    server = Server()
    async with followed(server) as board:
        await asyncio.sleep(600)
        assert board.ready

    assert 20 < server.asked <= 600 / 15


async def test_a_server_that_hangs_is_red_in_half_a_minute_and_green_when_it_answers() -> None:
    server = Server()
    async with followed(server) as board:
        await asyncio.sleep(60)
        server.answers = False
        await asyncio.sleep(25)
        assert {"kube": "no answer within 5 s"} == board.red

        server.answers = True
        await asyncio.sleep(6)
        assert board.ready
