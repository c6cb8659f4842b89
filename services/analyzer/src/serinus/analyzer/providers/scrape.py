"""A metrics source that needs no metrics server: it reads the proxy's own /metrics.

`scrape:http://traefik:9100/metrics` as metrics server (several addresses, one per process of the
proxy, comma separated) answers the two built-in checks from the growth of the proxy's counters
between scrapes. Whoever is released is watched from its first step on, so that the check one
interval later has two scrapes to compare; a watch ends by itself when nobody asks any more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from serinus.analyzer.core.observers import Matcher
from serinus.analyzer.core.queries import (
    DURATION,
    QUANTILE,
    SHARE,
    SIDES,
    SUCCESS_RATE,
    Names,
    Selection,
    Side,
    selection,
)
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.exposition import (
    Samples,
    increases,
    labels_of,
    quantile,
    samples,
)
from serinus.analyzer.providers.source import Question, is_builtin, is_share, refusal
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http, HttpRequest, Unanswered

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
EVERY_S = 5.0
LINGER_S = 300.0
FRESH_S = 0.5
KEPT_WINDOWS = 1.5
MAX_SCRAPES = 256
MAX_SERIES = 100_000
# Observers whose series a proxy exposes; the others' are spread over pods or sidecars.
SCRAPED = ("traefik",)
FIRST = "first scrape, a rate needs two"

Spawn = Callable[[Coroutine[Any, Any, None], str], object]

_NAME = re.compile(r"[\w.-]*")


class Scrape(Struct, frozen=True):
    """One moment: Unix seconds, and the values of the watched series."""

    at: float
    values: Samples


class Watch:
    """The series of one canary on one proxy, for as long as somebody is interested."""

    def __init__(self, chosen: Selection) -> None:
        self.chosen = chosen
        self.names = (chosen.requests, chosen.latency)
        self.scrapes: deque[Scrape] = deque(maxlen=MAX_SCRAPES)
        self.until = 0.0
        self.window_s = 60.0
        self._hints = tuple(filter(None, map(_literal, chosen.timed)))

    def wants(self, series: str) -> bool:
        """Whether this series is one of the canary's."""
        if not all(hint in series for hint in self._hints):
            return False
        labels = labels_of(series)
        return all(matcher.holds(labels) for matcher in self.chosen.timed)

    def take(self, scrape: Scrape) -> None:
        self.scrapes.append(scrape)
        oldest = scrape.at - KEPT_WINDOWS * self.window_s
        # One that is older than the window stays, to be where the window begins.
        while len(self.scrapes) > 2 and self.scrapes[1].at < oldest:
            self.scrapes.popleft()

    def since(self, window_s: float) -> list[Scrape]:
        """The scrapes that cover the window best: from the one nearest to its beginning."""
        if not self.scrapes:
            return []
        begin = self.scrapes[-1].at - window_s
        known = list(self.scrapes)
        first = min(range(len(known)), key=lambda i: abs(known[i].at - begin))
        return known[min(first, max(0, len(known) - 2)) :]


def _literal(matcher: Matcher) -> str:
    """A text that every series selected by `matcher` holds: cheaper than the expression."""
    if matcher.op == "=":
        return matcher.value
    return re.split(r"[\\\[(.*+?{|^$]", matcher.value, maxsplit=1)[0] if matcher.op == "=~" else ""


def success_rate(chosen: Selection, scrapes: list[Scrape], window_s: float) -> Reading:
    """Percent of good requests among those that came between the scrapes."""
    good, total = _counted(chosen, scrapes)
    if total <= 0:
        return NoData(key="", cause=_silence(scrapes, window_s))
    return Value(key="", value=good / total * 100, samples=total)


def _counted(chosen: Selection, scrapes: list[Scrape]) -> tuple[float, float]:
    """Good requests and all requests between the scrapes."""
    good = total = 0.0
    for series, grown in increases([s.values for s in scrapes]).items():
        if not series.startswith(chosen.requests):
            continue
        labels = labels_of(series)
        if all(m.holds(labels) for m in chosen.every):
            total += grown
            good += grown if chosen.ok.holds(labels) else 0.0
    return good, total


