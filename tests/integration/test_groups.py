"""Many canaries on a real Prometheus: together they are answered as each would be alone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from tests.servers.crowd import exposed, question
from tests.servers.prometheus import prometheus
from tests.servers.waiting import eventually

from serinus.analyzer.core.queries import DURATION, SUCCESS_RATE, Check
from serinus.analyzer.core.rollout import NoData, Reading, Value
from serinus.analyzer.providers.catalog import provider_of, tools
from serinus.analyzer.providers.scrape import Scraper
from serinus.analyzer.providers.source import Source
from serinus.events.canary import MetricProvider
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient, HttpRequest, HttpResponse

CANARIES = 40
WINDOW_S = 4.0
CHECKS: tuple[Check, Check] = (SUCCESS_RATE, DURATION)
NO_CLUSTER: Any = None


class Counting(HttpClient):
    """A client that counts what it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.sent += 1
        return await super().send(request)


async def everyone(http: Counting, address: str, group_from: int, rounds: int) -> list[Reading]:
    """The answers of the last round, after every canary was asked about in each."""
    clock = SystemClock()
    box = tools(http, NO_CLUSTER, clock, Scraper(http, clock, lambda w, n: None), group_from)
    source = Source(provider=MetricProvider(type="prometheus", address=address))
    found: list[Reading] = []
    for _ in range(rounds):
        http.sent = 0
        asking = (
            provider_of(source, box).value(question(index, check, time.time(), WINDOW_S))
            for check in CHECKS
            for index in range(CANARIES)
        )
        found = list(await asyncio.gather(*asking))
    return found


async def test_answers_are_the_same_in_far_fewer_queries(tmp_path: Path) -> None:
    http = Counting()
    async with exposed(CANARIES) as page:
        with prometheus(tmp_path, {"mesh": [page]}, every_s=0.5) as server:

            async def counted() -> bool:
                found = await everyone(http, server.url, 0, 1)
                return not any(isinstance(reading, NoData) for reading in found)

            await eventually(counted, "a rate of every canary", timeout_s=30)
            alone = await everyone(http, server.url, 0, 1)
            queries_alone = http.sent
            together = await everyone(http, server.url, 10, 2)
    await http.close()

    assert (queries_alone, http.sent) == (2 * CANARIES, 2)
    for one, other in zip(alone, together, strict=True):
        assert isinstance(one, Value)
        assert isinstance(other, Value)
        assert other.value == pytest.approx(one.value, rel=0.05, abs=0.5)
    rates = [r.value for r in together[:CANARIES] if isinstance(r, Value)]
    assert rates == pytest.approx([100 - n for n in range(CANARIES)], abs=0.5)
