"""What the router writes, real data planes serve: shares, conditions, copies, cookies.

Each test is one promise, for every row of `catalog.PLANES` that can keep it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
import pytest
from tests.planes.catalog import Plane, that_can
from tests.planes.conditions import Ask
from tests.planes.conftest import Running
from tests.planes.site import CANARY, PRIMARY, Answer, Site, a_client
from tests.servers.waiting import eventually

from serinus.analyzer.core.queries import SHARE, share_queries
from serinus.analyzer.core.rollout import Value
from serinus.analyzer.providers.scrape import SCRAPED, Scraper
from serinus.analyzer.providers.source import Question
from serinus.events import Cookies, Routes
from serinus.events.canary import SessionAffinity
from serinus.router.meshes.catalog import Ability
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient

pytestmark = pytest.mark.timeout(300)

REQUESTS = 2000
POINTS = 0.03
WEIGHTS = (5, 20, 50, 80, 95)
CHANGES = 50
PER_SECOND = 200
PER_CHANGE = 40


def planes(ability: Ability) -> Callable[[Any], Any]:
    return on(that_can(ability))


def on(rows: Iterable[Plane]) -> Callable[[Any], Any]:
    """A test for each of these rows; all tests of a data plane go to the worker that runs it."""
    found = [
        pytest.param(row, id=row.name, marks=pytest.mark.xdist_group(row.name)) for row in rows
    ]
    return pytest.mark.parametrize("plane", found, indirect=True)


@planes(Ability.WEIGHT)
async def test_shares_are_those_of_the_weights(site: Site) -> None:
    for weight in WEIGHTS:
        await site.route(Routes(primary=100 - weight, canary=weight))
        shares: list[float] = []

        async def is_near(weight: int = weight, shares: list[float] = shares) -> bool:
            """Of one sample after the change; the first one may be older in part."""
            found = await site.answers(REQUESTS)
            assert {PRIMARY, CANARY} >= set(found)
            shares.append(found[CANARY] / REQUESTS)
            return abs(shares[-1] - weight / 100) <= POINTS

        await eventually(is_near, f"{weight} percent get to the canary, but {shares}")


@planes(Ability.WEIGHT)
async def test_no_request_fails_while_weights_change(site: Site) -> None:
    async with Pace(site) as pace:
        for change in range(CHANGES):
            weight = change * 7 % 101
            await site.route(Routes(primary=100 - weight, canary=weight))
            await pace.more(PER_CHANGE)

    assert {PRIMARY, CANARY} == set(pace.answers)
    assert pace.answers.total() >= CHANGES * PER_CHANGE


@planes(Ability.MATCH)
async def test_requests_that_match_reach_the_canary_and_no_others_do(site: Site) -> None:
    for conditions in site.plane.conditions:
        await site.route(Routes(primary=0, canary=100, match=conditions.match))
        # What came before may treat some of them alike.
        for ask in conditions.meets:
            await site.until([CANARY], ask)
        for ask in conditions.misses:
            await site.until([PRIMARY], ask)
        for ask in conditions.meets:
            assert {CANARY: 100} == await site.answers(100, ask)
        for ask in conditions.misses:
            assert {PRIMARY: 100} == await site.answers(100, ask)


@planes(Ability.MIRROR)
async def test_mirrored_requests_are_counted_at_the_canary_and_answered_by_the_primary(
    site: Site,
) -> None:
    await site.route(Routes(mirror=True, mirror_weight=40))

    async def copies() -> bool:
        assert {PRIMARY} == set(await site.answers(60))
        return site.pods.seen["canary"] > 0

    await eventually(copies, "the canary gets copies")
    before = site.pods.seen["canary"]

    found = await site.answers(REQUESTS)

    expected = site.plane.mirrored

    async def arrived() -> bool:
        share = (site.pods.seen["canary"] - before) / REQUESTS
        return abs(share - expected) <= POINTS

    await eventually(arrived, f"{expected:.0%} of the requests are seen at the canary")
    assert {PRIMARY: REQUESTS} == found


@planes(Ability.STICKY)
async def test_a_client_stays_with_the_canary_for_one_rollout(site: Site) -> None:
    settings = SessionAffinity(cookie_name="canary-of-web", path="/")
    cookies = Cookies(settings=settings, canary="canary-of-web=first")
    jars = [aiohttp.CookieJar(unsafe=True) for _ in range(40)]
    held: set[int] = set()
    for weight in (20, 50, 80):
        await site.route(Routes(primary=100 - weight, canary=weight, cookies=cookies))
        await site.until([PRIMARY, CANARY])
        for number, jar in enumerate(jars):
            async with a_client(jar) as client:
                answers = [await site.ask(client) for _ in range(5)]
            if number in held:
                assert [CANARY] * 5 == answers
            elif CANARY in answers:
                since = answers.index(CANARY)
                assert [PRIMARY] * since + [CANARY] * (5 - since) == answers
                held.add(number)
        assert held

    done = Cookies(settings=settings, previous="canary-of-web=first")
    await site.route(Routes(cookies=done))
    await site.until([PRIMARY], Ask(headers={"Cookie": "canary-of-web=first"}))
    for jar in jars:
        async with a_client(jar) as client:
            assert PRIMARY == await site.ask(client)
            assert not len(jar) or not site.plane.takes_back


@on(row for row in that_can(Ability.WEIGHT) if row.mesh in SCRAPED)
async def test_the_proxys_own_counters_show_the_share(site: Site, plane: Running) -> None:
    """What `analysis.verifyTraffic` goes by."""
    await site.route(Routes(primary=80, canary=20))
    await site.until([PRIMARY, CANARY])
    query, _ = share_queries("traefik", site.names, "60s")
    question = Question(
        query=query, at=0, window_s=60, check=SHARE, observer="traefik", names=site.names
    )
    address = f"http://{plane.metrics}/metrics"
    http, tasks = HttpClient(), set[asyncio.Task[None]]()
    scraper = Scraper(http, SystemClock(), lambda work, _: tasks.add(asyncio.create_task(work)))
    try:
        await scraper.value(address, question)
        found = await site.answers(REQUESTS)

        async def is_counted() -> bool:
            share = await scraper.value(address, question)
            return isinstance(share, Value) and share.samples == REQUESTS

        await eventually(is_counted, "all requests are counted")
        share = await scraper.value(address, question)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await http.close()

    assert isinstance(share, Value)
    assert share.value == pytest.approx(found[CANARY] / REQUESTS * 100)


class Pace:
    """Requests at an even pace, PER_SECOND of them, for as long as its context is open."""

    def __init__(self, site: Site) -> None:
        self.answers: Counter[Answer] = Counter()
        self._site = site
        self._answered = asyncio.Condition()
        self._over = False

    async def __aenter__(self) -> Pace:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await self._task

    async def more(self, count: int) -> None:
        """Returns when that many more requests were answered."""
        wanted = self.answers.total() + count
        async with self._answered:
            await self._answered.wait_for(lambda: self.answers.total() >= wanted)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        async with a_client() as client, asyncio.TaskGroup() as group:
            while not self._over:
                group.create_task(self._ask(client))
                due += 1 / PER_SECOND
                await asyncio.sleep(due - loop.time())

    async def _ask(self, client: aiohttp.ClientSession) -> None:
        answer = await self._site.ask(client)
        async with self._answered:
            self.answers[answer] += 1
            self._answered.notify_all()
