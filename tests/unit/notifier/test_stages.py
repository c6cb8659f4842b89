"""Order, dedup, retry and record, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest

from serinus.notifier.core.outcomes import Again, Known, Outcome, Refused, Sent
from serinus.notifier.stages import Company, Courier, Job, Limits
from serinus.notifier.told import BUCKET, BucketTold
from serinus.runtime.clock import LoopClock
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.telemetry import PrometheusMetrics

pytestmark = pytest.mark.looptime

Post = Callable[..., Job]


class Chat:
    """An audience: what it answers, and what it heard when."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []
        self.recorded: list[tuple[str, Outcome]] = []
        self.answers: dict[str, list[Outcome]] = {}
        self.at_once = 0
        self.most_at_once = 0

    def job(
        self,
        key: str,
        *,
        to: str = "chat",
        about: str = "prod/web",
        takes_s: float = 0.0,
        **more: int,
    ) -> Job:
        async def send() -> Outcome:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            self.heard.append((key, asyncio.get_running_loop().time()))
            await asyncio.sleep(takes_s)
            self.at_once -= 1
            scripted = self.answers.get(key, [Sent()])
            return scripted.pop(0) if len(scripted) > 1 else scripted[0]

        async def record(outcome: Outcome) -> None:
            self.recorded.append((key, outcome))

        return Job(
            kind="alert", audience=to, canary=about, key=key, send=send, record=record, **more
        )

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.heard]


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
async def broker() -> MemoryBroker:
    return MemoryBroker(LoopClock())


@pytest.fixture
async def courier(broker: MemoryBroker) -> AsyncIterator[Courier]:
    told = BucketTold(MemoryBus(broker, "notifier").bucket(BUCKET))
    made = Courier(
        told=told,
        clock=LoopClock(),
        metrics=PrometheusMetrics(),
        limits=Limits(attempts=5, age_s=600, lane_length=10, at_once=2),
    )
    yield made
    await made.drain(0)


async def test_what_is_taken_is_recorded_once(courier: Courier, chat: Chat) -> None:
    outcome = await courier.put(chat.job("a"))

    assert outcome == Sent()
    assert chat.keys == ["a"]
    assert chat.recorded == [("a", Sent())]


async def test_what_was_told_is_not_told_again(courier: Courier, chat: Chat) -> None:
    await courier.put(chat.job("a"))

    assert await courier.put(chat.job("a")) == Known()
    assert chat.keys == ["a"]
    assert chat.recorded == [("a", Sent())]


async def test_a_restart_remembers_what_was_told(
    courier: Courier, chat: Chat, broker: MemoryBroker
) -> None:
    await courier.put(chat.job("a"))
    told = BucketTold(MemoryBus(broker, "notifier").bucket(BUCKET))
    another = Courier(told=told, clock=LoopClock(), metrics=PrometheusMetrics())

    assert await another.put(chat.job("a")) == Known()


async def test_messages_about_one_canary_keep_their_order(courier: Courier, chat: Chat) -> None:
    chat.answers["a"] = [Again("busy"), Sent()]

    await asyncio.gather(*(courier.put(chat.job(key)) for key in "abc"))

    assert chat.keys == ["a", "a", "b", "c"]


async def test_an_audience_that_does_not_answer_delays_nobody_else(
    courier: Courier, chat: Chat
) -> None:
    """Neither other audiences nor other canaries wait for one that is down."""
    chat.answers["deaf"] = [Again("no answer")]
    deaf = courier.put(chat.job("deaf", to="down", takes_s=5))

    await courier.put(chat.job("a", to="up"))
    await courier.put(chat.job("b", to="down", about="prod/other"))

    assert asyncio.get_running_loop().time() == pytest.approx(0, abs=0.1)
    assert isinstance(await deaf, Refused)


async def test_pauses_between_attempts_grow(courier: Courier, chat: Chat) -> None:
    chat.answers["a"] = [Again("busy"), Again("busy"), Again("busy"), Sent()]

    await courier.put(chat.job("a"))

    assert [at for _, at in chat.heard] == pytest.approx([0, 1, 3, 7], abs=0.01)


async def test_a_wish_to_be_left_alone_is_granted(courier: Courier, chat: Chat) -> None:
    chat.answers["a"] = [Again("slow down", after_s=30), Sent()]

    await courier.put(chat.job("a"))

    assert [at for _, at in chat.heard] == pytest.approx([0, 30], abs=0.01)


