"""InfluxDB in its three languages."""

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.doubles import reply
from tests.unit.analyzer.providers.recorded import RECORDED

from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.influxdb import (
    flux_reading,
    flux_request,
    influxql_reading,
    influxql_request,
    sql_request,
)
from serinus.runtime.http import HttpResponse

FLUX, INFLUXQL, SQL = [row for row in RECORDED if row.type == "influxdb"]
ANNOTATED = (
    "#datatype,string,long,dateTime:RFC3339,long\r\n"
    "#group,false,false,false,false\r\n"
    "#default,_result,,,\r\n"
    ",result,table,_time,_value\r\n"
    ",,0,2026-01-01T00:00:00Z,7\r\n\r\n"
)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_query_survives_its_journey(query: str) -> None:
    asked = msgspec.structs.replace(FLUX.question(), query=query)
    influxql = urlsplit(influxql_request(INFLUXQL.source(), asked).url)

    assert flux_request(FLUX.source(), asked).body.decode() == query
    assert parse_qs(influxql.query)["q"] == [query]
    assert json.loads(sql_request(SQL.source(), asked).body)["q"] == query


def test_each_language_has_its_place() -> None:
    asked = FLUX.question()

    assert flux_request(FLUX.source(), asked).url == "https://metrics.test/api/v2/query?org=shop"
    assert influxql_request(INFLUXQL.source(), asked).url == (
        "https://metrics.test/query?db=telegraf&q=q&epoch=s"
    )
    sql = sql_request(SQL.source(), asked)
    assert sql.url == "https://metrics.test/api/v3/query_sql"
    assert json.loads(sql.body) == {"db": "telegraf", "q": "q", "format": "json"}
    assert sql.headers["Authorization"] == "Bearer s3cret-influx"
    assert flux_request(FLUX.source(), asked).headers["Authorization"] == "Token s3cret-influx"


def test_integers_are_numbers_too() -> None:
    """BUG of Flagger (5.5): it calls them an invalid response."""
    assert flux_reading(reply(200, ANNOTATED)) == Value(key="", value=7.0)


def test_no_record_is_no_data() -> None:
    """BUG of Flagger (5.5): it takes no record for 0."""
    assert isinstance(flux_reading(reply(200, "\r\n")), NoData)
    assert isinstance(flux_reading(reply(200, ANNOTATED.replace(",7", ","))), NoData)


def test_records_of_two_tables_are_several_values() -> None:
    assert flux_reading(reply(200, ANNOTATED * 2)) == Unreachable(
        key="", why="query returned multiple values"
    )


@pytest.mark.parametrize("read", [flux_reading, influxql_reading])
def test_an_error_within_a_good_answer_is_told(read: Callable[[HttpResponse], Reading]) -> None:
    csv = "error,reference\r\nbucket not found,897\r\n"
    body = csv if read is flux_reading else '{"results":[{"error":"database not found"}]}'

    found = read(reply(200, body))

    assert isinstance(found, Unreachable)
    assert "not found" in found.why
