"""What a thousand canaries cost one Prometheus: asked one by one, and together."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.table import Row, at_most
from tests.servers.crowd import exposed, question
from tests.servers.prometheus import Prometheus, prometheus

from serinus.analyzer.core.queries import DURATION, SUCCESS_RATE, Check
from serinus.analyzer.providers.catalog import Tools, provider_of, tools
from serinus.analyzer.providers.scrape import Scraper
from serinus.analyzer.providers.source import Source
from serinus.events.canary import MetricProvider
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient, HttpRequest, HttpResponse

CANARIES = 1000
ROUNDS = 3
WINDOW_S = 10.0
CHECKS: tuple[Check, Check] = (SUCCESS_RATE, DURATION)
NO_CLUSTER: Any = None
QUERIES_MAX = 40


class Counting(HttpClient):
    """A client that counts what it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.sent += 1
        return await super().send(request)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def round_of(box: Tools, address: str) -> None:
    """Every canary is asked about once, in both checks."""
    source = Source(provider=MetricProvider(type="prometheus", address=address))
    asking = [
        provider_of(source, box).value(question(index, check, time.time(), WINDOW_S))
        for check in CHECKS
        for index in range(CANARIES)
    ]
    await asyncio.gather(*asking)


async def measured(server: Prometheus, group_from: int) -> tuple[float, float]:
    """Queries per round, and CPU seconds of the server per round."""
    http, clock = Counting(), SystemClock()
    box = tools(http, NO_CLUSTER, clock, Scraper(http, clock, lambda w, n: None), group_from)
    await round_of(box, server.url)
    sent, used = http.sent, cpu_s(server.child.pid)
    for _ in range(ROUNDS):
        await round_of(box, server.url)
    await http.close()
    return (http.sent - sent) / ROUNDS, (cpu_s(server.child.pid) - used) / ROUNDS


async def _rows() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="serinus-bench-") as folder:
        async with exposed(CANARIES) as page:
            with prometheus(Path(folder), {"mesh": [page]}, every_s=5.0) as server:
                # A rate needs two scrapes, and a full window makes both kinds alike.
                await asyncio.sleep(2 * WINDOW_S)
                alone = await measured(server, 0)
                together = await measured(server, 20)
    share = together[1] / alone[1] if alone[1] else 0.0
    return [
        Row(what="queries per interval, 1000 canaries one by one", here=f"{alone[0]:.0f}"),
        at_most("queries per interval, 1000 canaries together", together[0], QUERIES_MAX, ""),
        Row(what="CPU of Prometheus, together by one by one", here=f"{share:.0%}"),
    ]


def rows() -> list[Row]:
    return asyncio.run(_rows())