async def test_attempts_are_bounded_and_the_last_reason_stands(
    courier: Courier, chat: Chat
) -> None:
    chat.answers["a"] = [Again("busy"), Again("busy"), Again("busy"), Again("busy"), Again("gone")]

    outcome = await courier.put(chat.job("a"))

    assert outcome == Refused("gone (gave up after 5 attempts in 15 s)")
    assert len(chat.heard) == 5
    assert chat.recorded == [("a", outcome)]


async def test_a_message_that_is_too_old_is_given_up(courier: Courier, chat: Chat) -> None:
    chat.answers["a"] = [Again("slow down", after_s=400)]

    outcome = await courier.put(chat.job("a"))

    assert isinstance(outcome, Refused)
    assert len(chat.heard) == 2
    assert asyncio.get_running_loop().time() == pytest.approx(400, abs=1)


async def test_what_perishes_while_it_waits_is_not_told_at_all(
    courier: Courier, chat: Chat
) -> None:
    """A receiver that was away is not flooded with old news, but others still get theirs late."""
    chat.answers["0"] = [Again("busy", after_s=300), Sent()]
    jobs = [chat.job("0"), chat.job("news", age_s=120), chat.job("alert")]

    outcomes = await asyncio.gather(*map(courier.put, jobs))

    assert outcomes == [
        Sent(),
        Refused("waited 300 s behind others, which is too old to be told"),
        Sent(),
    ]
    assert chat.keys == ["0", "0", "alert"]


async def test_a_refusal_is_not_repeated(courier: Courier, chat: Chat) -> None:
    chat.answers["a"] = [Refused("status 404: no_team")]

    await courier.put(chat.job("a"))

    assert chat.recorded == [("a", Refused("status 404: no_team"))]
    assert len(chat.heard) == 1


async def test_what_failed_may_be_told_when_it_comes_again(courier: Courier, chat: Chat) -> None:
    chat.answers["a"] = [Refused("status 404"), Sent()]
    await courier.put(chat.job("a"))

    assert await courier.put(chat.job("a")) == Sent()


async def test_a_hook_answers_as_often_as_its_retries_allow(courier: Courier, chat: Chat) -> None:
    """Attempts that nobody answered do not count: the hook has not seen them."""
    chat.answers["a"] = [
        Again("no answer"),
        Again("status 500", answered=True),
        Again("status 500", answered=True),
        Sent(),
    ]

    outcome = await courier.put(chat.job("a", answers=2))

    assert outcome == Refused("status 500")
    assert len(chat.heard) == 3


async def test_a_lane_that_is_full_gives_up_its_oldest(courier: Courier, chat: Chat) -> None:
    chat.answers["0"] = [Again("busy", after_s=100), Sent()]
    keys = [str(n) for n in range(13)]

    outcomes = await asyncio.gather(*(courier.put(chat.job(key)) for key in keys))

    refused = [key for key, one in zip(keys, outcomes, strict=True) if isinstance(one, Refused)]
    assert refused == ["0", "1", "2"]


async def test_one_audience_gets_few_messages_at_the_same_time(
    courier: Courier, chat: Chat
) -> None:
    jobs = [chat.job(str(n), about=f"prod/web-{n}", takes_s=1) for n in range(6)]

    await asyncio.gather(*map(courier.put, jobs))

    assert chat.most_at_once == 2
    assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.1)


async def test_a_sender_with_a_fault_does_not_stop_its_lane(courier: Courier, chat: Chat) -> None:
    async def broken() -> Outcome:
        raise KeyError("oops")

    bad = Job(kind="alert", audience="chat", canary="prod/web", key="bad", send=broken)

    outcomes = await asyncio.gather(courier.put(bad), courier.put(chat.job("a")))

    assert outcomes == [Refused("a fault of the notifier: KeyError"), Sent()]


async def test_without_its_memory_it_would_rather_repeat_than_keep_silent(
    courier: Courier, chat: Chat, broker: MemoryBroker
) -> None:
    broker.available = False

    assert await courier.put(chat.job("a")) == Sent()
    assert chat.keys == ["a"]


async def test_draining_waits_for_what_is_under_way(courier: Courier, chat: Chat) -> None:
    ending = courier.put(chat.job("a", takes_s=3))
    await asyncio.sleep(0)

    await courier.drain(5)

    assert ending.result() == Sent()


