"""ONE ROW PER PROVIDER. An unknown type is an answer that lists the known ones, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from serinus.analyzer.core.rollout import Reading, Unreachable
from serinus.analyzer.providers import http as business
from serinus.analyzer.providers.cloudwatch import Aws, CloudWatch
from serinus.analyzer.providers.datadog import Datadog
from serinus.analyzer.providers.discreet import Discreet
from serinus.analyzer.providers.dynatrace import DYNATRACE
from serinus.analyzer.providers.externalmetrics import ExternalMetrics
from serinus.analyzer.providers.graphite import GRAPHITE
from serinus.analyzer.providers.groups import Groups
from serinus.analyzer.providers.influxdb import FLUX, INFLUXQL, SQL
from serinus.analyzer.providers.keptn import Keptn
from serinus.analyzer.providers.newrelic import NEWRELIC
from serinus.analyzer.providers.polite import Polite
from serinus.analyzer.providers.prometheus import Prometheus
from serinus.analyzer.providers.scrape import Scraper
from serinus.analyzer.providers.source import Halves, OverHttp, Provider, Question, Source
from serinus.analyzer.providers.splunk import Splunk
from serinus.analyzer.providers.stackdriver import Google, Stackdriver
from serinus.kube.cluster import Cluster
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http


class Tools(Struct, frozen=True, kw_only=True):
    """What providers are made with, and what they remember between questions."""

    http: Http
    cluster: Cluster
    clock: Clock
    scraper: Scraper
    groups: Groups
    aws: Aws
    google: Google


def tools(
    http: Http, cluster: Cluster, clock: Clock, scraper: Scraper, group_from: int = 0
) -> Tools:
    """`group_from`: canaries that must share a server before they are asked about together."""
    http = Polite(http, clock)
    return Tools(
        http=http,
        groups=Groups(http, clock, group_from),
        cluster=cluster,
        clock=clock,
        scraper=scraper,
        aws=Aws(http),
        google=Google(http),
    )


class Row(Struct, frozen=True, kw_only=True):
    """One kind of source.

    secret_keys  keys that its Secret may hold; for the docs
    apis         values of `provider.api` that it knows; the first is the default
    make         the provider for one source
    """

    type: str
    secret_keys: tuple[str, ...] = ()
    apis: tuple[str, ...] = ()
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


def _influxdb(source: Source, tools: Tools) -> Provider:
    halves = {"influxql": INFLUXQL, "sql": SQL}.get(source.provider.api, FLUX)
    return OverHttp(halves, source, tools.http)


_TLS = ("ca.crt", "tls.crt", "tls.key")
_LOGIN = ("token", "username", "password", *_TLS)
_ROWS = (
    Row(
        type="prometheus",
        secret_keys=_LOGIN,
        make=lambda source, tools: Prometheus(source, tools.http, tools.groups),
    ),
    Row(type="scrape", make=_Scraped),
    Row(
        type="datadog",
        secret_keys=("datadog_api_key", "datadog_application_key", *_TLS),
        apis=("v1", "v2"),
        make=lambda source, tools: Datadog(source, tools.http),
    ),
    Row(
        type="newrelic",
        secret_keys=("newrelic_account_id", "newrelic_api_key", "newrelic_query_key", *_TLS),
        make=_over_http(NEWRELIC),
    ),
    Row(
        type="cloudwatch",
        secret_keys=("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
        make=lambda source, tools: CloudWatch(source, tools.aws),
    ),
    Row(type="graphite", secret_keys=_LOGIN, make=_over_http(GRAPHITE)),
    Row(
        type="influxdb",
        secret_keys=("token", "org", "username", "password", *_TLS),
        apis=("flux", "influxql", "sql"),
        make=_influxdb,
    ),
    Row(
        type="stackdriver",
        secret_keys=("project", "serviceAccountKey"),
        apis=("mql", "promql"),
        make=lambda source, tools: Stackdriver(source, tools.google),
    ),
    Row(type="dynatrace", secret_keys=("dynatrace_token", *_TLS), make=_over_http(DYNATRACE)),
    Row(
        type="splunk",
        secret_keys=("sf_token_key", *_TLS),
        make=lambda source, tools: Splunk(source, tools.http),
    ),
    Row(type="keptn", make=lambda source, tools: Keptn(source, tools.cluster, tools.clock)),
    Row(
        type="externalmetrics",
        secret_keys=("token", *_TLS),
        make=lambda source, tools: ExternalMetrics(source, tools.http, tools.cluster),
    ),
    Row(
        type="http",
        secret_keys=_LOGIN,
        make=lambda source, tools: business.over_http(source, tools.http),
    ),
)
PROVIDERS: Mapping[str, Row] = {row.type: row for row in _ROWS}


class _Absent:
    """A source that cannot be: its answer says what can."""

    def __init__(self, why: str) -> None:
        self._answer = Unreachable(key="", why=why)

    async def value(self, question: Question) -> Reading:
        return self._answer

    async def probe(self, at: float) -> Reading:
        return self._answer


def provider_of(source: Source, tools: Tools) -> Provider:
    """The provider for a source. Whatever it answers, no credential is in it."""
    kind, api = source.provider.type, source.provider.api
    row = PROVIDERS.get(kind)
    if row is None:
        have = ", ".join(PROVIDERS)
        return _Absent(f"provider type {kind} is not available yet; available: {have}")
    if api and api not in row.apis:
        have = ", ".join(row.apis) or "none to choose from"
        return _Absent(f"provider {kind} has no api {api!r}; it has: {have}")
    return Discreet(row.make(source, tools), source)
