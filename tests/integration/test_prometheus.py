"""The real Prometheus: the queries it is asked, and the same questions answered by a scrape."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from tests.servers.process import free_ports
from tests.servers.prometheus import Prometheus
from tests.servers.prometheus import prometheus as running_prometheus

from serinus.analyzer.core.checks import NO_SERIES, NOT_A_NUMBER
from serinus.analyzer.core.comparison import verdict
from serinus.analyzer.core.judging import columns, judged_query
from serinus.analyzer.core.queries import (
    DURATION,
    SHARE,
    SUCCESS_RATE,
    builtin_query,
    names_of,
    share_queries,
)
from serinus.analyzer.core.rollout import NoData, Reading, Table, Unreachable, Value
from serinus.analyzer.providers.catalog import provider_of, tools
from serinus.analyzer.providers.scrape import Scraper
from serinus.analyzer.providers.source import Question, Source
from serinus.events import CanarySpec, Metric, MetricTemplateSpec, ObjectRef
from serinus.events.canary import Analysis, MetricJudge, MetricProvider
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient

EVERY_S = 0.5
WINDOW_S = 4.0
NO_CLUSTER: Any = None
BOUNDS = ("0.1", "0.3", "1.2", "5.0", "+Inf")
NAMES = names_of("shop", "web", CanarySpec(target_ref=ObjectRef(kind="Deployment", name="web")))
CANARY = "shop-web-canary-80@kubernetescrd"
PRIMARY = "shop-web-primary-80@kubernetescrd"


class Counters:
    """A proxy's /metrics in the shape of Traefik's, counting at an even pace."""

    def __init__(self) -> None:
        self.begun = asyncio.get_running_loop().time()

    async def metrics(self, request: web.Request) -> web.Response:
        seconds = asyncio.get_running_loop().time() - self.begun
        lines = ["# TYPE traefik_service_request_duration_seconds histogram"]
        # The canary: 90 good ones a second, below 0.1 s; 10 bad ones, up to 1.2 s.
        for service, code, pace, slowest in (
            (CANARY, "200", 90, 0),
            (CANARY, "503", 10, 2),
            (PRIMARY, "503", 1000, 4),
        ):
            for index, bound in enumerate(BOUNDS):
                count = int(seconds * pace) if index >= slowest else 0
                labels = f'code="{code}",method="GET",service="{service}",le="{bound}"'
                name = "traefik_service_request_duration_seconds_bucket"
                lines.append(f"{name}{{{labels}}} {count}")
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """host:port of the counters."""
    app = web.Application()
    app.router.add_get("/metrics", Counters().metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", free_ports(1)[0])
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"{host}:{port}"
    await runner.cleanup()


@pytest.fixture
def prometheus(tmp_path: Path, address: str) -> Iterator[Prometheus]:
    with running_prometheus(tmp_path, {"traefik": [address]}, every_s=EVERY_S) as server:
        yield server


class Asker:
    """Both kinds of sources, as the analyzer makes them."""

    def __init__(self) -> None:
        self.http = HttpClient()
        self.clock = SystemClock()
        self.tasks: set[asyncio.Task[None]] = set()
        scraper = Scraper(
            self.http, self.clock, lambda work, name: self.tasks.add(asyncio.create_task(work))
        )
        self.tools = tools(self.http, NO_CLUSTER, self.clock, scraper)

    async def ask(self, kind: str, address: str, query: str, check: str = "") -> Reading:
        source = Source(
            provider=msgspec.convert({"type": kind, "address": address}, MetricProvider)
        )
        question = Question(
            query=query,
            at=self.clock.now(),
            window_s=WINDOW_S,
            check=check,
            observer="traefik",
            names=NAMES,
        )
        return await provider_of(source, self.tools).value(question)

    async def value(self, kind: str, address: str, query: str, check: str = "") -> Value:
        """The first answer that is a value, asked for again for a bounded time."""
        async with asyncio.timeout(20):
            while True:
                answer = await self.ask(kind, address, query, check)
                if isinstance(answer, Value):
                    return answer
                assert isinstance(answer, NoData), answer
                await asyncio.sleep(EVERY_S)

    async def table(self, address: str, columns: Mapping[str, str]) -> Table:
        """Two windows of all columns, as soon as the first of them has both."""
        source = Source(provider=MetricProvider(type="prometheus", address=address))
        async with asyncio.timeout(30):
            while True:
                at = self.clock.now()
                question = Question(
                    query="",
                    at=at,
                    window_s=WINDOW_S,
                    columns=columns,
                    since=at - 2.2 * WINDOW_S,
                )
                found = await provider_of(source, self.tools).value(question)
                assert isinstance(found, Table), found
                if None not in next(iter(found.columns.values())):
                    return found
                await asyncio.sleep(EVERY_S)


@pytest.fixture
async def asker() -> AsyncIterator[Asker]:
    made = Asker()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await made.http.close()


async def test_both_built_in_checks_have_their_number(prometheus: Prometheus, asker: Asker) -> None:
    """90% good; the 99th percentile lies nine tenths into the bucket from 0.3 s to 1.2 s."""
    rate = await asker.value(
        "prometheus", prometheus.url, builtin_query("traefik", SUCCESS_RATE, NAMES, "4s")
    )
    p99 = await asker.value(
        "prometheus", prometheus.url, builtin_query("traefik", DURATION, NAMES, "4s")
    )

    assert rate.value == pytest.approx(90, abs=1.5)
    assert p99.value == pytest.approx(300 + 900 * 0.9, abs=30)


async def test_a_scrape_gives_the_same_numbers(
    prometheus: Prometheus, address: str, asker: Asker
) -> None:
    """What the scrape computes is what PromQL makes of the same series."""
    for check in (SUCCESS_RATE, DURATION):
        query = builtin_query("traefik", check, NAMES, "4s")
        scraped = await asker.value("scrape", f"http://{address}/metrics", query, check)
        queried = await asker.value("prometheus", prometheus.url, query)

        assert scraped.value == pytest.approx(queried.value, rel=0.03)


async def test_the_share_of_the_canary_is_the_same_by_query_and_by_scrape(
    prometheus: Prometheus, address: str, asker: Asker
) -> None:
    """100 of 1,100 requests a second."""
    share, total = share_queries("traefik", NAMES, "4s")
    queried = await asker.value("prometheus", prometheus.url, share)
    counted = await asker.value("prometheus", prometheus.url, total)
    scraped = await asker.value("scrape", f"http://{address}/metrics", share, SHARE)

    for found in (queried, scraped):
        assert found.value == pytest.approx(100 / 11, abs=1)
    assert 0 < counted.value < 4 * 1100 * 1.3


async def test_a_judge_compares_both_sides_over_time(prometheus: Prometheus, asker: Asker) -> None:
    """The canary fails in a tenth of its requests, the primary in all; only one of them is worse,
    and it depends on what is counted as bad."""
    judge = MetricJudge(error_probability=0.01)
    asked = columns("traefik", NAMES, SUCCESS_RATE, "4s")
    found = verdict(judge, SUCCESS_RATE, "traefik", await asker.table(prometheus.url, asked))
    assert found.worse is False
    assert found.value == pytest.approx(0.1, abs=0.02)

    counter = "traefik_service_request_duration_seconds_bucket"
    every = 'service=~"{{ namespace }}-{{ service }}-{{ side }}-.*",le="+Inf"'
    metric = Metric(
        name="successes",
        interval="4s",
        query=f'sum(increase({counter}{{code="200",{every}}}[{{{{ interval }}}}]))',
        samples_query=f"sum(increase({counter}{{{every}}}[{{{{ interval }}}}]))",
        judge=judge,
    )
    source = MetricTemplateSpec(provider=MetricProvider(type="prometheus"), query="")
    asked = judged_query(metric, metric.query, NAMES, source, Analysis())
    found = verdict(judge, "", "", await asker.table(prometheus.url, asked))
    assert found.worse is True
    assert "times the primary's share of bad events" in found.finding


async def test_the_server_says_what_it_does_not_know(prometheus: Prometheus, asker: Asker) -> None:
    absent = await asker.ask("prometheus", prometheus.url, "absent_series_of_nobody")
    nan = await asker.ask("prometheus", prometheus.url, "vector(0) / vector(0)")
    several = await asker.ask(
        "prometheus",
        prometheus.url,
        'label_replace(vector(1), "a", "x", "", "") or label_replace(vector(2), "a", "y", "", "")',
    )
    wrong = await asker.ask("prometheus", prometheus.url, "sum(")
    scalar = await asker.ask("prometheus", prometheus.url, "scalar(vector(3))")

    assert absent == NoData(key="", cause=NO_SERIES)
    assert nan == NoData(key="", cause=NOT_A_NUMBER)
    assert several == Unreachable(key="", why="query returned multiple values")
    assert isinstance(wrong, Unreachable)
    assert wrong.why.startswith("error response: Status 400 Bad Request: ")
    assert scalar == Value(key="", value=3.0)


async def test_online_and_away(prometheus: Prometheus, asker: Asker) -> None:
    source = Source(provider=MetricProvider(type="prometheus", address=prometheus.url))
    provider = provider_of(source, asker.tools)
    assert await provider.probe(0.0) == Value(key="", value=1.0)

    prometheus.stop()

    away = await provider.probe(0.0)
    assert isinstance(away, Unreachable)
    assert away.why.startswith("request failed: ")
