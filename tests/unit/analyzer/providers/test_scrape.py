"""A release without a metrics server: what the proxy's own counters tell between two scrapes."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from tests.unit.analyzer.doubles import FakeHttp, Spawner, in_turn, reply

from serinus.analyzer.core.queries import (
    DURATION,
    SHARE,
    SIDES,
    SUCCESS_RATE,
    Names,
    builtin_query,
    names_of,
    share_queries,
)
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.scrape import FIRST, Scraper
from serinus.analyzer.providers.source import Question
from serinus.events import CanarySpec, ObjectRef
from serinus.runtime.clock import LoopClock
from serinus.runtime.http import HttpRequest, HttpResponse, Unanswered

pytestmark = pytest.mark.looptime

URL = "http://127.0.0.1:9100/metrics"
NAMES = names_of("shop", "web", CanarySpec(target_ref=ObjectRef(kind="Deployment", name="web")))
BOUNDS = ("0.1", "0.3", "1.2", "5", "+Inf")


class Proxy:
    """Traefik's counters for one service, counted up by hand."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], list[int]] = {}
        self.noise = 0
        self.up = True

    def serve(
        self, requests: int, code: str = "200", bucket: int = 0, service: str = "shop-web-canary-80"
    ) -> None:
        counts = self.counts.setdefault((service, code), [0] * len(BOUNDS))
        for index in range(bucket, len(BOUNDS)):
            counts[index] += requests

    def __call__(self, request: HttpRequest) -> HttpResponse | Unanswered:
        if not self.up:
            return Unanswered(f"GET {request.url}: cannot connect: Connection refused")
        lines = ["# TYPE traefik_service_request_duration_seconds histogram", "go_goroutines 42"]
        for (service, code), counts in self.counts.items():
            for bound, count in zip(BOUNDS, counts, strict=True):
                lines.append(
                    "traefik_service_request_duration_seconds_bucket"
                    f'{{code="{code}",method="GET",protocol="http",'
                    f'service="{service}@kubernetescrd",le="{bound}"}} {count}'
                )
        return reply(200, "\n".join(lines) + "\n")


class Bench:
    def __init__(self, script: Callable[[HttpRequest], HttpResponse | Unanswered]) -> None:
        self.clock = LoopClock(epoch=0.0)
        self.http = FakeHttp(script, self.clock)
        self.spawn = Spawner()
        self.scraper = Scraper(self.http, self.clock, self.spawn)

    async def ask(
        self,
        check: str = SUCCESS_RATE,
        *,
        window_s: float = 60.0,
        observer: str = "traefik",
        names: Names = NAMES,
        query: str = "",
        address: str = URL,
    ) -> Reading:
        question = Question(
            query=query or _usual(check, observer, names, window_s),
            at=self.clock.now(),
            window_s=window_s,
            check=check,
            observer=observer,
            names=names,
        )
        return await self.scraper.value(address, question)


def _usual(check: str, observer: str, names: Names, window_s: float) -> str:
    of = DURATION if check == DURATION else SUCCESS_RATE
    return builtin_query(observer, of, names, f"{window_s:.0f}s")


@pytest.fixture
async def proxy() -> Proxy:
    return Proxy()


@pytest.fixture
async def bench(proxy: Proxy) -> AsyncIterator[Bench]:
    made = Bench(proxy)
    yield made
    await made.spawn.close()


async def test_the_first_scrape_alone_says_nothing(bench: Bench, proxy: Proxy) -> None:
    proxy.serve(100)

    assert await bench.ask() == NoData(key="", cause=FIRST)


async def test_the_check_after_the_first_step_has_a_baseline(bench: Bench, proxy: Proxy) -> None:
    """Watched since the step was taken: one interval later there are two scrapes to compare."""
    bench.scraper.warm(URL, "traefik", NAMES)
    await asyncio.sleep(0.1)
    proxy.serve(90)
    proxy.serve(10, code="503")

    await asyncio.sleep(10)

    assert await bench.ask() == Value(key="", value=90.0, samples=100.0)


async def test_what_was_served_before_the_window_does_not_count(bench: Bench, proxy: Proxy) -> None:
    bench.scraper.warm(URL, "traefik", NAMES)
    proxy.serve(1000, code="500")
    await asyncio.sleep(40)
    proxy.serve(10)
    await asyncio.sleep(20)

    assert await bench.ask(window_s=30.0) == Value(key="", value=100.0, samples=10.0)


