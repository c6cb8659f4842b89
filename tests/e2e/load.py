"""A steady stream of requests from outside the cluster; each is remembered.

Runs as a process of its own (`python -m tests.e2e.load URL HOST RATE`), so that nothing that a test
does can slow it down. Prints one JSON line per request when it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
from tests.e2e.judge import UNANSWERED, Request

RATE = 200
MAX_S = 1800.0
TIMEOUT_S = 10.0
TURN_S = 0.01


async def send(url: str, host: str, rate: int) -> None:
    """Sends `rate` requests per second until SIGTERM, half an hour at most."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    under_way: set[asyncio.Task[None]] = set()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        headers={"Host": host},
    ) as session:
        begun, sent = time.perf_counter(), 0
        while not stop.is_set() and time.perf_counter() - begun < MAX_S:
            due = int((time.perf_counter() - begun) * rate)
            for _ in range(due - sent):
                task = asyncio.create_task(_one(session, url))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            sent = due
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TURN_S)
        await asyncio.gather(*under_way)


async def _one(session: aiohttp.ClientSession, url: str) -> None:
    at, begun = time.time(), time.perf_counter()
    status, version, why = UNANSWERED, "", ""
    try:
        async with session.get(url) as answer:
            await answer.read()
            status, version = answer.status, answer.headers.get("X-Version", "")
    except (aiohttp.ClientError, TimeoutError) as error:
        why = repr(error)
    took_ms = (time.perf_counter() - begun) * 1000
    line = json.dumps([at, status, version, round(took_ms, 2), why])
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Traffic:
    """The stream as a test sees it: `requests`, in the order in which they ended."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._more = asyncio.Event()

    async def enough(self, count: int) -> None:
        """Returns when `count` more requests were answered. Raises TimeoutError."""
        wanted = len(self.requests) + count
        async with asyncio.timeout(30 + count / RATE):
            while len(self.requests) < wanted:
                self._more.clear()
                await self._more.wait()

    async def _read(self, output: asyncio.StreamReader) -> None:
        async for line in output:
            self.requests.append(Request(*json.loads(line)))
            self._more.set()


@contextlib.asynccontextmanager
async def flowing(url: str, host: str, rate: int = RATE) -> AsyncIterator[Traffic]:
    """Sends while the block runs; afterwards all requests are in."""
    traffic = Traffic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.e2e.load", url, host, str(rate)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    reading = asyncio.create_task(traffic._read(process.stdout))
    try:
        await traffic.enough(rate)
        yield traffic
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await reading


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], sys.argv[2], int(sys.argv[3])))