async def test_draining_leaves_the_rest_untold(courier: Courier, chat: Chat) -> None:
    chat.answers["a"] = [Again("busy")]
    endings = [courier.put(chat.job(key)) for key in "ab"]
    await asyncio.sleep(0.5)

    await courier.drain(1)

    assert [ending.cancelled() for ending in endings] == [True, True]
    assert chat.recorded == []


async def test_lanes_and_their_limits_are_forgotten_when_they_are_empty(
    courier: Courier, chat: Chat
) -> None:
    await courier.put(chat.job("a"))
    await asyncio.sleep(0.1)

    assert courier.idle


async def test_what_an_audience_has_no_use_for_is_no_failure(
    chat: Chat, courier: Courier, caplog: pytest.LogCaptureFixture
) -> None:
    """E.g. the end of an alert whose provider went with its namespace."""
    chat.answers = {"a": [Known()], "b": [Refused("no such room")]}

    await courier.put(chat.job("a"))
    assert caplog.records == []
    await courier.put(chat.job("b"))

    assert [(r.message, vars(r)["reason"]) for r in caplog.records] == [
        ("could not be told", "no such room")
    ]


def together(chat: Chat, key: str, about: str, *, takes: str = "crowd") -> Job:
    """A job that may be told with others; the message of all is recorded as `a+b`."""
    job = chat.job(key, about=about)

    async def tell(said: Sequence[str]) -> Outcome:
        whole = chat.job("+".join(said))
        return await whole.send()

    return replace(job, company=Company(takes, key, tell))


async def test_jobs_that_have_company_are_told_as_one(courier: Courier, chat: Chat) -> None:
    jobs = [together(chat, key, f"prod/{key}") for key in "abc"]

    assert [Sent()] * 3 == await asyncio.gather(*map(courier.put, jobs))
    assert ["a+b+c"] == chat.keys
    assert [("a", Sent()), ("b", Sent()), ("c", Sent())] == sorted(chat.recorded)
    assert asyncio.get_running_loop().time() == pytest.approx(2, abs=0.1)
    await asyncio.sleep(0)
    assert courier.idle


async def test_one_that_waits_for_company_in_vain_goes_alone(courier: Courier, chat: Chat) -> None:
    await asyncio.gather(
        courier.put(together(chat, "a", "prod/a", takes="one")),
        courier.put(together(chat, "b", "prod/b", takes="another")),
    )

    assert ["a", "b"] == sorted(chat.keys)


async def test_each_of_a_company_is_remembered(courier: Courier, chat: Chat) -> None:
    for _ in range(2):
        await asyncio.gather(*(courier.put(together(chat, k, f"prod/{k}")) for k in "abc"))

    assert ["a+b+c"] == chat.keys


async def test_a_company_is_refused_and_tried_again_as_one(courier: Courier, chat: Chat) -> None:
    chat.answers["a+b"] = [Again("busy"), Refused("status 404")]

    outcomes = await asyncio.gather(*(courier.put(together(chat, k, f"prod/{k}")) for k in "ab"))

    assert [Refused("status 404")] * 2 == outcomes
    assert ["a+b", "a+b"] == chat.keys


async def test_what_comes_next_about_one_of_them_sends_them_off(
    courier: Courier, chat: Chat
) -> None:
    jobs = [together(chat, key, f"prod/{key}") for key in "ab"]

    endings = [courier.put(job) for job in jobs]
    await asyncio.sleep(0.5)
    await asyncio.gather(*endings, courier.put(chat.job("then", about="prod/b")))

    assert ["a+b", "then"] == chat.keys
    assert asyncio.get_running_loop().time() == pytest.approx(0.5, abs=0.1)


async def test_a_company_has_a_most(chat: Chat, broker: MemoryBroker) -> None:
    told = BucketTold(MemoryBus(broker, "notifier").bucket(BUCKET))
    limits = Limits(company_most=2)
    courier = Courier(told=told, clock=LoopClock(), metrics=PrometheusMetrics(), limits=limits)

    await asyncio.gather(*(courier.put(together(chat, k, f"prod/{k}")) for k in "abcde"))

    assert ["a+b", "c+d", "e"] == chat.keys


async def test_a_company_that_is_stopped_stays_untold(courier: Courier, chat: Chat) -> None:
    endings = [courier.put(together(chat, key, f"prod/{key}")) for key in "abc"]
    await asyncio.sleep(0.5)

    await courier.drain(0.1)

    assert [] == chat.keys
    assert all(ending.cancelled() for ending in endings)
