"""Manners towards metrics sources."""

import asyncio

import pytest
from tests.unit.analyzer.doubles import FakeHttp, in_turn, reply

from serinus.analyzer.providers.polite import AT_A_TIME, Polite
from serinus.runtime.http import HttpRequest, Unanswered

pytestmark = pytest.mark.looptime

ONE = HttpRequest(url="https://one.test/q")
OTHER = HttpRequest(url="https://other.test/q")


async def test_few_questions_are_under_way_at_one_host() -> None:
    http = FakeHttp(in_turn(reply(200)), delay_s=1.0)
    polite = Polite(http, http.clock)

    await asyncio.gather(*(polite.send(ONE) for _ in range(3 * AT_A_TIME)))

    assert http.most_under_way == AT_A_TIME
    assert http.times[-1] - http.times[0] == pytest.approx(2.0)


async def test_a_host_that_asks_for_a_rest_gets_it_and_others_are_asked() -> None:
    http = FakeHttp(in_turn(reply(429, "slow down", **{"Retry-After": "60"}), reply(200)))
    polite = Polite(http, http.clock)

    assert (await polite.send(ONE)).status == 429
    with pytest.raises(Unanswered, match=r"rate limit of one\.test: it is asked again in 60s"):
        await polite.send(ONE)
    assert (await polite.send(OTHER)).status == 200
    await http.clock.sleep(60)
    assert (await polite.send(ONE)).status == 200
    assert len(http.sent) == 3


async def test_a_short_rest_is_waited_for() -> None:
    http = FakeHttp(in_turn(reply(503, "busy", **{"retry-after": "3"}), reply(200)))
    polite = Polite(http, http.clock)
    await polite.send(ONE)

    assert (await polite.send(ONE)).status == 200
    assert http.times[1] - http.times[0] == pytest.approx(3.0)


async def test_a_server_that_is_merely_down_is_asked_again_at_once() -> None:
    http = FakeHttp(in_turn(reply(503, "starting"), reply(200)))
    polite = Polite(http, http.clock)
    await polite.send(ONE)

    assert (await polite.send(ONE)).status == 200
    assert http.times[1] == http.times[0]


@pytest.mark.parametrize("wish", ["", "tomorrow", "-3", "1e9", "999999999"])
async def test_no_wish_lasts_for_ever(wish: str) -> None:
    http = FakeHttp(in_turn(reply(429, "", **{"Retry-After": wish}), reply(200)))
    polite = Polite(http, http.clock)
    await polite.send(ONE)
    await http.clock.sleep(300)

    assert (await polite.send(ONE)).status == 200
