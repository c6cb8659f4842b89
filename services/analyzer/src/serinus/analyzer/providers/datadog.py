"""Datadog, by its own client: a metric query over v1, or formulas over v2 (reference 5.5).

Secret keys: `datadog_api_key` and `datadog_application_key`. With `api: v2` the query is a metric
query too, or JSON with `queries` and `formulas` as in the documents of /api/v2/query/timeseries.
The client is imported by the first canary that needs it, and speaks through our own connections.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any
from urllib.parse import urlencode

import msgspec

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Misconfigured,
    Question,
    Refused,
    Source,
    address,
    credential,
    get,
    number,
    refusal,
    told,
)
from serinus.runtime.http import Http, HttpResponse

API = "https://api.datadoghq.com"


class Datadog:
    """One Datadog organisation."""

    def __init__(self, source: Source, http: Http) -> None:
        self._source = source
        self._http = http

    async def value(self, question: Question) -> Reading:
        ask = self._v2 if self._source.provider.api == "v2" else self._v1
        return await told(ask(question))

    async def probe(self, at: float) -> Reading:
        return await told(self._probe())

    async def _v1(self, question: Question) -> Reading:
        from datadog_api_client.v1.api.metrics_api import MetricsApi

        begin, end = int(question.begin), int(question.at)
        api: Any = MetricsApi(await self._client())
        found = await api.query_metrics(begin, end, question.query)
        if found.get("status") == "error":
            return Unreachable(key="", why=f"error response: {found.get('error')}")
        series = list(found.get("series") or ())
        if len(series) > 1:
            return Unreachable(key="", why=MULTIPLE)
        if not series:
            return NoData(key="", cause=NO_SERIES)
        points = [tuple(point.value) for point in series[0].pointlist]
        return newest(points, series[0].get("interval") or 0, question.at)

    async def _v2(self, question: Question) -> Reading:
        from datadog_api_client.v2.api.metrics_api import MetricsApi

        body = await asyncio.to_thread(_body, question)
        api: Any = MetricsApi(await self._client())
        found = await api.query_timeseries_data(body=body)
        if found.get("errors"):
            return Unreachable(key="", why=f"error response: {found['errors']}")
        attributes = found.data.attributes
        columns = _plain(attributes.get("values")) or []
        if len(columns) > 1:
            return Unreachable(key="", why=MULTIPLE)
        if not columns:
            return NoData(key="", cause=NO_SERIES)
        points = list(zip(_plain(attributes.times), _plain(columns[0]), strict=True))
        return newest(points, question.window_s, question.at)

    async def _probe(self) -> Reading:
        from datadog_api_client.v1.api.authentication_api import AuthenticationApi

        api: Any = AuthenticationApi(await self._client())
        await api.validate()
        return Value(key="", value=1.0)

    async def _client(self) -> Any:
        api_key, app_key = credential(self._source, "datadog_api_key", "datadog_application_key")
        make = await asyncio.to_thread(_client_class)
        keys = {"apiKeyAuth": api_key, "appKeyAuth": app_key}
        return make(address(self._source, API), keys, _Wire(self._source, self._http))


def newest(points: list[tuple[Any, Any]], bucket_s: float, at: float) -> Reading:
    """The newest complete point: (milliseconds, value).

    Flagger takes the oldest. The bucket that `at` lies in is still being filled, and sums of it
    are too small; a null is no value.
    """
    for begin_ms, value in reversed(points):
        if value is not None and begin_ms / 1000 + bucket_s <= at:
            return number(value)
    return NoData(key="", cause="no complete bucket with a value yet" if points else NO_SERIES)


def _plain(model: Any) -> Any:
    """The list within one of the client's list models."""
    return getattr(model, "value", model)


def _body(question: Question) -> Any:
    """The request of v2; buckets are as long as the window."""
    from datadog_api_client.v2.model.timeseries_formula_query_request import (
        TimeseriesFormulaQueryRequest,
    )
    from datadog_api_client.v2.model.timeseries_formula_request import TimeseriesFormulaRequest
    from datadog_api_client.v2.model.timeseries_formula_request_attributes import (
        TimeseriesFormulaRequestAttributes,
    )
    from datadog_api_client.v2.model.timeseries_formula_request_type import (
        TimeseriesFormulaRequestType,
    )

    query = question.query.strip()
    asked: Any = {"queries": [{"data_source": "metrics", "name": "query", "query": query}]}
    if query.startswith("{"):
        try:
            asked = msgspec.json.decode(query)
        except msgspec.DecodeError as error:
            raise Misconfigured(f"the query is not JSON: {error}") from None
        if not isinstance(asked.get("queries"), list):
            raise Misconfigured("the query holds no list of queries")
    formulas = asked.get("formulas") or [{"formula": asked["queries"][0]["name"]}]
    attributes = TimeseriesFormulaRequestAttributes(
        _from=int(question.begin * 1000),
        to=int(question.at * 1000),
        interval=int(question.window_s * 1000),
        queries=asked["queries"],
        formulas=formulas,
    )
    kind = TimeseriesFormulaRequestType.TIMESERIES_REQUEST
    data = TimeseriesFormulaRequest(type=kind, attributes=attributes)
    return TimeseriesFormulaQueryRequest(data=data)


@cache
def _client_class() -> Any:
    """The vendor's client on our transport; importing it takes half a second."""
    from datadog_api_client import Configuration
    from datadog_api_client.api_client import AsyncApiClient

    class Client(AsyncApiClient):
        def __init__(self, host: str, keys: dict[str, str], wire: _Wire) -> None:
            self._wire = wire
            super().__init__(Configuration(host=host, api_key=keys))

        def _build_rest_client(self) -> _Wire:
            return self._wire

    return Client


class _Wire:
    """What the client takes for its HTTP library."""

    def __init__(self, source: Source, http: Http) -> None:
        self._source = source
        self._http = http

    async def request(
        self,
        method: str,
        url: str,
        query_params: list[tuple[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
        **_: Any,
    ) -> _Answer:
        """Sends; an answer that is an error is raised as Refused."""
        url = f"{url}?{urlencode(query_params)}" if query_params else url
        raw = b"" if body is None else msgspec.json.encode(body)
        made = get(self._source, url, headers)
        answer = await self._http.send(msgspec.structs.replace(made, method=method, body=raw))
        if (refused := refusal(answer)) is not None:
            raise Refused(refused)
        return _Answer(answer)


class _Answer:
    """An answer as the client wants to read it."""

    def __init__(self, answer: HttpResponse) -> None:
        self.status_code = answer.status
        self.headers = answer.headers
        self._text = answer.text

    async def text(self) -> str:
        return self._text
