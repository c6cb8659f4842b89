"""What a watch sends, event by event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.sandbox.world import ME, World, a_config

from serinus.sandbox.errors import ApiError
from serinus.sandbox.watch import BOOKMARK_S, Watch, bookmark, follow, parse_version


def a_watch(
    world: World,
    start: int | None = None,
    accepts: Callable[[dict[str, Any]], bool] = lambda obj: True,
    bookmarks: bool = False,
    initial: bool = False,
    timeout_s: float = 60.0,
) -> Watch:
    kind = world.resource("configmaps")
    return Watch(kind, "test", accepts, start, bookmarks, initial, timeout_s)


def told(batch: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in batch]


@pytest.mark.parametrize("text", [None, "", "0"])
def test_no_version_means_from_what_there_is(text: str | None) -> None:
    assert parse_version(text, 10) is None


@pytest.mark.parametrize(("text", "code"), [("abc", 400), ("-1", 400), ("11", 504)])
def test_a_version_that_cannot_be_is_refused(text: str, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        parse_version(text, 10)
    assert refused.value.code == code


async def test_it_begins_with_what_there_is_and_goes_on(world: World) -> None:
    world.create("configmaps", a_config("a"))
    events = follow(world.store, a_watch(world))

    first = await anext(events)
    world.create("configmaps", a_config("b"))
    second = await anext(events)
    world.create("configmaps", a_config("c"))
    third = await anext(events)
    await events.aclose()

    seen = [told(batch) for batch in (first, second, third)]
    assert seen == [[("ADDED", "a")], [("ADDED", "b")], [("ADDED", "c")]]


async def test_it_goes_on_from_a_version(world: World) -> None:
    start = world.store.revision
    world.create("configmaps", a_config("a"))
    world.delete("configmaps", "a")
    events = follow(world.store, a_watch(world, start))

    assert await anext(events) == []
    assert told(await anext(events)) == [("ADDED", "a"), ("DELETED", "a")]
    await events.aclose()


async def test_other_namespaces_and_kinds_are_not_its_business(world: World) -> None:
    start = world.store.revision
    events = follow(world.store, a_watch(world, start))
    await anext(events)
    world.create("secrets", {"metadata": {"name": "s"}})
    other = world.resource("configmaps")
    world.create("namespaces", {"metadata": {"name": "other"}})
    world.registry.create(other, "other", a_config("x"), ME)
    world.create("configmaps", a_config("mine"))

    assert told(await anext(events)) == [("ADDED", "mine")]
    await events.aclose()


async def test_leaving_the_selection_is_a_deletion_with_a_new_version(world: World) -> None:
    made = world.create("configmaps", {"metadata": {"name": "a", "labels": {"in": "yes"}}})

    def accepts(obj: dict[str, Any]) -> bool:
        return (obj["metadata"].get("labels") or {}).get("in") == "yes"

    events = follow(world.store, a_watch(world, world.store.revision, accepts))
    await anext(events)
    world.patch("configmaps", "a", {"metadata": {"labels": {"in": "no"}}})
    (event,) = await anext(events)
    await events.aclose()

    assert event["type"] == "DELETED"
    assert event["object"]["metadata"]["labels"] == {"in": "yes"}
    assert event["object"]["metadata"]["resourceVersion"] > made["metadata"]["resourceVersion"]


async def test_who_falls_behind_is_told_to_list_again(world: World) -> None:
    events = follow(world.store, a_watch(world, world.store.revision))
    await anext(events)
    world.create("configmaps", a_config("a"))
    world.store.forget()

    (event,) = await anext(events)

    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_a_first_list_ends_in_a_marked_bookmark(world: World) -> None:
    world.create("configmaps", a_config("a"))
    events = follow(world.store, a_watch(world, initial=True))

    batch = await anext(events)
    await events.aclose()

    assert told(batch) == [("ADDED", "a"), ("BOOKMARK", "")]
    kind = world.resource("configmaps")
    assert batch[-1] == bookmark(kind, world.store.revision, initial=True)


@pytest.mark.looptime
async def test_a_quiet_watch_tells_its_position_when_asked_to(world: World) -> None:
    events = follow(world.store, a_watch(world, world.store.revision, bookmarks=True))
    await anext(events)
    world.create("secrets", {"metadata": {"name": "s"}})
    begun = asyncio.get_running_loop().time()

    (event,) = await anext(events)
    await events.aclose()

    assert asyncio.get_running_loop().time() - begun == pytest.approx(BOOKMARK_S)
    assert event["object"]["metadata"]["resourceVersion"] == str(world.store.revision)


@pytest.mark.looptime
async def test_it_ends_when_its_time_is_over(world: World) -> None:
    begun = asyncio.get_running_loop().time()
    watch = a_watch(world, world.store.revision, timeout_s=5)

    batches = [batch async for batch in follow(world.store, watch)]

    assert batches == [[]]
    assert asyncio.get_running_loop().time() - begun == pytest.approx(5)


async def test_who_leaves_is_forgotten(world: World) -> None:
    listeners = len(world.store._listeners)
    events = follow(world.store, a_watch(world))
    await anext(events)
    await events.aclose()

    assert len(world.store._listeners) == listeners