def duration(chosen: Selection, scrapes: list[Scrape], window_s: float) -> Reading:
    """The 99th percentile of the durations between the scrapes, in milliseconds."""
    buckets: list[tuple[float, float]] = []
    for series, grown in increases([s.values for s in scrapes]).items():
        bound = _bound(labels_of(series).get("le", ""))
        if series.startswith(chosen.latency) and bound is not None:
            buckets.append((bound, grown))
    value = quantile(QUANTILE, buckets)
    if math.isnan(value):
        return NoData(key="", cause=_silence(scrapes, window_s))
    total = sum(count for bound, count in buckets if math.isinf(bound))
    return Value(key="", value=value * chosen.to_ms, samples=total)


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _silence(scrapes: list[Scrape], window_s: float) -> str:
    if not scrapes[-1].values:
        return "the proxy has no series of the canary yet"
    return f"no request in the last {min(window_s, scrapes[-1].at - scrapes[0].at):.0f}s"


def _expressions(names: Names) -> list[str]:
    """Which of them are no names as Kubernetes has them.

    They become parts of expressions, and are those of a manifest that nobody may have checked yet.
    """
    texts = (one for one in msgspec.structs.astuple(names) if isinstance(one, str))
    return [text for text in texts if not _NAME.fullmatch(text)]


async def _share(proxy: Proxy, observer: str, names: Names, window_s: float) -> Reading:
    """The canary's percentage of the requests between the scrapes."""
    watches = [proxy.watch(selection(observer, names, side), window_s) for side in SIDES]
    if why := await proxy.scrape():
        return Unreachable(key="", why=why)
    scrapes = [watch.since(window_s) for watch in watches]
    if min(map(len, scrapes)) < 2:
        return NoData(key="", cause=FIRST)
    canary, primary = (_counted(w.chosen, s)[1] for w, s in zip(watches, scrapes, strict=True))
    if canary + primary <= 0:
        return NoData(key="", cause=_silence(scrapes[0], window_s))
    return Value(key="", value=canary / (canary + primary) * 100, samples=canary + primary)


class Proxy:
    """One address, scraped while watches on it live."""

    def __init__(self, address: str, http: Http, clock: Clock, spawn: Spawn) -> None:
        self.urls = tuple(url.strip() for url in address.split(",") if url.strip())
        self.watches: dict[Selection, Watch] = {}
        self._http = http
        self._clock = clock
        self._spawn = spawn
        self._scraping = asyncio.Lock()
        self._running = False
        # Which watches a series belongs to; found once, for expressions are dear.
        self._belongs: dict[str, tuple[Watch, ...]] = {}

    def watch(self, chosen: Selection, window_s: float = 0.0, for_s: float = LINGER_S) -> Watch:
        """The watch on these series, kept alive for `for_s` from now on."""
        found = self.watches.get(chosen)
        if found is None:
            found = self.watches[chosen] = Watch(chosen)
            self._belongs.clear()
        found.until = max(found.until, self._clock.now() + for_s)
        found.window_s = max(found.window_s, window_s)
        if not self._running:
            self._running = True
            self._spawn(self._run(), f"scrape {self.urls[0] if self.urls else ''}")
        return found

    async def _run(self) -> None:
        """Scrapes until no watch is alive."""
        try:
            while self._retire():
                if why := await self.scrape():
                    log.info("scrape failed", extra={"reason": why})
                await self._clock.sleep(EVERY_S)
        finally:
            self._running = False

    def _retire(self) -> bool:
        now = self._clock.now()
        dead = [chosen for chosen, watch in self.watches.items() if watch.until < now]
        for chosen in dead:
            del self.watches[chosen]
        if dead:
            self._belongs.clear()
        return bool(self.watches)

    async def scrape(self) -> str:
        """Takes one scrape for all watches; "" or why it failed. One that is fresh is enough."""
        async with self._scraping:
            now = self._clock.now()
            lacking = [w for w in self.watches.values() if not _is_fresh(w, now)]
            if not lacking and self.watches:
                return ""
            found: dict[Watch, dict[str, float]] = {watch: {} for watch in self.watches.values()}
            for index, url in enumerate(self.urls):
                text = await self._text(url)
                if isinstance(text, Unreachable):
                    return text.why
                self._sort(text, index, found)
            at = self._clock.now()
            for watch, values in found.items():
                watch.take(Scrape(at, values))
            return ""

    async def _text(self, url: str) -> str | Unreachable:
        try:
            answer = await self._http.send(
                HttpRequest(url=url, headers={"Accept": "text/plain"}, timeout_s=TIMEOUT_S)
            )
        except Unanswered as error:
            return Unreachable(key="", why=f"request failed: {error}")
        if (refused := refusal(answer)) is not None:
            return refused
        if not answer.body.endswith(b"\n"):
            # The format ends with a line feed; without it something was lost on the way.
            return Unreachable(key="", why="the metrics were cut off; they are too long to read")
        return answer.text

    def _sort(self, text: str, index: int, found: dict[Watch, dict[str, float]]) -> None:
        names = tuple({name for watch in found for name in watch.names})
        for series, name, value in samples(text, names):
            owners = self._belongs.get(series)
            if owners is None:
                owners = tuple(w for w in found if name in w.names and w.wants(series))
                if len(self._belongs) >= MAX_SERIES:
                    self._belongs.clear()
                self._belongs[series] = owners
            for watch in owners:
                # Processes count for themselves: the same series of two is two series.
                if watch in found:
                    found[watch][f"{series}#{index}" if index else series] = value


