"""ONE ROW PER PROVIDER. An unknown type is an answer that lists the known ones, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from serinus.analyzer.core.rollout import Reading, Unreachable
from serinus.analyzer.providers.prometheus import PROMETHEUS
from serinus.analyzer.providers.scrape import Scraper
from serinus.analyzer.providers.source import Halves, OverHttp, Provider, Question, Source
from serinus.runtime.http import Http


class Tools(Struct, frozen=True):
    """What providers are made with."""

    http: Http
    scraper: Scraper


class Row(Struct, frozen=True, kw_only=True):
    """One kind of source.

    secret_keys  keys that its Secret may hold; for the docs
    make         the provider for one source
    """

    type: str
    secret_keys: tuple[str, ...] = ()
    make: Callable[[Source, Tools], Provider]


def _over_http(halves: Halves) -> Callable[[Source, Tools], Provider]:
    return lambda source, tools: OverHttp(halves, source, tools.http)


class _Scraped:
    """The scraper, seen as the provider of one address."""

    def __init__(self, source: Source, tools: Tools) -> None:
        self._address = source.provider.address
        self._scraper = tools.scraper

    async def value(self, question: Question) -> Reading:
        return await self._scraper.value(self._address, question)

    async def probe(self, at: float) -> Reading:
        return await self._scraper.probe(self._address)


_ROWS = (
    Row(
        type="prometheus",
        secret_keys=("token", "username", "password"),
        make=_over_http(PROMETHEUS),
    ),
    Row(type="scrape", make=_Scraped),
)
PROVIDERS: Mapping[str, Row] = {row.type: row for row in _ROWS}


class _Absent:
    """A type without a row."""

    def __init__(self, kind: str) -> None:
        have = ", ".join(PROVIDERS)
        why = f"provider type {kind} is not available yet; available: {have}"
        self._answer = Unreachable(key="", why=why)

    async def value(self, question: Question) -> Reading:
        return self._answer

    async def probe(self, at: float) -> Reading:
        return self._answer


def provider_of(source: Source, tools: Tools) -> Provider:
    """The provider for a source."""
    row = PROVIDERS.get(source.provider.type)
    return row.make(source, tools) if row else _Absent(source.provider.type)
