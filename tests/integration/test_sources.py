"""Metrics sources that a package has the server of: real series, asked as canaries ask."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.graphite import Graphite
from tests.servers.graphite import graphite as running_graphite
from tests.servers.influxdb import InfluxDb
from tests.servers.influxdb import influxdb as running_influxdb
from tests.servers.waiting import eventually

from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.catalog import Tools, provider_of, tools
from serinus.analyzer.providers.scrape import Scraper
from serinus.analyzer.providers.source import Question, Source
from serinus.events.canary import MetricProvider
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient

NO_CLUSTER: Any = None


@pytest.fixture
async def toolbox() -> AsyncIterator[Tools]:
    http, clock = HttpClient(), SystemClock()
    yield tools(http, NO_CLUSTER, clock, Scraper(http, clock, lambda work, name: None))
    await http.close()


async def ask(toolbox: Tools, query: str, **provider: Any) -> Reading:
    source = Source(provider=MetricProvider(**provider))
    question = Question(query=query, at=time.time(), window_s=60.0)
    return await provider_of(source, toolbox).value(question)


# --- InfluxDB ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDb]:
    with running_influxdb(tmp_path_factory.mktemp("influxdb")) as server:
        server.create("shop")
        now = int(time.time())
        lines = [f"errors,app=web value={value} {now - at}" for at, value in ((30, 2), (20, 4))]
        server.write("shop", *lines, f"errors,app=api value=9 {now - 20}")
        yield server


MEAN = "SELECT mean(value) FROM errors WHERE app = 'web' AND time > now() - 1m"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (MEAN, Value(key="", value=3.0)),
        (MEAN.replace("web", "nobody"), NoData),
        (MEAN.replace("errors", '"no such"'), NoData),
        (f"{MEAN} GROUP BY app, time(10s) fill(none)", Unreachable),
        ("SELECT mean(", Unreachable),
    ],
)
async def test_influxql_is_asked_of_a_real_server(
    toolbox: Tools, influxdb: InfluxDb, query: str, expected: Any
) -> None:
    found = await ask(
        toolbox, query, type="influxdb", api="influxql", address=f"{influxdb.url}?db=shop"
    )

    assert found == expected if isinstance(expected, Value) else isinstance(found, expected)


async def test_a_database_that_is_not_there_is_told(toolbox: Tools, influxdb: InfluxDb) -> None:
    found = await ask(
        toolbox, MEAN, type="influxdb", api="influxql", address=f"{influxdb.url}?db=nothing"
    )

    assert isinstance(found, Unreachable)
    assert "database not found" in found.why
    assert not found.away


async def test_a_server_that_is_away_is_away(toolbox: Tools, tmp_path: Path) -> None:
    with running_influxdb(tmp_path) as server:
        address = server.url
    found = await ask(toolbox, MEAN, type="influxdb", api="influxql", address=address)

    assert isinstance(found, Unreachable)
    assert found.away


# --- Graphite ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graphite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graphite]:
    with running_graphite(tmp_path_factory.mktemp("graphite")) as server:
        now = int(time.time())
        server.write(*(f"shop.web.errors {n}.5 {now - 5 + n}" for n in range(5)))
        server.write(f"shop.api.errors 1 {now}")
        yield server


async def once_there(toolbox: Tools, graphite: Graphite, query: str) -> Reading:
    """The first answer that is a value: carbon takes a moment until it shows what it was told."""
    found: list[Reading] = []

    async def shown() -> bool:
        found.append(await ask(toolbox, query, type="graphite", address=graphite.url))
        return not isinstance(found[-1], NoData)

    await eventually(shown, f"a value of {query}", timeout_s=20)
    return found[-1]


async def test_a_real_graphite_renders_the_last_point(toolbox: Tools, graphite: Graphite) -> None:
    for query in ("target=shop.web.errors&from=-5min", "shop.web.errors"):
        assert await once_there(toolbox, graphite, query) == Value(key="", value=4.5)
    summed = await once_there(toolbox, graphite, "target=sumSeries(shop.*.errors)&from=-5min")
    assert isinstance(summed, Value)


async def test_a_real_graphite_says_what_is_not_one_number(
    toolbox: Tools, graphite: Graphite
) -> None:
    await once_there(toolbox, graphite, "shop.web.errors")
    address = {"type": "graphite", "address": graphite.url}

    assert isinstance(await ask(toolbox, "nobody.errors", **address), NoData)
    several = await once_there(toolbox, graphite, "shop.*.errors")
    assert isinstance(several, Unreachable)
    wrong = await ask(toolbox, "target=nofunction(shop.web.errors)", **address)
    assert isinstance(wrong, Unreachable)
