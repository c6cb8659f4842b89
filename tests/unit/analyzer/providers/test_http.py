"""Any JSON API: the request that is described, and the paths into the answer."""

import json
from typing import Any

import msgspec
import pytest
from tests.unit.analyzer.doubles import FakeHttp, reply, toolbox
from tests.unit.analyzer.providers.recorded import RECORDED, served

from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.catalog import provider_of
from serinus.analyzer.providers.http import request
from serinus.events.canary import HttpSource

(ROW,) = [row for row in RECORDED if row.type == "http"]


async def read(answer: Any, **described: str) -> Reading:
    source = ROW.source()
    provider = msgspec.structs.replace(source.provider, http=HttpSource(**described))
    source = msgspec.structs.replace(source, provider=provider)
    http = FakeHttp(served(reply(200, json.dumps(answer))))
    return await provider_of(source, toolbox(http)).value(ROW.question())


def test_the_query_is_the_path_behind_the_address() -> None:
    sent = request(ROW.source(), ROW.question())

    assert (sent.method, sent.url) == ("GET", "https://metrics.test/v1/orders?service=web")
    assert sent.headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("query", "url"),
    [
        ("", "https://metrics.test"),
        ("?a=b", "https://metrics.test?a=b"),
        ("v1", "https://metrics.test/v1"),
        ("/v1?q=a b\n", "https://metrics.test/v1?q=a%20b"),
        ("/v1?q=a%20b&r=ü", "https://metrics.test/v1?q=a%20b&r=%C3%BC"),
    ],
)
def test_what_a_url_cannot_hold_is_encoded_once(query: str, url: str) -> None:
    asked = msgspec.structs.replace(ROW.question(), query=query)

    assert request(ROW.source(), asked).url == url


def test_a_body_goes_with_a_post() -> None:
    source = ROW.source()
    described = HttpSource(method="POST", body="(rendered by the core)")
    provider = msgspec.structs.replace(source.provider, http=described)
    asked = msgspec.structs.replace(ROW.question(), body='{"service":"web"}')

    sent = request(msgspec.structs.replace(source, provider=provider), asked)

    assert (sent.method, sent.body) == ("POST", b'{"service":"web"}')
    assert sent.headers["Content-Type"] == "application/json"


async def test_paths_lead_to_the_value_and_to_its_samples() -> None:
    answer = {"data": [{"name": "p50", "ms": 20}, {"name": "p99", "ms": 480.5}], "n": 321}

    found = await read(answer, value="$.data[?@.name == 'p99'].ms", samples="$.n")

    assert found == Value(key="", value=480.5, samples=321.0)


async def test_nothing_at_the_path_is_no_data_that_names_it() -> None:
    found = await read({"rate": 1}, value="$.ratio")

    assert found == NoData(key="", cause="nothing at $.ratio in the answer")


async def test_two_values_at_the_path_are_no_answer() -> None:
    found = await read([1, 2], value="$[*]")

    assert found == Unreachable(key="", why="query returned multiple values")


@pytest.mark.parametrize(
    ("status", "there"), [(200, True), (404, True), (401, False), (503, False)]
)
async def test_it_is_online_when_somebody_is_there(status: int, there: bool) -> None:
    http = FakeHttp(served(reply(status, "")))

    found = await provider_of(ROW.source(), toolbox(http)).probe(1.0)

    assert isinstance(found, Value) == there


async def test_a_path_that_is_none_is_told() -> None:
    found = await read({}, value="$..[")

    assert isinstance(found, Unreachable)
    assert found.why.startswith("$..[ is no JSONPath")


async def test_a_path_that_would_never_end_is_told() -> None:
    found = await read({}, value="$" + "[0,0]" * 400)

    assert isinstance(found, Unreachable)
    assert "is not followed: it is longer than" in found.why
