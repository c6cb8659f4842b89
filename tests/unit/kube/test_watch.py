"""List and watch for ever, on virtual time, against a cluster that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from serinus.kube.cluster import Change, Listing
from serinus.kube.errors import Denied, Gone, NoKind, Unreachable
from serinus.kube.refs import Obj, Ref
from serinus.kube.store import Store
from serinus.kube.watch import LONGEST_RETRY_S, State, backoff_s, reflect
from serinus.runtime.clock import LoopClock

pytestmark = pytest.mark.looptime

Script = Callable[[], Listing | Exception]


def a_config(version: str, name: str = "web") -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": version},
    }


def named(name: str) -> Ref:
    return Ref("v1", "ConfigMap", "shop", name)


class Scripted:
    """A cluster whose lists and watches go by a script; after its end they work and are silent.

    lists    answers or errors, one per list
    watches  one per watch: changes to send, errors to end with; `None` ends it as a server does
    """

    def __init__(self, lists: Sequence[Any] = (), watches: Sequence[Sequence[Any]] = ()) -> None:
        self.lists = list(lists)
        self.watches = [list(w) for w in watches]
        self.asked: list[tuple[float, str]] = []
        self.open = 0

    def _note(self, what: str) -> None:
        self.asked.append((asyncio.get_running_loop().time(), what))

    async def list(
        self, api_version: str, kind: str, namespace: str = "", selector: str = ""
    ) -> Listing:
        self._note("list")
        answer = self.lists.pop(0) if self.lists else Listing((), "1")
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Listing)
        return answer

    async def watch(
        self,
        api_version: str,
        kind: str,
        resource_version: str,
        namespace: str = "",
        selector: str = "",
    ) -> AsyncIterator[Change]:
        self._note(f"watch from {resource_version}")
        self.open += 1
        try:
            script = self.watches.pop(0) if self.watches else [3600.0]
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Change):
                    yield step
                elif step is not None:
                    await asyncio.sleep(step)
        finally:
            self.open -= 1


class Board:
    """Readiness, as the last word on each name."""

    def __init__(self) -> None:
        self.state: dict[str, tuple[bool, str]] = {}

    def set(self, name: str, ok: bool, why: str = "") -> None:
        self.state[name] = (ok, why)


@asynccontextmanager
async def reflecting(
    cluster: Any, store: Store, **more: Any
) -> AsyncIterator[list[tuple[State, str]]]:
    states: list[tuple[State, str]] = []
    task = asyncio.create_task(
        reflect(
            cluster,
            "v1",
            "ConfigMap",
            store=store,
            clock=LoopClock(),
            on_state=lambda state, why: states.append((state, why)),
            uniform=lambda: 1.0,
            **more,
        )
    )
    try:
        yield states
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def times(cluster: Scripted, what: str) -> list[float]:
    return [round(at, 1) for at, asked in cluster.asked if asked == what]


async def test_changes_come_after_the_list() -> None:
    """List once, then watch from the list's version: bookmarks move it."""
    changes = [
        1.0,
        Change("ADDED", a_config("3", "new")),
        Change("BOOKMARK", {"metadata": {"resourceVersion": "8"}}),
        None,
    ]
    cluster = Scripted([Listing((a_config("2"),), "2")], [changes])
    store = Store()
    board = Board()

    async with reflecting(cluster, store, health=board) as states:
        assert board.state.get("kube ConfigMap", (False,))[0] is False
        await asyncio.sleep(2)

        assert named("web") in store
        assert named("new") in store
        assert [asked for _, asked in cluster.asked] == ["list", "watch from 2", "watch from 8"]
        assert [state for state, _ in states] == ["listing", "streaming"]
        assert board.state == {"kube ConfigMap": (True, "")}


async def test_a_forgotten_version_is_listed_again_at_once() -> None:
    """And what went meanwhile is gone from the store."""
    first = Listing((a_config("2", "a"), a_config("3", "b")), "3")
    second = Listing((a_config("9", "b"),), "9")
    cluster = Scripted([first, second], [[5.0, Gone("too old")]])
    store = Store()

    async with reflecting(cluster, store):
        await asyncio.sleep(5.05)

        assert times(cluster, "list") == [0.0, 5.0]
        assert named("a") not in store
        assert store.resource_version == "9"


async def test_a_server_that_always_says_gone_is_not_asked_in_a_loop() -> None:
    cluster = Scripted([], [[Gone("too old")] for _ in range(1000)])

    async with reflecting(cluster, Store()):
        await asyncio.sleep(60)

    assert len(cluster.asked) < 30


async def test_a_watch_that_always_ends_at_once_is_not_asked_in_a_loop() -> None:
    cluster = Scripted([], [[None] for _ in range(1000)])

    async with reflecting(cluster, Store()):
        await asyncio.sleep(60)

    assert len(cluster.asked) < 30


