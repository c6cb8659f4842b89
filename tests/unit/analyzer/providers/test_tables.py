"""Tables of a Prometheus: a grid of windows, filled by what each query has."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.analyzer.doubles import FakeHttp, Reply, reply, toolbox
from tests.unit.analyzer.providers.recorded import AT

from serinus.analyzer.core.rollout import NoData, Reading, Table, Unreachable
from serinus.analyzer.providers.catalog import provider_of
from serinus.analyzer.providers.source import Question, Source
from serinus.events.canary import MetricProvider
from serinus.runtime.http import HttpRequest, Unanswered

SOURCE = Source(provider=MetricProvider(type="prometheus", address="http://prom"))
ASKED = Question(
    query="", at=AT, window_s=60.0, columns={"canary:all": "a", "canary:*": "b"}, since=AT - 190
)


async def ask(script: Any, question: Question = ASKED) -> tuple[Reading, FakeHttp]:
    http = FakeHttp(script)
    return await provider_of(SOURCE, toolbox(http)).value(question), http


def matrix(*series: dict[str, Any]) -> Reply:
    data = {"resultType": "matrix", "result": series}
    return reply(200, json.dumps({"status": "success", "data": data}))


def script(request: HttpRequest) -> Reply:
    query = parse_qs(urlsplit(request.url).query)["query"]
    if query == ["a"]:
        return matrix({"metric": {}, "values": [[AT - 120, "1.5"], [AT, "3"]]})
    return matrix(
        {"metric": {"le": "0.1"}, "values": [[AT - 60, "7"]]},
        {"metric": {"le": "+Inf"}, "values": [[AT - 60, "9"]]},
    )


async def test_columns_share_the_grid_of_whole_windows() -> None:
    found, http = await ask(script)

    assert found == Table(
        key="",
        columns={
            "canary:all": (1.5, None, 3.0),
            "canary:0.1": (None, 7.0, None),
            "canary:+Inf": (None, 9.0, None),
        },
    )
    sent = parse_qs(urlsplit(http.sent[0].url).query)
    assert float(sent["start"][0]) == AT - 120
    assert float(sent["end"][0]) == AT
    assert sent["step"] == ["60"]


async def test_a_query_that_finds_nothing_is_an_empty_column() -> None:
    found, _ = await ask(lambda request: matrix())

    assert found == Table(key="", columns={"canary:all": (None, None, None)})


async def test_before_the_first_window_is_over_there_is_no_data() -> None:
    found, http = await ask(script, msgspec.structs.replace(ASKED, since=AT - 59))

    assert isinstance(found, NoData)
    assert http.sent == []


async def test_a_table_is_bounded() -> None:
    _, http = await ask(script, msgspec.structs.replace(ASKED, since=0.0))
    sent = parse_qs(urlsplit(http.sent[0].url).query)
    assert float(sent["end"][0]) - float(sent["start"][0]) == 499 * 60

    many = [{"metric": {"le": str(i)}, "values": []} for i in range(300)]
    found, _ = await ask(lambda request: matrix(*many))
    assert isinstance(found, Unreachable)


async def test_what_goes_wrong_is_told_as_for_any_query() -> None:
    for answer, away in (
        (reply(500, "oops"), True),
        (reply(400, "typo"), False),
        (Unanswered("gone"), True),
        (reply(200, "<html>"), False),
        (reply(200, "[]"), False),
        (reply(200, '{"data":{"resultType":"vector","result":[]}}'), False),
    ):
        found, _ = await ask(lambda request, answer=answer: answer)
        assert isinstance(found, Unreachable)
        assert found.away == away


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(max_size=80)
    | st.lists(
        st.dictionaries(
            st.sampled_from(["metric", "values", "x"]),
            st.lists(
                st.lists(st.floats() | st.text(max_size=4) | st.none(), max_size=3), max_size=3
            )
            | st.dictionaries(st.just("le"), st.text(max_size=3), max_size=1)
            | st.none(),
            max_size=3,
        ),
        max_size=3,
    ).map(
        lambda found: json.dumps(
            {"status": "success", "data": {"resultType": "matrix", "result": found}}
        )
    )
)
def test_whatever_comes_back_is_an_outcome(text: str) -> None:
    found, _ = asyncio.run(ask(lambda request: reply(200, text)))

    assert isinstance(found, Table | NoData | Unreachable)
