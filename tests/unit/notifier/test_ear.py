"""Facts are acknowledged when they are told, not when they are heard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.unit.hands import Hands
from tests.unit.notifier.helpers import a_fact

from serinus.events import Fact
from serinus.kube.share import Everything
from serinus.notifier.core.outcomes import Outcome, Sent
from serinus.notifier.ear import FACTS, TRIES, Ear
from serinus.runtime.clock import LoopClock
from serinus.runtime.errors import Retry
from serinus.runtime.memory import MemoryBroker, MemoryBus

pytestmark = pytest.mark.looptime


@dataclass
class Arrival:
    """A delivery that remembers what was said to it."""

    message: Any
    delivered: int = 1
    subject: str = "s"
    sequence: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    async def ack(self) -> None:
        self.said.append("ack")

    async def nak(self, after_s: float) -> None:
        self.said.append(f"nak {after_s:g}")


class Teller:
    """A voice whose messages end when the test says so."""

    def __init__(self, error: Exception | None = None, jobs: int = 1) -> None:
        self.error = error
        self.jobs = jobs
        self.heard: list[str] = []
        self.endings: dict[str, list[asyncio.Future[Outcome]]] = {}

    async def tell(self, fact: Fact) -> list[asyncio.Future[Outcome]]:
        self.heard.append(fact.id)
        if self.error is not None:
            raise self.error
        loop = asyncio.get_running_loop()
        self.endings[fact.id] = [loop.create_future() for _ in range(self.jobs)]
        return self.endings[fact.id]


def ear(teller: Teller, held_max: int = 100) -> Ear:
    bus = MemoryBus(MemoryBroker(LoopClock()), "notifier")
    return Ear(bus, teller, Everything(), held_max=held_max)  # type: ignore[arg-type]


async def end(endings: Iterable[asyncio.Future[Outcome]]) -> None:
    for ending in endings:
        ending.set_result(Sent())
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_fact_is_acknowledged_when_everybody_was_told() -> None:
    teller, arrival = Teller(jobs=2), Arrival(a_fact("f"))
    await ear(teller).hear(arrival)
    first, second = teller.endings["f"]

    await end([first])
    assert arrival.said == []
    await end([second])
    assert arrival.said == ["ack"]


async def test_a_fact_that_concerns_nobody_is_acknowledged_at_once() -> None:
    arrival = Arrival(a_fact("f"))

    await ear(Teller(jobs=0)).hear(arrival)

    assert arrival.said == ["ack"]


async def test_the_next_fact_does_not_wait_for_the_last_one() -> None:
    teller = Teller()
    one = ear(teller)

    await one.hear(Arrival(a_fact("f")))
    await one.hear(Arrival(a_fact("g")))

    assert teller.heard == ["f", "g"]


async def test_a_fact_that_comes_again_meanwhile_is_told_once_and_acknowledged_twice() -> None:
    teller = Teller()
    one, first, second = ear(teller), Arrival(a_fact("f")), Arrival(a_fact("f"), delivered=2)
    await one.hear(first)
    await one.hear(second)

    await end(teller.endings["f"])

    assert teller.heard == ["f"]
    assert (first.said, second.said) == (["ack"], ["ack"])


async def test_without_the_bus_it_is_asked_for_again() -> None:
    arrival = Arrival(a_fact("f"))

    await ear(Teller(Retry("away", 3.0))).hear(arrival)

    assert arrival.said == ["nak 3"]


async def test_a_fact_that_we_cannot_handle_comes_again_a_few_times_and_no_more() -> None:
    said = []
    for delivered in range(1, TRIES + 1):
        arrival = Arrival(a_fact("f"), delivered=delivered)
        await ear(Teller(KeyError("oops"))).hear(arrival)
        said += arrival.said

    assert said == ["nak 5"] * (TRIES - 1) + ["ack"]


async def test_what_was_stopped_in_the_middle_is_not_acknowledged() -> None:
    teller, arrival = Teller(), Arrival(a_fact("f"))
    one = ear(teller)
    await one.hear(arrival)

    teller.endings["f"][0].cancel()
    await one.drain()

    assert arrival.said == []


async def test_deaf_audiences_cannot_use_up_what_the_bus_hands_out() -> None:
    """Beyond the bound the oldest is acknowledged early, once."""
    teller = Teller()
    one = ear(teller, held_max=2)
    arrivals = [Arrival(a_fact(str(n))) for n in range(4)]
    for arrival in arrivals:
        await one.hear(arrival)

    assert [a.said for a in arrivals] == [["ack"], ["ack"], [], []]
    for endings in teller.endings.values():
        await end(endings)
    assert [a.said for a in arrivals] == [["ack"]] * 4


async def test_it_listens_where_it_left_off() -> None:
    """What was not acknowledged comes back to the next one of the same name."""
    broker = MemoryBroker(LoopClock())
    for number in (1, 2):
        await MemoryBus(broker).publish(a_fact(f"f-{number}"))

    async def listen(teller: Teller) -> None:
        bus = MemoryBus(broker, "notifier")
        one = Ear(bus, teller, Everything())  # type: ignore[arg-type]
        task = asyncio.create_task(one.listen())
        await asyncio.sleep(1)
        if "f-1" in teller.endings:
            await end(teller.endings["f-1"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    first, second = Teller(), Teller()
    await listen(first)
    await listen(second)

    assert first.heard == ["f-1", "f-2"]
    assert second.heard == ["f-2"]


async def test_of_several_replicas_one_listens_and_another_goes_on_where_it_stopped() -> None:
    broker = MemoryBroker(LoopClock())
    hands = [Hands([FACTS]), Hands()]
    tellers = [Teller(jobs=0), Teller(jobs=0)]
    listening = [
        asyncio.create_task(
            Ear(MemoryBus(broker, "notifier"), teller, share).listen()  # type: ignore[arg-type]
        )
        for teller, share in zip(tellers, hands, strict=True)
    ]
    await MemoryBus(broker).publish(a_fact("f-1"))
    await asyncio.sleep(1)

    hands[0].give()
    hands[1].give(FACTS)
    await asyncio.sleep(1)
    await MemoryBus(broker).publish(a_fact("f-2"))
    await asyncio.sleep(1)
    hands[0].give()  # what changes nothing ends nothing

    assert [["f-1"], ["f-2"]] == [teller.heard for teller in tellers]
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
