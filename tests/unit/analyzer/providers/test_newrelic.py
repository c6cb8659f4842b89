"""New Relic: NRQL over either of its APIs."""

import json
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.doubles import reply
from tests.unit.analyzer.providers.recorded import RECORDED

from serinus.analyzer.core.rollout import NoData, Unreachable, Value
from serinus.analyzer.providers.newrelic import reading, request
from serinus.analyzer.providers.source import Misconfigured

INSIGHTS, NERDGRAPH = [row for row in RECORDED if row.type == "newrelic"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1))
def test_a_query_survives_its_journey(query: str) -> None:
    asked = msgspec.structs.replace(INSIGHTS.question(), query=query)
    over_insights = request(INSIGHTS.source(), asked)
    over_nerdgraph = request(NERDGRAPH.source(), asked)
    whole = f"{query} SINCE 60 seconds ago"

    assert parse_qs(urlsplit(over_insights.url).query)["nrql"] == [whole]
    assert json.loads(over_nerdgraph.body)["variables"] == {"account": 12345, "nrql": whole}


def test_the_secret_decides_which_api_is_asked() -> None:
    asked = INSIGHTS.question()
    old, new = request(INSIGHTS.source(), asked), request(NERDGRAPH.source(), asked)

    assert old.url.startswith("https://insights-api.newrelic.com/v1/accounts/12345/query?nrql=")
    assert old.headers == {"X-Query-Key": "s3cret-query"}
    assert (new.method, new.url) == ("POST", "https://api.newrelic.com/graphql")
    assert new.headers["API-Key"] == "s3cret-user"


def test_an_account_is_a_number() -> None:
    with pytest.raises(Misconfigured, match="newrelic_account_id is no number"):
        request(INSIGHTS.source(newrelic_account_id="shop"), INSIGHTS.question())


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"count": 12}, Value(key="", value=12.0)),
        ({"beginTimeSeconds": 1, "endTimeSeconds": 2, "average": 0.5}, Value(key="", value=0.5)),
        ({"a": 1, "b": 2}, Unreachable(key="", why="query returned multiple values")),
        ({"average": None}, NoData(key="", cause="the answer holds no series")),
    ],
)
def test_the_column_of_a_result_has_the_name_of_its_function(row: object, expected: object) -> None:
    body = {"data": {"actor": {"account": {"nrql": {"results": [row]}}}}}

    assert reading(reply(200, json.dumps(body))) == expected


def test_an_error_of_nerdgraph_is_told() -> None:
    body = json.dumps({"data": None, "errors": [{"message": "NRQL Syntax Error"}]})

    assert reading(reply(200, body)) == Unreachable(key="", why="error response: NRQL Syntax Error")
