"""A steady stream of requests, and what came back, ten times a second.

Runs as a process of its own (`python -m serinus.cli.demo.traffic URL RATE`), so that neither the
cluster nor the screen can slow it down. Prints one JSON line per tenth of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import msgspec

SLICE_S = 0.1
UNANSWERED = 0
MAX_SECONDS = 600


class Slice(msgspec.Struct, frozen=True):
    """What was sent in one tenth of a second, by when it was sent.

    counts    `<version> <status>` -> answers; status 0: no answer at all
    latencies_ms   version -> milliseconds until the answer, sorted
    """

    at: float
    counts: dict[str, int]
    latencies_ms: dict[str, list[float]]


class _Tally:
    def __init__(self) -> None:
        self.slices: dict[int, tuple[dict[str, int], dict[str, list[float]]]] = {}

    def add(self, sent: float, version: str, status: int, took_ms: float) -> None:
        counts, latencies = self.slices.setdefault(int(sent / SLICE_S), ({}, {}))
        key = f"{version} {status}"
        counts[key] = counts.get(key, 0) + 1
        latencies.setdefault(version, []).append(round(took_ms, 2))

    def flush(self, before: float) -> list[Slice]:
        """Slices that no request of which is still on its way."""
        done = sorted(n for n in self.slices if n < int(before / SLICE_S))
        found = []
        for number in done:
            counts, latencies = self.slices.pop(number)
            latencies = {v: sorted(values) for v, values in latencies.items()}
            found.append(Slice(number * SLICE_S, counts, latencies))
        return found


async def _send(session: aiohttp.ClientSession, url: str, tally: _Tally) -> None:
    sent, begun = time.time(), time.perf_counter()
    version, status = "", UNANSWERED
    try:
        async with session.get(url) as answer:
            await answer.read()
            version, status = answer.headers.get("X-Version", ""), answer.status
    except (aiohttp.ClientError, TimeoutError):
        pass  # counted as unanswered
    tally.add(sent, version, status, (time.perf_counter() - begun) * 1000)


async def send_steadily(url: str, rate: int) -> None:
    """Sends `rate` requests per second until SIGTERM, ten minutes at most."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tally, tasks = _Tally(), set[asyncio.Task[None]]()
    timeout = aiohttp.ClientTimeout(total=5)
    connector = aiohttp.TCPConnector(limit=200)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        begun, sent, printed = time.perf_counter(), 0, 0.0
        while not stop.is_set() and time.perf_counter() - begun < MAX_SECONDS:
            due = int((time.perf_counter() - begun) * rate)
            for _ in range(min(due - sent, rate)):
                task = asyncio.create_task(_send(session, url, tally))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            sent = max(sent, due)
            if time.time() - printed >= SLICE_S:
                printed = time.time()
                _print(tally.flush(printed - 0.5))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.01)
        await asyncio.gather(*tasks)
    _print(tally.flush(time.time() + 1))


def _print(slices: Sequence[Slice]) -> None:
    for one in slices:
        sys.stdout.write(msgspec.json.encode(one).decode() + "\n")
    sys.stdout.flush()


class Traffic:
    """The stream as seen from the demo: started, read, stopped."""

    def __init__(self, url: str, rate: int, log: Path) -> None:
        self.url, self.rate, self.log = url, rate, log
        self.slices: list[Slice] = []

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[Traffic]:
        """Sends while the block runs; afterwards every answer is in `slices`."""
        with self.log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "serinus.cli.demo.traffic", self.url, str(self.rate)),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        assert process.stdout is not None
        reader = asyncio.create_task(self._read(process.stdout))
        try:
            yield self
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
            await reader

    async def _read(self, output: asyncio.StreamReader) -> None:
        decoder = msgspec.json.Decoder(Slice)
        async for line in output:
            self.slices.append(decoder.decode(line))


if __name__ == "__main__":
    asyncio.run(send_steadily(sys.argv[1], int(sys.argv[2])))
