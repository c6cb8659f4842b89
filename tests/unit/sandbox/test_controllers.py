"""The loop that runs controllers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from tests.unit.sandbox.world import World, a_config

from serinus.sandbox.controllers import RETRY_S, Controller, Controllers
from serinus.sandbox.errors import ApiError
from serinus.sandbox.registry import Registry
from serinus.sandbox.store import Change, Key

CONFIGS = ("", "configmaps")


class Recorder(Controller):
    """Notes what it was asked to look at; `answers` are what it returns or raises, in turn."""

    name = "recorder"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.seen: list[str] = []
        self.news = asyncio.Event()
        self.answers: list[float | Exception] = []

    def concerns(self, change: Change) -> Iterable[Key]:
        return [change.key] if change.key.resource == CONFIGS else []

    def reconcile(self, key: Key) -> float | None:
        self.seen.append(key.name)
        self.news.set()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def recorder(world: World) -> Recorder:
    return Recorder(world.registry)


async def until_seen(recorder: Recorder, count: int) -> None:
    async with asyncio.timeout(RETRY_S * 5):
        while len(recorder.seen) < count:
            recorder.news.clear()
            await recorder.news.wait()


def test_many_changes_of_one_object_are_one_look(world: World, recorder: Recorder) -> None:
    world.create("configmaps", a_config())
    controllers = Controllers(world.registry, [recorder])
    controllers.follow()
    for value in "234":
        world.patch("configmaps", "c", {"data": {"a": value}})

    controllers.settle()

    assert recorder.seen == ["c"]


@pytest.mark.looptime
async def test_it_looks_again_when_time_has_come(world: World, recorder: Recorder) -> None:
    recorder.answers = [0.5]
    controllers = Controllers(world.registry, [recorder])
    controllers.start()
    world.create("configmaps", a_config())
    begun = asyncio.get_running_loop().time()

    await until_seen(recorder, 2)
    await controllers.stop()

    assert asyncio.get_running_loop().time() - begun == pytest.approx(0.5, abs=0.02)


@pytest.mark.looptime
async def test_a_refusal_is_tried_again_and_stops_nobody(world: World, recorder: Recorder) -> None:
    recorder.answers = [ApiError(409, "Conflict", "not now")]
    controllers = Controllers(world.registry, [recorder])
    controllers.start()
    world.create("configmaps", a_config("a"))
    world.create("configmaps", a_config("b"))

    await until_seen(recorder, 3)
    await controllers.stop()

    assert recorder.seen == ["a", "b", "a"]


@pytest.mark.looptime
async def test_nothing_is_done_after_the_stop(world: World, recorder: Recorder) -> None:
    recorder.answers = [0.5]
    controllers = Controllers(world.registry, [recorder])
    controllers.start()
    world.create("configmaps", a_config("a"))
    await until_seen(recorder, 1)

    await controllers.stop()
    world.create("configmaps", a_config("b"))
    await asyncio.sleep(2)

    assert recorder.seen == ["a"]
