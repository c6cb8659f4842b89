"""Questions under way: bounded, side by side, dropped when superseded."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from tests.builders import a_canary_spec, a_rollout, an_analysis
from tests.unit.analyzer.doubles import FakeCluster, FakeHttp, in_turn, reply, toolbox

from serinus.analyzer.core.rollout import (
    Answer,
    HookAnswer,
    HookAsk,
    MetricAsk,
    Policy,
    ProbeAsk,
    Unreachable,
    Value,
)
from serinus.analyzer.shell.asks import Asks
from serinus.analyzer.shell.sources import Sources
from serinus.events import MetricTemplateSpec, Webhook
from serinus.events.canary import MetricProvider, SecretRef

pytestmark = pytest.mark.looptime

ONE = '{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]}]}}'
PROMETHEUS = MetricTemplateSpec(
    provider=MetricProvider(type="prometheus", address="http://prom:9090"), query=""
)


class Bench:
    def __init__(self, limit: int = 3) -> None:
        self.http = FakeHttp(in_turn(reply(200, ONE)), delay_s=10.0)
        self.answers: list[tuple[str, Answer]] = []
        self.cluster = FakeCluster()
        self.sources = Sources(
            cluster=self.cluster, tools=toolbox(self.http), clock=self.http.clock
        )
        self.asks = Asks(
            sources=self.sources,
            http=self.http,
            clock=self.http.clock,
            answered=self.answered,
            limit=limit,
        )

    async def answered(self, canary: str, answer: Answer) -> None:
        self.answers.append((canary, answer))

    def ask(self, canary: str, key: str = "k") -> None:
        hook = Webhook(name="h", url=f"http://hooks.test/{canary}", timeout="1m")
        self.start(canary, HookAsk(key=key, hook=hook, phase="", checksum=""))

    def start(self, canary: str, *asks: HookAsk) -> None:
        self.asks.start(canary, asks, a_rollout())


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.asks.close()


async def test_canaries_are_asked_side_by_side_up_to_the_limit(bench: Bench) -> None:
    for index in range(7):
        bench.ask(f"c{index}")

    await asyncio.sleep(30.1)

    assert len(bench.answers) == 7
    assert bench.http.most_under_way == 3


async def test_the_same_question_is_not_put_twice(bench: Bench) -> None:
    bench.ask("a")
    await asyncio.sleep(1)
    bench.ask("a")
    await asyncio.sleep(20)

    assert len(bench.http.sent) == 1
    assert bench.answers == [("a", HookAnswer(key="k", passed=True))]


async def test_another_question_takes_the_place_of_the_old_one(bench: Bench) -> None:
    bench.ask("a", "old")
    await asyncio.sleep(1)
    bench.ask("a", "new")
    await asyncio.sleep(1)
    assert bench.http.under_way == 1
    await asyncio.sleep(20)

    assert [answer.key for _, answer in bench.answers] == ["new"]


async def test_a_dropped_question_frees_its_place(bench: Bench) -> None:
    for name in ("a", "b", "c", "d"):
        bench.ask(name)
    await asyncio.sleep(1)
    bench.asks.drop("a")
    await asyncio.sleep(9.5)

    assert [canary for canary, _ in bench.answers] == ["b", "c"]
    assert bench.http.sent[-1].url.endswith("/d")
    assert len(bench.asks) == 1


async def test_an_answer_may_lead_to_the_next_question(bench: Bench) -> None:
    async def again(canary: str, answer: Answer) -> None:
        await bench.answered(canary, answer)
        if len(bench.answers) < 3:
            bench.ask(canary, f"k{len(bench.answers)}")

    bench.asks._answered = again
    bench.ask("a", "k0")
    await asyncio.sleep(31)

    assert [answer.key for _, answer in bench.answers] == ["k0", "k1", "k2"]


async def test_questions_of_one_canary_are_put_side_by_side(bench: Bench) -> None:
    hook = Webhook(name="h", url="http://hooks.test/a", timeout="1m")
    bench.start("a", *(HookAsk(key=k, hook=hook, phase="", checksum="") for k in ("k0", "k1")))
    await asyncio.sleep(10.5)

    assert sorted(answer.key for _, answer in bench.answers) == ["k0", "k1"]
    assert len(bench.asks) == 0


async def test_a_question_that_is_no_longer_wanted_is_dropped_and_the_others_go_on(
    bench: Bench,
) -> None:
    hook = Webhook(name="h", url="http://hooks.test/a", timeout="1m")
    asks = [HookAsk(key=k, hook=hook, phase="", checksum="") for k in ("k0", "k1")]
    bench.start("a", *asks)
    await asyncio.sleep(5)
    bench.start("a", asks[1])
    await asyncio.sleep(5.5)

    assert [answer.key for _, answer in bench.answers] == ["k1"]


async def test_a_hook_gets_the_bearer_token_of_its_secret(bench: Bench) -> None:
    token = base64.b64encode(b"abc\n").decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"token": token}}
    bench.cluster.put({**secret, "metadata": {"name": "gate", "namespace": "shop"}})
    hook = Webhook(name="h", url="http://hooks.test/a", secret_ref=SecretRef(name="gate"))
    ask = HookAsk(key="k", hook=hook, phase="", checksum="")

    assert await bench.asks.answer(ask, a_rollout()) == HookAnswer(key="k", passed=True)
    assert bench.http.sent[-1].headers["Authorization"] == "Bearer abc"


async def test_where_labels_are_asked_for_a_hook_gets_no_other_secrets_token(bench: Bench) -> None:
    """Who may write hooks would have any Secret's token sent to an address of their own."""
    metadata = {"name": "gate", "namespace": "shop"}
    token = base64.b64encode(b"s3cret").decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"token": token}}
    bench.cluster.put(secret)
    named = SecretRef(name="gate")
    written = Webhook(name="gate", url="http://hooks.test/{{ .Canary.Name }}", secret_ref=named)
    webhooks = (Webhook(name="load", url="http://hooks.test/"), written)
    spec = a_canary_spec(analysis=an_analysis(webhooks=webhooks))
    rollout = a_rollout(spec=spec, policy=Policy(labelled_secrets_only=True))
    hook = Webhook(name="gate", url="http://hooks.test/web", secret_ref=named)
    ask = HookAsk(key="k", hook=hook, phase="", checksum="")

    answer = await bench.asks.answer(ask, rollout)

    assert answer == HookAnswer(
        key="k",
        passed=False,
        text='secrets "gate": spec.analysis.webhooks[1].secretRef: secret gate is not labelled to '
        "be read for this: kubectl --namespace shop label secret gate serinus.dev/readable=true",
    )
    assert bench.http.sent == []

    secret["metadata"] = {**metadata, "labels": {"serinus.dev/readable": "true"}}
    bench.cluster.put(secret)
    await bench.http.clock.sleep(30)
    await bench.asks.answer(ask, rollout)
    assert bench.http.sent[0].headers["Authorization"] == "Bearer s3cret"


async def test_a_hook_whose_secret_is_missing_fails_with_its_name(bench: Bench) -> None:
    hook = Webhook(name="h", url="http://hooks.test/a", secret_ref=SecretRef(name="gone"))
    ask = HookAsk(key="k", hook=hook, phase="", checksum="")
    answer = await bench.asks.answer(ask, a_rollout())

    assert answer == HookAnswer(key="k", passed=False, text='secrets "gone" not found')
    assert bench.http.sent == []


async def test_every_kind_of_question_finds_its_answer(bench: Bench) -> None:
    metric = MetricAsk(key="m", metric="x", source=PROMETHEUS, query="x")
    probe = ProbeAsk(key="p", source=PROMETHEUS)

    assert await bench.asks.answer(metric, a_rollout()) == Value(key="m", value=1.0)
    assert await bench.asks.answer(probe, a_rollout()) == Value(key="p", value=1.0)


async def test_a_mistake_of_ours_is_an_answer_so_that_no_rollout_hangs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> Answer:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(bench.sources, "measure", broken)
    metric = MetricAsk(key="m", metric="x", source=PROMETHEUS, query="x")

    answer = await bench.asks.answer(metric, a_rollout())

    assert answer == Unreachable(key="m", why="internal error: ZeroDivisionError")