async def test_durations_are_a_percentile_in_milliseconds(bench: Bench, proxy: Proxy) -> None:
    bench.scraper.warm(URL, "traefik", NAMES)
    await asyncio.sleep(0.1)
    proxy.serve(50, bucket=0)
    proxy.serve(50, bucket=2)
    await asyncio.sleep(10)

    answer = await bench.ask(DURATION)

    assert isinstance(answer, Value)
    # 99th of 100: 49/50 of the way through the bucket from 0.3 s to 1.2 s.
    assert answer.value == pytest.approx(300 + 900 * 49 / 50)
    assert answer.samples == 100.0


async def test_a_proxy_that_restarted_counts_from_zero(bench: Bench, proxy: Proxy) -> None:
    proxy.serve(1000, code="500")
    bench.scraper.warm(URL, "traefik", NAMES)
    await asyncio.sleep(6)
    proxy.counts.clear()
    proxy.serve(20)
    await asyncio.sleep(6)

    assert await bench.ask() == Value(key="", value=100.0, samples=20.0)


async def test_only_the_canarys_series_count(bench: Bench, proxy: Proxy) -> None:
    bench.scraper.warm(URL, "traefik", NAMES)
    await asyncio.sleep(0.1)
    proxy.serve(10)
    proxy.serve(500, code="500", service="shop-web-primary-80")
    proxy.serve(500, code="500", service="other-web-canary-80")
    proxy.serve(500, code="500", service="shop-webby-canary-80")
    await asyncio.sleep(10)

    assert await bench.ask() == Value(key="", value=100.0, samples=10.0)


async def test_no_traffic_is_no_data(bench: Bench, proxy: Proxy) -> None:
    proxy.serve(100)
    await bench.ask()
    await asyncio.sleep(10)

    assert await bench.ask() == NoData(key="", cause="no request in the last 10s")
    assert isinstance(await bench.ask(DURATION), NoData)


async def test_no_series_is_no_data_with_another_cause(bench: Bench, proxy: Proxy) -> None:
    await bench.ask()
    await asyncio.sleep(10)

    assert await bench.ask() == NoData(key="", cause="the proxy has no series of the canary yet")


async def test_a_proxy_that_is_away_is_unreachable(bench: Bench, proxy: Proxy) -> None:
    await bench.ask()
    proxy.up = False
    await asyncio.sleep(10)

    answer = await bench.ask()

    assert isinstance(answer, Unreachable)
    assert "Connection refused" in answer.why


async def test_an_answer_that_was_cut_off_is_not_counted(proxy: Proxy) -> None:
    """Half the series would be a wrong rate."""
    bench = Bench(in_turn(reply(200, "traefik_service_request_duration_secon")))

    answer = await bench.ask()

    assert isinstance(answer, Unreachable)
    assert "cut off" in answer.why
    await bench.spawn.close()


async def test_processes_of_one_proxy_add_up(proxy: Proxy) -> None:
    other = Proxy()
    bench = Bench(lambda r: proxy(r) if "9100" in r.url else other(r))
    address = f"{URL}, http://127.0.0.1:9200/metrics"
    await bench.ask(address=address)
    proxy.serve(30)
    other.serve(10, code="500")
    await asyncio.sleep(10)

    assert await bench.ask(address=address) == Value(key="", value=75.0, samples=40.0)
    await bench.spawn.close()


async def test_two_checks_of_one_round_share_a_scrape(bench: Bench, proxy: Proxy) -> None:
    await bench.ask()
    before = len(bench.http.sent)

    await bench.ask(DURATION)
    await bench.ask()

    assert len(bench.http.sent) == before


async def test_many_canaries_share_the_scrapes_of_a_proxy(bench: Bench) -> None:
    for index in range(20):
        target = ObjectRef(kind="Deployment", name=f"app{index}")
        bench.scraper.warm(
            URL, "traefik", names_of("shop", f"app{index}", CanarySpec(target_ref=target))
        )

    await asyncio.sleep(60.1)

    assert len(bench.http.sent) == 13


