"""What every metrics source must obey (one law a test, over all rows of the catalog)."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.analyzer.doubles import FakeHttp, Reply, reply, toolbox
from tests.unit.analyzer.providers.recorded import RECORDED, Recorded, served

from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.catalog import PROVIDERS, provider_of
from serinus.analyzer.providers.source import Source
from serinus.runtime.http import Unanswered

every_row = pytest.mark.parametrize("row", RECORDED, ids=lambda row: row.name)

# Scraping has no query, no credentials and answers of its own kind; tests/unit says all about it.
APART = {"scrape"}


async def ask(row: Recorded, answer: Reply, source: Source | None = None) -> tuple[Reading, str]:
    """The reading, and everything that was sent as one text."""
    http = FakeHttp(served(answer))
    found = await provider_of(source or row.source(), toolbox(http)).value(row.question())
    sent = [f"{r.url} {r.body.decode()} {dict(r.headers)}" for r in http.sent]
    return found, "\n".join([*sent, *http.said])


def test_every_row_and_every_api_has_recorded_answers() -> None:
    have = {row.type for row in RECORDED} | APART
    assert have == set(PROVIDERS)
    for row in PROVIDERS.values():
        named = {r.api or row.apis[0] for r in RECORDED if r.type == row.type and row.apis}
        assert named == set(row.apis)


@every_row
def test_every_recording_names_the_document_that_it_is_from(row: Recorded) -> None:
    host = row.document.split(",")[0].split("/")[0]
    assert "." in host or host == "kubernetes"
    assert len(row.document) > len(host) + 2


@every_row
async def test_a_value_is_read(row: Recorded) -> None:
    found, _ = await ask(row, reply(200, row.value))

    assert isinstance(found, Value), found
    assert found.value == row.number


@every_row
async def test_no_data_is_said_and_is_no_number(row: Recorded) -> None:
    found, _ = await ask(row, reply(200, row.no_data))

    assert isinstance(found, NoData), found
    assert found.cause


@every_row
async def test_several_values_are_no_answer(row: Recorded) -> None:
    if row.several:
        found, _ = await ask(row, reply(200, row.several))

        assert isinstance(found, Unreachable)
        assert found.why == "query returned multiple values"
        assert not found.away


@every_row
@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_refused_question_is_told_with_the_servers_words(
    row: Recorded, status: int
) -> None:
    found, _ = await ask(row, reply(status, "parse error at char 3"))

    assert isinstance(found, Unreachable)
    assert "parse error at char 3" in found.why or row.type == "splunk"
    assert not found.away or row.type == "splunk"


@every_row
@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503])
async def test_a_source_that_is_away_says_so(row: Recorded, status: int) -> None:
    found, _ = await ask(row, reply(status, "sorry"))

    assert isinstance(found, Unreachable), found
    assert found.away
    assert found.why


@every_row
async def test_no_answer_in_time_is_away(row: Recorded) -> None:
    found, _ = await ask(row, Unanswered("GET https://metrics.test: no answer within 5 s"))

    assert isinstance(found, Unreachable)
    assert found.away
    assert "no answer within 5 s" in found.why


@every_row
async def test_every_request_is_bounded_in_time(row: Recorded) -> None:
    http = FakeHttp(served(reply(200, row.value)))
    provider = provider_of(row.source(), toolbox(http))
    await provider.value(row.question())
    await provider.probe(row.question().at)

    assert all(0 < request.timeout_s <= 5.0 for request in http.sent)


@every_row
async def test_a_malformed_answer_is_an_answer(row: Recorded) -> None:
    for text in row.malformed:
        found, _ = await ask(row, reply(200, text))

        assert isinstance(found, NoData | Unreachable), text
        assert isinstance(found, Unreachable) or text in ("[]", "{}", "null", '"x"'), text


@every_row
async def test_a_secret_that_is_half_there_says_what_is_missing(row: Recorded) -> None:
    for key in row.required:
        found, sent = await ask(row, reply(200, row.value), row.source(key, unrelated="x"))

        assert isinstance(found, Unreachable), key
        assert key in found.why
        assert "metrics.test" not in sent


@every_row
async def test_credentials_that_are_no_text_are_told(row: Recorded) -> None:
    for key in row.required:
        source = row.source(**{key: "line\nbreak"})
        found, _ = await ask(row, reply(200, row.value), source)

        assert isinstance(found, Unreachable), key


@every_row
async def test_no_secret_is_in_any_text(row: Recorded) -> None:
    """The worst server: it quotes all that it was sent, headers included."""
    for status in (200, 400, 403, 500):
        http = FakeHttp(served(reply(200, row.value)))
        await provider_of(row.source(), toolbox(http)).value(row.question())
        echo = " ".join([str(dict(r.headers)) for r in http.sent] + http.said)
        for answer in (reply(status, echo), Unanswered(f"GET {echo}")):
            found, _ = await ask(row, answer)

            assert not isinstance(found, Value)
            assert "s3cret" not in str(found)


@every_row
async def test_the_window_comes_from_the_question(row: Recorded) -> None:
    _, sent = await ask(row, reply(200, row.value))

    for text in row.times:
        assert text in sent


@every_row
async def test_online_is_a_value_and_away_is_not(row: Recorded) -> None:
    http = FakeHttp(served(reply(200, row.probe or row.value)))
    found = await provider_of(row.source(), toolbox(http)).probe(row.question().at)
    assert isinstance(found, Value)

    http = FakeHttp(served(Unanswered("GET https://metrics.test: cannot connect")))
    found = await provider_of(row.source(), toolbox(http)).probe(row.question().at)
    assert isinstance(found, Unreachable) or row.type == "keptn"


@every_row
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(max_size=200), status=st.sampled_from([200, 200, 200, 301, 400, 500]))
def test_whatever_comes_back_is_an_outcome(row: Recorded, text: str, status: int) -> None:
    """No answer of a server crashes the analyzer."""
    found, _ = asyncio.run(ask(row, reply(status, text)))

    assert isinstance(found, Value | NoData | Unreachable)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "result",
                    "results",
                    "status",
                    "value",
                    "series",
                    "items",
                    "values",
                    "rate",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@every_row
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=json_values)
def test_whatever_json_comes_back_is_an_outcome(row: Recorded, document: object) -> None:
    import json

    found, _ = asyncio.run(ask(row, reply(200, json.dumps(document))))

    assert isinstance(found, Value | NoData | Unreachable)
