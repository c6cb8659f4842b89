"""A small HTTP service to release: it answers with its version, and fails as it is told.

Routes: `/` (JSON naming version and pod), `/healthz`, `/metrics` (Prometheus text). What it does
wrong is in its tag or its environment, so that releasing a bad version is changing an image:

    hello:1.0               answers at once, never fails
    hello:2.0-errors10      10 % of the answers are 500
    hello:2.0-slow200       every answer takes 200 ms more
    hello:2.0-crash         ends with status 1 right after its start
    hello:2.0-crash6        ends with status 1 six seconds after its start
    hello:2.0-neverready    /healthz answers 503

After SIGTERM it serves on for DRAIN_S, asking clients to reconnect, so that no proxy that still
knows it gets an error; then it stops listening, finishes what it began, and ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from bisect import bisect_left
from collections.abc import Mapping
from random import Random

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
IDLE_S = 75.0


class Behaviour:
    """What this process shall do, from its tag and environment."""

    def __init__(self, env: Mapping[str, str]) -> None:
        tag = env.get("VERSION", "dev")
        self.version, *traits = tag.split("-")
        found = {re.sub(r"\d+$", "", t): re.sub(r"^\D+", "", t) for t in traits}
        self.error_rate = float(env.get("ERROR_RATE") or int(found.get("errors") or 0) / 100)
        self.delay_s = float(env.get("DELAY_S") or int(found.get("slow") or 0) / 1000)
        self.crash = "crash" in found
        self.crash_after_s = float(found.get("crash") or 0)
        self.never_ready = "neverready" in found
        self.drain_s = float(env.get("DRAIN_S") or 1.5)
        self.pod = env.get("POD_NAME", "")
        self.tag = tag


class Histogram:
    """http_request_duration_seconds by status."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def add(self, status: str, seconds: float) -> None:
        """One answered request."""
        counts = self._counts.setdefault(status, [0] * (len(BUCKETS) + 1))
        counts[bisect_left(BUCKETS, seconds)] += 1
        self._sums[status] = self._sums.get(status, 0.0) + seconds

    def text(self) -> str:
        """In Prometheus' text format."""
        name = "http_request_duration_seconds"
        lines = [
            f"# HELP {name} Seconds to answer a request.",
            f"# TYPE {name} histogram",
        ]
        for status, counts in sorted(self._counts.items()):
            labels = f'method="GET",path="root",status="{status}"'
            total = 0
            for bound, count in zip((*BUCKETS, "+Inf"), counts, strict=True):
                total += count
                lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {total}')
            lines.append(f"{name}_sum{{{labels}}} {self._sums[status]:.6f}")
            lines.append(f"{name}_count{{{labels}}} {total}")
        return "\n".join(lines) + "\n"


class App:
    """The service; one instance per process."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.durations = Histogram()
        self.draining = False
        self.connections: set[Connection] = set()
        self._random = Random()  # noqa: S311 (which answers fail is no secret)
        self._body = json.dumps(
            {"message": "hello", "version": behaviour.version, "pod": behaviour.pod}
        ).encode()

    def answer(self, path: str) -> tuple[int, bytes, float]:
        """Status, body and seconds to wait before sending them."""
        if path == "/healthz":
            return (503, b"not ready\n", 0.0) if self.behaviour.never_ready else (200, b"ok\n", 0.0)
        if path == "/metrics":
            return 200, self.durations.text().encode(), 0.0
        failed = self._random.random() < self.behaviour.error_rate
        return (500, b'{"message": "broken"}', self.behaviour.delay_s) if failed else (
            200,
            self._body,
            self.behaviour.delay_s,
        )  # fmt: skip


_REASONS = {200: b"OK", 400: b"Bad Request", 500: b"Internal Server Error", 503: b"Unavailable"}


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as proxies and load generators speak it; bodies of requests are skipped."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._buffer = b""
        self._skip = 0
        self._busy = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._app.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._app.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._buffer += data
        self._next()

    def close_if_idle(self) -> bool:
        """Closes unless an answer is due; whether it did."""
        if self._busy or self._buffer or self._transport is None:
            return False
        self._transport.close()
        return True

    def _next(self) -> None:
        """Answers one request at a time, in order."""
        while not self._busy:
            if self._skip:
                skipped = min(self._skip, len(self._buffer))
                self._buffer, self._skip = self._buffer[skipped:], self._skip - skipped
                if self._skip:
                    return
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._buffer = rest
            self._handle(head)

    def _handle(self, head: bytes) -> None:
        line, _, headers = head.partition(b"\r\n")
        words = line.split(b" ")
        lower = headers.lower()
        length = re.search(rb"(?:^|\r\n)content-length:\s*(\d+)", lower)
        self._skip = int(length[1]) if length else 0
        close = b"connection: close" in lower or self._app.draining
        if len(words) != 3 or b"transfer-encoding:" in lower:
            self._send(400, b"cannot read this\n", True, None)
            return
        path = words[1].partition(b"?")[0].decode("latin-1")
        status, body, wait_s = self._app.answer(path)
        begun = time.perf_counter() if path not in {"/healthz", "/metrics"} else None
        if wait_s <= 0:
            self._send(status, body, close, begun)
            return
        self._busy = True
        asyncio.get_running_loop().call_later(wait_s, self._late, status, body, close, begun)

    def _late(self, status: int, body: bytes, close: bool, begun: float | None) -> None:
        self._busy = False
        self._send(status, body, close, begun)
        self._next()

    def _send(self, status: int, body: bytes, close: bool, begun: float | None) -> None:
        if begun is not None:
            self._app.durations.add(str(status), time.perf_counter() - begun)
        if self._transport is None or self._transport.is_closing():
            return
        kind = b"application/json" if body[:1] == b"{" else b"text/plain; version=0.0.4"
        self._transport.write(
            b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nX-Version: %s\r\n%s\r\n%s"
            % (
                status,
                _REASONS[status],
                kind,
                len(body),
                self._app.behaviour.tag.encode(),
                b"Connection: close\r\n" if close else b"",
                body,
            )
        )
        if close:
            self._transport.close()


async def serve(app: App, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT, then drains."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    server = await loop.create_server(lambda: Connection(app), host, port, backlog=512)
    print(f"version {app.behaviour.tag} listens on {host}:{port}", flush=True)
    if app.behaviour.crash:
        loop.call_later(app.behaviour.crash_after_s, os._exit, 1)
    await asked.wait()
    app.draining = True
    print("draining", flush=True)
    await asyncio.sleep(app.behaviour.drain_s)
    server.close()
    deadline = loop.time() + 10.0
    while loop.time() < deadline:
        for connection in tuple(app.connections):
            connection.close_if_idle()
        if not app.connections:
            break
        await asyncio.sleep(0.02)


def main() -> int:
    """Runs by HOST, PORT, VERSION and the variables of `Behaviour`."""
    behaviour = Behaviour(os.environ)
    if behaviour.crash and not behaviour.crash_after_s:
        print("this version crashes at start", flush=True)
        return 1
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "9898"))
    asyncio.run(serve(App(behaviour), host, port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
