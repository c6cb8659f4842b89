"""Prometheus: the request, and every kind of answer."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.doubles import reply

from serinus.analyzer.core.checks import NO_SERIES, NOT_A_NUMBER
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.prometheus import probe, probed, reading, request
from serinus.analyzer.providers.source import Misconfigured, Question, Source
from serinus.events.canary import MetricProvider
from serinus.runtime.http import HttpRequest


def asked(
    query: str = "up", credentials: Mapping[str, bytes] | None = None, **provider: Any
) -> HttpRequest:
    described = {"type": "prometheus", "address": "http://prometheus:9090", **provider}
    source = Source(provider=MetricProvider(**described), credentials=credentials or {})
    return request(source, Question(query=query, at=1.0, window_s=60.0))


def answered(kind: str, result: Any) -> Reading:
    body = {"status": "success", "data": {"resultType": kind, "result": result}}
    return reading(reply(200, msgspec.json.encode(body).decode()))


def series(value: str) -> dict[str, Any]:
    return {"metric": {"job": "x"}, "value": [1700000000.123, value]}


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_query_survives_its_journey(query: str) -> None:
    sent = parse_qs(urlsplit(asked(query).url).query, keep_blank_values=True)

    assert sent == {"query": [query]}


def test_it_is_an_instant_query_with_five_seconds_to_answer() -> None:
    sent = asked(address="https://mimir.test/prometheus/")

    assert sent.url == "https://mimir.test/prometheus/api/v1/query?query=up"
    assert (sent.method, sent.timeout_s, sent.verify_tls) == ("GET", 5.0, True)
    assert not asked(insecure_skip_verify=True).verify_tls


def test_a_token_goes_before_a_password() -> None:
    both = {"token": b"t0ken\n", "username": b"u", "password": b"p"}

    assert asked(credentials=both).headers == {"Authorization": "Bearer t0ken"}


def test_a_user_and_password_are_basic_authentication() -> None:
    sent = asked(credentials={"username": b"u", "password": b"p:w"})

    scheme, _, pair = sent.headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"u:p:w")


def test_headers_of_the_template_are_sent_and_not_piled_up() -> None:
    """BUG of Flagger (5.5): with a token, each query adds another Authorization header."""
    headers = {"X-Scope-OrgID": ("a", "b")}
    for _ in range(3):
        sent = asked(credentials={"token": b"t"}, headers=headers)

    assert sent.headers == {"X-Scope-OrgID": "a, b", "Authorization": "Bearer t"}
    assert headers == {"X-Scope-OrgID": ("a", "b")}


@pytest.mark.parametrize(
    "credentials", [{"username": b"u"}, {"password": b"p"}, {"other": b"x"}, {"token": b"\xff\xfe"}]
)
def test_half_a_secret_is_told_without_its_contents(credentials: dict[str, bytes]) -> None:
    with pytest.raises(Misconfigured, match="secret") as caught:
        asked(credentials=credentials)

    assert not any(v.decode("latin1") in str(caught.value).split() for v in credentials.values())


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(Misconfigured, match="prometheus:9090"):
        asked(address="prometheus:9090")


@pytest.mark.parametrize(("text", "number"), [("100", 100.0), ("1e-3", 0.001), ("98.694", 98.694)])
def test_one_series_is_a_value(text: str, number: float) -> None:
    assert answered("vector", [series(text)]) == Value(key="", value=number)


def test_a_scalar_is_a_value() -> None:
    assert answered("scalar", [1.0, "2.5"]) == Value(key="", value=2.5)


def test_infinity_is_a_value() -> None:
    assert answered("vector", [series("+Inf")]) == Value(key="", value=float("inf"))


def test_nothing_and_nan_are_no_data_with_their_cause() -> None:
    assert answered("vector", []) == NoData(key="", cause=NO_SERIES)
    assert answered("vector", [series("NaN")]) == NoData(key="", cause=NOT_A_NUMBER)


@pytest.mark.parametrize(
    ("kind", "result"),
    [("vector", [series("1"), series("2")]), ("matrix", [{"values": [[1, "1"]]}])],
)
def test_several_values_are_no_value(kind: str, result: Any) -> None:
    """BUG of Flagger (5.5): it takes the last of several series."""
    assert answered(kind, result) == Unreachable(key="", why="query returned multiple values")


@pytest.mark.parametrize(
    "body",
    ["", "<html>", "[]", '{"status":"success","data":{"resultType":"string","result":[1,"x"]}}'],
)
def test_what_is_no_number_is_unreachable(body: str) -> None:
    assert isinstance(reading(reply(200, body)), Unreachable)


def test_a_series_without_a_number_is_unreachable() -> None:
    assert isinstance(answered("vector", [series("many")]), Unreachable)
    assert isinstance(answered("vector", [{"value": 3}]), Unreachable)


def test_an_error_in_the_answer_is_told() -> None:
    body = '{"status":"error","errorType":"bad_data","error":"parse error"}'

    assert reading(reply(200, body)) == Unreachable(
        key="", why="error response: bad_data: parse error"
    )
    assert reading(reply(400, "bad")) == Unreachable(
        key="", why="error response: Status 400 Bad Request: bad"
    )


def test_online_means_that_one_is_one() -> None:
    source = Source(provider=MetricProvider(type="prometheus", address="http://p"))
    one = '{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]}]}}'

    assert probe(source, 1.0).url == "http://p/api/v1/query?query=vector%281%29"
    assert probed(reply(200, one)) == Value(key="", value=1.0)
    assert isinstance(probed(reply(200, one.replace('"1"', '"2"'))), Unreachable)
    assert isinstance(probed(reply(200, one.replace('{"value":[1,"1"]}', ""))), Unreachable)
    assert isinstance(probed(reply(503, "starting")), Unreachable)