async def test_an_outage_is_red_and_retried_ever_more_slowly() -> None:
    """The first retry is fast, later ones are at most 30 s apart; then everything goes on."""
    cluster = Scripted([Unreachable("no route")] * 12)
    store, board = Store(), Board()

    async with reflecting(cluster, store, health=board) as states:
        await asyncio.sleep(10)
        assert board.state["kube ConfigMap"] == (False, "no route")
        assert not store.is_synced
        await asyncio.sleep(200)

        gaps = [b - a for (a, _), (b, _) in zip(cluster.asked, cluster.asked[1:], strict=False)]
        assert gaps[0] == pytest.approx(0.2)
        assert gaps[:7] == sorted(gaps[:7])
        assert max(gaps) == pytest.approx(LONGEST_RETRY_S)
        assert store.is_synced
        assert board.state["kube ConfigMap"] == (True, "")
        assert [state for state, _ in states] == ["listing", "away", "streaming"]


async def test_a_broken_watch_goes_on_from_where_it_was() -> None:
    """No list: the version is still good."""
    cluster = Scripted(
        [Listing((), "1")], [[Change("ADDED", a_config("4")), 5.0, Unreachable("reset")]]
    )
    store = Store()

    async with reflecting(cluster, store) as states:
        await asyncio.sleep(6)

        assert [asked for _, asked in cluster.asked] == ["list", "watch from 1", "watch from 4"]
        assert named("web") in store
        assert states[-1] == ("away", "reset")


async def test_a_refusal_is_red_with_the_servers_words() -> None:
    cluster = Scripted([Denied("configmaps is forbidden: User x cannot list")])
    board = Board()

    async with reflecting(cluster, Store(), health=board) as states:
        await asyncio.sleep(0.1)

        assert states[-1][0] == "away"
        assert "forbidden" in board.state["kube ConfigMap"][1]


@pytest.mark.parametrize(("required", "green"), [(True, False), (False, True)])
async def test_a_kind_that_is_not_served_counts_as_empty(required: bool, green: bool) -> None:
    """Nobody waits for its first list; whether that is a fault, the caller knows."""
    cluster = Scripted([NoKind("no such kind")] * 3)
    store, board = Store(), Board()

    async with reflecting(cluster, store, health=board, required=required) as states:
        await asyncio.sleep(1)
        assert store.is_synced
        assert states[-1] == ("missing", "no such kind")
        assert board.state["kube ConfigMap"] == (green, "no such kind")

        await asyncio.sleep(120)
        assert states[-1][0] == "streaming"
        assert board.state["kube ConfigMap"][0] is True


async def test_a_kind_that_nobody_needs_is_asked_for_rarely_and_soon_once_somebody_does() -> None:
    cluster = Scripted([NoKind("no such kind")] * 4)
    is_needed = False

    async with reflecting(cluster, Store(), wanted=lambda: is_needed):
        await asyncio.sleep(599)
        assert 1 == len(cluster.asked)
        await asyncio.sleep(30)
        assert 2 == len(cluster.asked)

        is_needed = True
        await asyncio.sleep(20)
        assert 3 == len(cluster.asked)


async def test_a_kind_that_is_removed_takes_its_objects_along() -> None:
    cluster = Scripted(
        [Listing((a_config("2"),), "2"), NoKind("no such kind")], [[5.0, Gone("too old")]]
    )
    store = Store()

    async with reflecting(cluster, store):
        await asyncio.sleep(6)

        assert len(store) == 0


async def test_a_list_comes_in_pages_where_the_cluster_can() -> None:
    """Each page is trimmed before the next one is asked for."""

    class Paged(Scripted):
        async def pages(
            self, api_version: str, kind: str, namespace: str = "", selector: str = ""
        ) -> AsyncIterator[Listing]:
            yield Listing((a_config("1", "a"),), "5")
            yield Listing((a_config("2", "b"),), "5")

    trimmed: list[str] = []

    def trim(obj: Obj) -> Obj:
        trimmed.append(obj["metadata"]["name"])
        return obj

    cluster = Paged()
    store = Store(transform=trim)
    async with reflecting(cluster, store):
        await asyncio.sleep(1)

    assert trimmed == ["a", "b"]
    assert [asked for _, asked in cluster.asked] == ["watch from 5"]


async def test_stopping_closes_the_watch() -> None:
    cluster = Scripted()

    async with reflecting(cluster, Store()):
        await asyncio.sleep(1)
        assert cluster.open == 1

    assert cluster.open == 0


def test_back_off_doubles_up_to_its_bound_and_is_half_jitter() -> None:
    longest = [backoff_s(failures, 1.0) for failures in range(1, 11)]
    shortest = [backoff_s(failures, 0.0) for failures in range(1, 11)]

    assert longest[:4] == [0.2, 0.4, 0.8, 1.6]
    assert longest[-1] == 30.0
    assert shortest == [seconds / 2 for seconds in longest]
    assert backoff_s(10_000, 1.0) == 30.0