def _is_fresh(watch: Watch, now: float) -> bool:
    return bool(watch.scrapes) and now - watch.scrapes[-1].at < FRESH_S


class Scraper:
    """All proxies that are read, by address."""

    def __init__(self, http: Http, clock: Clock, spawn: Spawn) -> None:
        self._http = http
        self._clock = clock
        self._spawn = spawn
        self._proxies: dict[str, Proxy] = {}

    def warm(
        self,
        address: str,
        observer: str,
        names: Names,
        for_s: float = LINGER_S,
        sides: Sequence[Side] = ("canary",),
    ) -> None:
        """Watches a canary's series, so that the next check has something to compare.

        for_s  how long, at least; to be repeated while the canary is analysed
        """
        if observer in SCRAPED and self._is_usable(address) and not _expressions(names):
            for side in sides:
                chosen = selection(observer, names, side)
                self._proxy(address).watch(chosen, for_s=max(for_s, LINGER_S))

    async def value(self, address: str, question: Question) -> Reading:
        """The answer to a built-in check."""
        if question.observer not in SCRAPED or question.names is None:
            have = ", ".join(SCRAPED)
            why = f"series of {question.observer or 'this source'} cannot be scraped; of {have} can"
            return Unreachable(key="", why=why)
        if not is_builtin(question) and not is_share(question):
            why = (
                f"a scrape answers only {SUCCESS_RATE} and {DURATION}; this needs a metrics server"
            )
            return Unreachable(key="", why=why)
        if not self._is_usable(address):
            return Unreachable(key="", why=f"scrape: needs http:// addresses, not {address!r}")
        for text in _expressions(question.names):
            return Unreachable(key="", why=f"scrape: {text!r} is no name")
        proxy = self._proxy(address)
        if question.check == SHARE:
            return await _share(proxy, question.observer, question.names, question.window_s)
        chosen = selection(question.observer, question.names)
        watch = proxy.watch(chosen, question.window_s)
        if why := await proxy.scrape():
            return Unreachable(key="", why=why)
        scrapes = watch.since(question.window_s)
        if len(scrapes) < 2:
            return NoData(key="", cause=FIRST)
        measure = success_rate if question.check == SUCCESS_RATE else duration
        return measure(chosen, scrapes, question.window_s)

    async def probe(self, address: str) -> Reading:
        """Whether every process of the proxy answers."""
        if not self._is_usable(address):
            return Unreachable(key="", why=f"scrape: needs http:// addresses, not {address!r}")
        why = await Proxy(address, self._http, self._clock, self._spawn).scrape()
        return Unreachable(key="", why=why) if why else Value(key="", value=1.0)

    def _proxy(self, address: str) -> Proxy:
        if address not in self._proxies:
            self._proxies[address] = Proxy(address, self._http, self._clock, self._spawn)
        return self._proxies[address]

    @staticmethod
    def _is_usable(address: str) -> bool:
        urls = [url.strip() for url in address.split(",") if url.strip()]
        return bool(urls) and all(u.startswith(("http://", "https://")) for u in urls)
