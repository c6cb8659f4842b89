"""Datadog: the newest complete bucket, and the vendor's client on our own connections."""

import json
import sys
from subprocess import run
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.doubles import FakeHttp, reply
from tests.unit.analyzer.providers.recorded import AT, RECORDED, served

from serinus.analyzer.core.rollout import NoData, Unreachable, Value
from serinus.analyzer.providers.datadog import Datadog, newest

V1, V2 = [row for row in RECORDED if row.type == "datadog"]


@given(st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=10), st.integers(0, 59))
def test_the_newest_complete_point_is_taken(values: list[float | None], into_s: int) -> None:
    """BUG of Flagger (5.5): it takes the oldest; and the newest is still being filled."""
    points = [((AT + 60 * i) * 1000, value) for i, value in enumerate(values)]
    at = AT + 60 * (len(values) - 1) + into_s
    complete = [value for value in values[:-1] if value is not None]

    found = newest(points, 60, at)

    assert found == Value(key="", value=complete[-1]) if complete else isinstance(found, NoData)


async def test_without_an_address_it_is_the_vendors_own() -> None:
    http = FakeHttp(served(reply(200, V1.value)))

    await Datadog(V1.source(), http).value(V1.question())

    sent = http.sent[0]
    assert sent.url.startswith("https://api.datadoghq.com/api/v1/query?")
    assert sent.headers["DD-API-KEY"] == "s3cret-api"
    assert sent.headers["DD-APPLICATION-KEY"] == "s3cret-app"


async def test_a_query_survives_its_journey() -> None:
    query = "sum:errors{env:a b,service:ü}.as_count()/sum:hits{*}&x=%2F+1"
    http = FakeHttp(served(reply(200, V1.value)))

    await Datadog(V1.source(), http).value(msgspec.structs.replace(V1.question(), query=query))

    assert parse_qs(urlsplit(http.sent[0].url).query)["query"] == [query]


async def test_v2_takes_a_metric_query_or_formulas() -> None:
    http = FakeHttp(served(reply(200, V2.value)))
    formulas = {
        "queries": [
            {"data_source": "metrics", "name": "a", "query": "sum:errors{*}"},
            {"data_source": "metrics", "name": "b", "query": "sum:hits{*}"},
        ],
        "formulas": [{"formula": "a / b * 100"}],
    }
    for query in ("sum:errors{*}", json.dumps(formulas)):
        question = msgspec.structs.replace(V2.question(), query=query)
        assert await Datadog(V2.source(), http).value(question) == Value(key="", value=0.5)

    plain, given_ = (json.loads(r.body)["data"]["attributes"] for r in http.sent)
    assert [q["query"] for q in plain["queries"]] == ["sum:errors{*}"]
    assert [f["formula"] for f in given_["formulas"]] == ["a / b * 100"]
    assert plain["interval"] == 60_000


@pytest.mark.parametrize("query", ["{", "{}", '{"queries": 3}'])
async def test_formulas_that_are_none_are_told(query: str) -> None:
    http = FakeHttp(served(reply(200, V2.value)))
    question = msgspec.structs.replace(V2.question(), query=query)

    assert isinstance(await Datadog(V2.source(), http).value(question), Unreachable)
    assert http.sent == []


async def test_an_error_in_a_good_answer_is_told() -> None:
    body = json.dumps({"status": "error", "error": "Error parsing query"})
    http = FakeHttp(served(reply(200, body)))

    found = await Datadog(V1.source(), http).value(V1.question())

    assert found == Unreachable(key="", why="error response: Error parsing query")


def test_no_vendors_library_is_loaded_before_a_canary_needs_it() -> None:
    code = (
        "import sys, serinus.analyzer.app;"
        "print([m for m in ('datadog_api_client', 'botocore', 'google.auth', 'jsonpath')"
        " if m in sys.modules])"
    )
    loaded = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == "[]"
