"""A provider of two halves: what goes wrong on the wire is an answer."""

import pytest
from tests.unit.analyzer.doubles import FakeHttp, in_turn, reply

from serinus.analyzer.core.rollout import Reading, Unreachable, Value
from serinus.analyzer.providers.source import (
    Halves,
    Misconfigured,
    OverHttp,
    Question,
    Source,
    refusal,
    status_text,
)
from serinus.events.canary import MetricProvider
from serinus.runtime.http import HttpRequest, HttpResponse, Unanswered

pytestmark = pytest.mark.looptime

SOURCE = Source(provider=MetricProvider(type="prometheus", address="http://p"))
ASKED = Question(query="q", at=1.0, window_s=60.0)


def length(answer: HttpResponse) -> Reading:
    return Value(key="", value=float(len(answer.body)))


def halves(request: HttpRequest | Exception) -> Halves:
    def make(*_: object) -> HttpRequest:
        if isinstance(request, Exception):
            raise request
        return request

    return Halves(request=make, reading=length, probe=make, probed=length)


async def test_the_answer_is_read_by_the_second_half() -> None:
    http = FakeHttp(in_turn(reply(200, "four")))
    provider = OverHttp(halves(HttpRequest(url="http://p/q")), SOURCE, http)

    assert await provider.value(ASKED) == Value(key="", value=4.0)
    assert await provider.probe(1.0) == Value(key="", value=4.0)


async def test_no_answer_is_unreachable_with_its_reason() -> None:
    http = FakeHttp(in_turn(Unanswered("GET http://p: cannot connect: Connection refused")))
    provider = OverHttp(halves(HttpRequest(url="http://p/q")), SOURCE, http)

    assert await provider.value(ASKED) == Unreachable(
        key="", why="request failed: GET http://p: cannot connect: Connection refused", away=True
    )


async def test_a_source_that_cannot_be_asked_says_what_is_missing() -> None:
    http = FakeHttp(in_turn(reply(200)))
    provider = OverHttp(halves(Misconfigured("address is missing")), SOURCE, http)

    assert await provider.value(ASKED) == Unreachable(key="", why="address is missing")
    assert http.sent == []


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, "oops", "error response: Status 500 Internal Server Error: oops"),
        (422, "bad query", "error response: Status 422 Unprocessable Entity: bad query"),
        (302, "", "error response: Status 302 Found: "),
        (599, "?", "error response: Status 599 : ?"),
    ],
)
def test_a_refusal_has_flaggers_words(status: int, body: str, why: str) -> None:
    assert refusal(reply(status, body)) == Unreachable(key="", why=why, away=status >= 500)


@pytest.mark.parametrize(
    ("status", "cause"),
    [(401, "are the credentials expired?"), (403, "may these"), (429, "rate limit")],
)
def test_what_says_nothing_about_the_question_has_its_cause(status: int, cause: str) -> None:
    refused = refusal(reply(status, "no"))

    assert refused is not None
    assert refused.away
    assert cause in refused.why


def test_a_refusal_is_not_quoted_without_end() -> None:
    refused = refusal(reply(500, "x" * 10_000))

    assert refused is not None
    assert len(refused.why) < 600


def test_a_good_answer_is_no_refusal() -> None:
    assert refusal(reply(200, "x")) is None
    assert status_text(418) != ""
