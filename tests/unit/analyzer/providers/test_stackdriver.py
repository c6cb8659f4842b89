"""Google Cloud Monitoring: tokens, and both languages."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from tests.unit.analyzer.doubles import FakeHttp, in_turn, reply, toolbox
from tests.unit.analyzer.providers.recorded import RECORDED, TOKEN_URI, served

from serinus.analyzer.core.rollout import Unreachable, Value
from serinus.analyzer.providers.catalog import provider_of
from serinus.analyzer.providers.stackdriver import reading

MQL, PROMQL = [row for row in RECORDED if row.type == "stackdriver"]


async def test_a_token_is_fetched_once_and_kept() -> None:
    http = FakeHttp(served(reply(200, MQL.value)))
    tools = toolbox(http)
    for _ in range(3):
        assert isinstance(await provider_of(MQL.source(), tools).value(MQL.question()), Value)

    assert [r.url == TOKEN_URI for r in http.sent] == [True, False, False, False]
    assert http.sent[1].url == "https://monitoring.googleapis.com/v3/projects/shop/timeSeries:query"
    assert json.loads(http.sent[1].body) == {"query": MQL.query}
    assert http.sent[1].headers["Authorization"] == "Bearer s3cret-bearer"


async def test_promql_is_asked_of_googles_prometheus() -> None:
    query = 'sum(rate(x{a="b c"}[1m])) + 1'
    http = FakeHttp(served(reply(200, PROMQL.value)))
    asked = msgspec.structs.replace(PROMQL.question(), query=query)

    await provider_of(PROMQL.source(), toolbox(http)).value(asked)

    parts = urlsplit(http.sent[1].url)
    assert parts.path == "/v1/projects/shop/location/global/prometheus/api/v1/query"
    assert parse_qs(parts.query) == {"query": [query]}


def test_integers_are_read() -> None:
    """BUG of Flagger (5.5): it reads them as 0."""
    assert reading(reply(200, MQL.value)) == Value(key="", value=12.0)


async def test_a_key_that_is_none_is_told() -> None:
    source = MQL.source()
    broken = {**source.credentials, "serviceAccountKey": b"{}"}
    http = FakeHttp(in_turn(reply(200)))
    provider = provider_of(msgspec.structs.replace(source, credentials=broken), toolbox(http))

    found = await provider.value(MQL.question())

    assert found == Unreachable(
        key="", why="the secret's serviceAccountKey is no key of a service account"
    )
    assert http.sent == []


async def test_a_refused_account_is_told() -> None:
    refusal = json.dumps({"error": "invalid_grant", "error_description": "account disabled"})
    http = FakeHttp(in_turn(reply(400, refusal)))

    found = await provider_of(MQL.source(), toolbox(http)).value(MQL.question())

    assert isinstance(found, Unreachable)
    assert "Google refuses the credentials" in found.why
    assert found.away


async def test_only_the_pods_own_credentials_are_looked_for_on_its_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key names the address of its tokens, and is an author's."""

    class Found:
        token, valid = "", False

        def refresh(self, request: Any) -> None:
            answer = request("http://metadata.test/token", method="GET")
            self.token, self.valid = json.loads(answer.data)["access_token"], True

    monkeypatch.setattr("google.auth.default", lambda **_: (Found(), "shop"))
    http = FakeHttp(in_turn(reply(200, '{"access_token": "t"}'), reply(200, MQL.value)))
    own = msgspec.structs.replace(MQL.source(), credentials={})

    assert isinstance(await provider_of(own, toolbox(http)).value(MQL.question()), Value)
    assert [sent.for_own_credentials for sent in http.sent] == [True, False]

    http = FakeHttp(served(reply(200, MQL.value)))
    await provider_of(MQL.source(), toolbox(http)).value(MQL.question())
    assert [sent.for_own_credentials for sent in http.sent] == [False, False]