async def test_a_proxy_nobody_asks_about_is_left_alone(bench: Bench) -> None:
    bench.scraper.warm(URL, "traefik", NAMES)
    await asyncio.sleep(310)
    before = len(bench.http.sent)

    await asyncio.sleep(3600)

    assert len(bench.http.sent) == before
    assert not bench.spawn.tasks


async def test_a_long_interval_keeps_its_watch(bench: Bench, proxy: Proxy) -> None:
    bench.scraper.warm(URL, "traefik", NAMES, for_s=1800)
    await asyncio.sleep(590)
    proxy.serve(10)
    await asyncio.sleep(20)

    assert await bench.ask() == Value(key="", value=100.0, samples=10.0)


async def test_memory_is_bounded_by_the_window(bench: Bench, proxy: Proxy) -> None:
    proxy.serve(1)
    bench.scraper.warm(URL, "traefik", NAMES, for_s=10_000)

    await asyncio.sleep(5000)

    (watch,) = bench.scraper._proxies[URL].watches.values()
    assert len(watch.scrapes) < 25


@pytest.mark.parametrize("observer", ["http", "istio", "nginx"])
async def test_series_that_no_proxy_exposes_are_said_so(bench: Bench, observer: str) -> None:
    answer = await bench.ask(observer=observer)

    assert isinstance(answer, Unreachable)
    assert "traefik" in answer.why
    assert bench.http.sent == []


async def test_a_query_of_the_users_is_not_mistaken_for_a_check(bench: Bench) -> None:
    """Even one that is named like a built-in check."""
    answer = await bench.ask(query="sum(my_errors)")

    assert isinstance(answer, Unreachable)
    assert "needs a metrics server" in answer.why


@pytest.mark.parametrize("field", ["service", "target", "ingress", "route", "namespace"])
async def test_a_name_that_is_an_expression_is_matched_with_nothing(
    bench: Bench, proxy: Proxy, field: str
) -> None:
    """The proxy's labels may be somebody's own, too: a few letters would take years."""
    names = msgspec.structs.replace(NAMES, **{field: "(a+)+b"})
    bench.scraper.warm(URL, "traefik", names)

    answer = await bench.ask(names=names)

    assert answer == Unreachable(key="", why="scrape: '(a+)+b' is no name")
    assert bench.http.sent == []
    assert bench.spawn.tasks == set()


@pytest.mark.parametrize("address", ["", "pods", "127.0.0.1:9100"])
async def test_an_address_that_is_none_is_said_so(bench: Bench, address: str) -> None:
    answer = await bench.ask(address=address)

    assert isinstance(answer, Unreachable)
    assert "http://" in answer.why
    assert isinstance(await bench.scraper.probe(address), Unreachable)


async def test_a_probe_is_one_scrape(bench: Bench, proxy: Proxy) -> None:
    assert await bench.scraper.probe(URL) == Value(key="", value=1.0)
    proxy.up = False
    assert isinstance(await bench.scraper.probe(URL), Unreachable)
    assert len(bench.http.sent) == 2


async def test_the_share_is_that_of_the_requests_to_both_versions(
    bench: Bench, proxy: Proxy
) -> None:
    bench.scraper.warm(URL, "traefik", NAMES, sides=SIDES)
    await asyncio.sleep(0.1)
    proxy.serve(30)
    proxy.serve(10, code="503")
    proxy.serve(160, service="shop-web-primary-80")
    proxy.serve(999, service="shop-other-80")

    await asyncio.sleep(10)

    query, _ = share_queries("traefik", NAMES, "60s")
    assert await bench.ask(SHARE, query=query) == Value(key="", value=20.0, samples=200.0)


async def test_a_share_of_nothing_and_a_first_look_are_no_share(bench: Bench, proxy: Proxy) -> None:
    query, _ = share_queries("traefik", NAMES, "60s")

    assert await bench.ask(SHARE, query=query) == NoData(key="", cause=FIRST)
    await asyncio.sleep(10)
    assert isinstance(await bench.ask(SHARE, query=query), NoData)
    proxy.up = False
    await asyncio.sleep(10)
    assert isinstance(await bench.ask(SHARE, query=query), Unreachable)
    assert isinstance(await bench.ask(SHARE, query="of the user's"), Unreachable)
