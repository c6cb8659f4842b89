"""Asking a hook: body, retries, and the words for failures."""

import json

import pytest
from tests.builders import REF
from tests.unit.analyzer.doubles import FakeHttp, in_turn, reply

from serinus.analyzer.core.rollout import HookAnswer, HookAsk
from serinus.analyzer.shell.hooks import ask_hook, payload
from serinus.events import Webhook
from serinus.runtime.clock import LoopClock
from serinus.runtime.http import Unanswered

pytestmark = pytest.mark.looptime

URL = "http://load.test/check"


def an_ask(**fields: object) -> HookAsk:
    hook = Webhook(**{"name": "load", "url": URL, **fields})  # type: ignore[arg-type]
    return HookAsk(key="k", hook=hook, phase="Progressing", checksum="79447bf44b")


async def asked(http: FakeHttp, **fields: object) -> HookAnswer:
    return await ask_hook(an_ask(**fields), REF, http, http.clock)


def test_the_body_is_the_one_receivers_know() -> None:
    assert payload(an_ask(), REF) == (
        b'{"name":"web","namespace":"shop","phase":"Progressing","checksum":"79447bf44b"}'
    )
    with_metadata = json.loads(payload(an_ask(metadata={"type": "cmd"}), REF))
    assert with_metadata["metadata"] == {"type": "cmd"}


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 299])
async def test_every_2xx_passes(status: int) -> None:
    assert await asked(FakeHttp(in_turn(reply(status)))) == HookAnswer(key="k", passed=True)


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, "no such test"), (301, "moved"), (501, "c"), (400, "not good")],
)
async def test_other_statuses_fail_with_the_body_as_text(status: int, body: str) -> None:
    """As recorded: a 501 is not tried again."""
    http = FakeHttp(in_turn(reply(status, body)))

    assert await asked(http, retries=3) == HookAnswer(key="k", passed=False, text=body)
    assert len(http.sent) == 1


async def test_a_hook_may_have_a_method_headers_and_a_body_of_its_own() -> None:
    http = FakeHttp(in_turn(reply(200)))
    await asked(http, method="PUT", headers={"X-Flag": "on"}, body="enabled=true")

    (sent,) = http.sent
    assert (sent.method, sent.body) == ("PUT", b"enabled=true")
    assert sent.headers == {"Content-Type": "application/json", "X-Flag": "on"}


async def test_a_get_has_no_body_and_fails_in_its_own_words() -> None:
    http = FakeHttp(in_turn(reply(503)))
    answer = await asked(http, method="GET")

    assert http.sent[0].body in (b"", None)
    assert answer.text == f"GET {URL} giving up after 1 attempt(s)"


async def test_retries_wait_one_two_four_seconds() -> None:
    """As recorded: 500 at 0 s, 429 at 1 s, 200 at 3 s."""
    http = FakeHttp(in_turn(reply(500, "a"), reply(429, "b"), reply(200, "OK")))

    assert (await asked(http, retries=2)).passed
    assert [t - http.times[0] for t in http.times] == [0.0, 1.0, 3.0]


async def test_giving_up_is_said_with_the_number_of_attempts() -> None:
    http = FakeHttp(in_turn(reply(500, "a")))

    answer = await asked(http, retries=2)

    assert answer.text == f"POST {URL} giving up after 3 attempt(s)"
    assert len(http.sent) == 3


async def test_without_retries_a_5xx_is_given_up_at_once() -> None:
    assert (await asked(FakeHttp(in_turn(reply(503))))).text.endswith("after 1 attempt(s)")


async def test_a_timeout_has_flaggers_words() -> None:
    slow = Unanswered(f"POST {URL}: no answer within 1 s")

    answer = await asked(FakeHttp(in_turn(slow)), timeout="1s")

    assert answer.text == (
        f'POST {URL} giving up after 1 attempt(s): Post "{URL}": context deadline exceeded'
    )


async def test_no_connection_is_retried_and_its_cause_told() -> None:
    refused = Unanswered(f"POST {URL}: cannot connect: Connection refused")
    http = FakeHttp(in_turn(refused, refused))

    answer = await asked(http, retries=1)

    assert answer.text.endswith(f'2 attempt(s): Post "{URL}": cannot connect: Connection refused')


async def test_the_receivers_wish_for_peace_is_kept() -> None:
    http = FakeHttp(in_turn(reply(503, **{"Retry-After": "7"}), reply(200)))

    assert (await asked(http, retries=1)).passed
    assert http.times[1] - http.times[0] == 7.0


async def test_a_wish_for_peace_has_a_bound() -> None:
    http = FakeHttp(in_turn(reply(429, **{"retry-after": "86400"}), reply(200)))

    await asked(http, retries=1)

    assert http.times[1] - http.times[0] == 60.0


async def test_back_off_has_a_bound() -> None:
    http = FakeHttp(in_turn(reply(500)))

    await asked(http, retries=7)

    waits = [b - a for a, b in zip(http.times, http.times[1:], strict=False)]
    assert waits == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 10.0), ("5", 10.0), ("90s", 90.0), ("1m", 60.0)]
)
async def test_the_timeout_counts_for_each_attempt(text: str, seconds: float) -> None:
    http = FakeHttp(in_turn(reply(200)))

    await asked(http, timeout=text)

    assert http.sent[0].timeout_s == seconds


async def test_a_timeout_that_is_none_fails_the_hook() -> None:
    http = FakeHttp(in_turn(reply(200)))

    assert await asked(http, timeout="soon") == HookAnswer(
        key="k", passed=False, text='time: invalid duration "soon"'
    )
    assert http.sent == []


async def test_disable_tls_skips_certificate_checks() -> None:
    http = FakeHttp(in_turn(reply(200)), LoopClock())

    await asked(http, disable_tls=True)
    await asked(http)

    assert [r.verify_tls for r in http.sent] == [False, True]


async def test_a_password_in_the_address_stays_unsaid() -> None:
    http = FakeHttp(in_turn(reply(500)))

    answer = await asked(http, url="http://me:hunter2@load.test/check")

    assert "hunter2" not in answer.text
    assert http.sent[0].url == "http://me:hunter2@load.test/check"
