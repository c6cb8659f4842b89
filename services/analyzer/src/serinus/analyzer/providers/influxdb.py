"""InfluxDB: Flux (2.x), InfluxQL (1.x, and 2.x with a mapping) and SQL (3.x) by `provider.api`.

Secret keys: `token`, and `org` for Flux; `username` and `password` for 1.x; `ca.crt`, `tls.crt`,
`tls.key`. The database is part of the address: `http://influxdb:8086?db=telegraf`.
APIs: docs.influxdata.com, "/api/v2/query", "/query" and "/api/v3/query_sql".
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Halves,
    Misread,
    Question,
    Refused,
    Source,
    address,
    basic,
    credential,
    document,
    first_line,
    get,
    number,
    numeric,
    online,
    post,
    reads,
    refusal,
)
from serinus.runtime.http import HttpRequest, HttpResponse

_NUMBERS = ("double", "long", "unsignedLong")


def _authorization(source: Source) -> Mapping[str, str]:
    if "username" in source.credentials:
        return {"Authorization": basic(source)}
    if not source.credentials:
        return {}
    return {"Authorization": f"Token {credential(source, 'token')[0]}"}


def _place(source: Source) -> tuple[str, list[tuple[str, str]]]:
    """The address, and the query parameters that were written behind it."""
    base, _, given = address(source).partition("?")
    return base.rstrip("/"), parse_qsl(given)


# --- Flux ---------------------------------------------------------------------------------------


def flux_request(source: Source, question: Question) -> HttpRequest:
    """The script as it is; its range is the query's own."""
    base, given = _place(source)
    if source.credentials and "username" not in source.credentials:
        given += [("org", credential(source, "token", "org")[1])]
    headers = {
        **_authorization(source),
        "Accept": "application/csv",
        "Content-Type": "application/vnd.flux",
    }
    url = f"{base}/api/v2/query" + (f"?{urlencode(given)}" if given else "")
    return post(source, url, question.query.encode(), headers)


@reads
def flux_reading(answer: HttpResponse) -> Reading:
    """The `_value` of the one record. Flagger takes no record for 0, and cannot read integers."""
    if (refused := refusal(answer)) is not None:
        raise Refused(refused)
    records = _records(answer.text)
    if not records:
        return NoData(key="", cause=NO_SERIES)
    if len(records) > 1:
        return Unreachable(key="", why=MULTIPLE)
    if "error" in records[0]:
        return Unreachable(key="", why=f"error response: {records[0]['error']}")
    if "_value" not in records[0]:
        raise Misread("the record holds no _value")
    text = records[0]["_value"]
    return numeric(text) if text else NoData(key="", cause=NO_SERIES)


def _records(text: str) -> list[dict[str, str]]:
    """The records of all tables; each table has a header of its own, behind an empty line."""
    found: list[dict[str, str]] = []
    header: list[str] = []
    try:
        for row in csv.reader(text.splitlines()):
            if not any(row):
                header = []
            elif row[0].startswith("#"):
                continue
            elif not header:
                header = row
                if not {"_value", "result", "error"} & set(header):
                    raise Misread(f"the answer is not CSV of InfluxDB: {first_line(text)}")
            else:
                found.append(dict(zip(header, row, strict=False)))
    except csv.Error:
        raise Misread(f"the answer is not CSV of InfluxDB: {first_line(text)}") from None
    if text.strip() and not found and not header:
        raise Misread(f"the answer is not CSV of InfluxDB: {first_line(text)}")
    return found


def flux_probe(source: Source, at: float) -> HttpRequest:
    """Lists the buckets: something that needs credentials and no data."""
    return flux_request(source, Question(query="buckets() |> limit(n: 1)", at=at, window_s=60.0))


# --- InfluxQL -----------------------------------------------------------------------------------


def influxql_request(source: Source, question: Question) -> HttpRequest:
    """The statement; `$__window` is not needed: `{{ interval }}` is a duration of InfluxQL too."""
    base, given = _place(source)
    words = urlencode([*given, ("q", question.query), ("epoch", "s")])
    return get(source, f"{base}/query?{words}", _authorization(source))


@reads
def influxql_reading(answer: HttpResponse) -> Reading:
    """The one value beside `time` in the one row of the one series."""
    results = document(answer)["results"]
    for result in results:
        if "error" in result:
            return Unreachable(key="", why=f"error response: {result['error']}")
    series = [one for result in results for one in result.get("series") or ()]
    rows = [dict(zip(one["columns"], row, strict=True)) for one in series for row in one["values"]]
    return _one(rows)


def influxql_probe(source: Source, at: float) -> HttpRequest:
    return influxql_request(source, Question(query="SHOW DATABASES", at=at, window_s=60.0))


# --- SQL ----------------------------------------------------------------------------------------


def sql_request(source: Source, question: Question) -> HttpRequest:
    base, given = _place(source)
    body = {**dict(given), "q": question.query, "format": "json"}
    headers = {}
    if source.credentials:
        headers["Authorization"] = f"Bearer {credential(source, 'token')[0]}"
    return post(source, f"{base}/api/v3/query_sql", body, headers)


@reads
def sql_reading(answer: HttpResponse) -> Reading:
    """The one value beside `time` in the one row."""
    return _one(list(document(answer)))


def sql_probe(source: Source, at: float) -> HttpRequest:
    return sql_request(source, Question(query="SELECT 1", at=at, window_s=60.0))


def _one(rows: list[dict[str, Any]]) -> Reading:
    if not rows:
        return NoData(key="", cause=NO_SERIES)
    values = [value for name, value in rows[0].items() if name != "time"]
    if len(rows) > 1 or len(values) > 1:
        return Unreachable(key="", why=MULTIPLE)
    if not values:
        raise Misread("the row holds nothing beside the time")
    return number(values[0])


FLUX = Halves(request=flux_request, reading=flux_reading, probe=flux_probe, probed=online)
INFLUXQL = Halves(
    request=influxql_request, reading=influxql_reading, probe=influxql_probe, probed=online
)
SQL = Halves(request=sql_request, reading=sql_reading, probe=sql_probe, probed=online)
