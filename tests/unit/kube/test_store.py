"""The store: what is kept, what is told, and reading one's own writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.kube.cluster import Change
from serinus.kube.refs import Obj, Ref
from serinus.kube.store import REMEMBERED_VERSIONS, Store

WEB = Ref("v1", "ConfigMap", "shop", "web")


def a_config(version: str, name: str = "web", uid: str = "u1", **more: object) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": version},
        **more,
    }


def version_of(store: Store, ref: Ref = WEB) -> str | None:
    return _version(store.get(ref))


def modified(version: str, **more: str) -> Change:
    return Change("MODIFIED", a_config(version, **more))


class Told:
    """A listener that writes down what it hears, as (version before, version after)."""

    def __init__(self) -> None:
        self.news: list[tuple[str | None, str | None]] = []

    def __call__(self, before: Obj | None, after: Obj | None) -> None:
        self.news.append((_version(before), _version(after)))


def _version(obj: Obj | None) -> str | None:
    return str(obj["metadata"]["resourceVersion"]) if obj else None


def test_a_list_tells_only_differences() -> None:
    """After a relist: what came, what changed and what went; what is the same is silent."""
    told = Told()
    store = Store(on_change=told)
    store.replace([a_config("1", "same"), a_config("2", "old"), a_config("3", "gone")], "9")
    told.news.clear()

    store.replace([a_config("1", "same"), a_config("5", "old"), a_config("6", "new")], "10")

    assert told.news == [("2", "5"), (None, "6"), ("3", None)]
    assert store.resource_version == "10"
    assert len(store) == 3


def test_changes_are_taken_in_their_order() -> None:
    told = Told()
    store = Store(on_change=told)
    store.replace([], "1")

    store.take(Change("ADDED", a_config("2")))
    store.take(modified("3"))
    store.take(Change("DELETED", a_config("4")))

    assert told.news == [(None, "2"), ("2", "3"), ("3", None)]
    assert WEB not in store
    assert store.resource_version == "4"


def test_a_bookmark_moves_the_version_and_nothing_else() -> None:
    told = Told()
    store = Store(on_change=told)
    store.replace([a_config("1")], "1")
    told.news.clear()

    store.take(Change("BOOKMARK", {"metadata": {"resourceVersion": "7"}}))

    assert store.resource_version == "7"
    assert told.news == []


def test_objects_are_found_by_index() -> None:
    """An index follows changes of its key, and forgets what went."""
    store = Store(indexes={"team": lambda obj: obj.get("teams", ())})
    store.replace([a_config("1", "a", teams=["red"]), a_config("2", "b", teams=["red"])], "2")

    store.take(Change("MODIFIED", a_config("3", "a", teams=["blue", "green"])))
    store.take(Change("DELETED", a_config("4", "b")))

    assert store.by("team", "red") == []
    assert [o["metadata"]["name"] for o in store.by("team", "blue")] == ["a"]
    assert store.by("team", "green") == store.by("team", "blue")
    assert store.by("team", "none") == []


def test_what_is_kept_is_trimmed_first() -> None:
    """Contents that are not wanted are never in the store, however they come."""

    def trim(obj: Obj) -> Obj:
        return {k: v for k, v in obj.items() if k != "data"}

    store = Store(transform=trim)
    store.replace(map(store.trim, [a_config("1", "a", data={"k": "v"})]), "1")
    store.take(Change("ADDED", a_config("2", "b", data={"k": "v"})))
    store.put_written(a_config("3", "c", data={"k": "v"}))

    assert len(store) == 3
    assert all("data" not in obj for obj in store)


def test_our_write_is_seen_at_once_and_older_news_does_not_undo_it() -> None:
    store = Store()
    store.replace([a_config("1")], "1")

    store.put_written(a_config("5"))
    assert version_of(store) == "5"
    store.take(modified("3"))
    store.take(modified("4"))
    assert version_of(store) == "5"

    store.take(modified("5"))
    store.take(modified("6"))
    assert version_of(store) == "6"


def test_a_write_whose_news_came_first_does_not_go_back() -> None:
    """The watch may be faster than the answer to the request, and further on already."""
    store = Store()
    store.replace([a_config("1")], "1")
    store.take(modified("5"))
    store.take(modified("6"))

    store.put_written(a_config("5"))
    assert version_of(store) == "6"
    store.take(modified("7"))

    assert version_of(store) == "7"


def test_a_write_that_changed_nothing_blinds_nobody() -> None:
    """The answer to a no-op write has the version that is known already."""
    store = Store()
    store.replace([a_config("1")], "1")

    store.put_written(a_config("1"))
    store.take(modified("2"))

    assert version_of(store) == "2"


def test_a_write_to_an_object_that_is_deleted_is_forgotten() -> None:
    store = Store()
    store.replace([a_config("1")], "1")
    store.put_written(a_config("5"))

    store.take(Change("DELETED", a_config("4")))
    store.take(Change("ADDED", a_config("6", uid="u2")))

    assert version_of(store) == "6"


def test_the_end_of_an_earlier_object_is_not_the_end_of_ours() -> None:
    """Deleted and made again by us: the old object's DELETED comes after our answer."""
    store = Store()
    store.replace([a_config("1", uid="old")], "1")
    store.put_written(a_config("5", uid="new"))

    store.take(Change("DELETED", a_config("4", uid="old")))
    assert version_of(store) == "5"
    store.take(Change("ADDED", a_config("5", uid="new")))
    store.take(modified("6", uid="new"))

    assert version_of(store) == "6"


def test_a_relist_ends_the_wait_for_a_version_that_never_came() -> None:
    store = Store()
    store.replace([a_config("1")], "1")
    store.put_written(a_config("5"))

    store.begin_listing()
    store.replace([a_config("7")], "7")
    store.take(modified("8"))

    assert version_of(store) == "8"


def test_a_write_during_a_relist_survives_the_older_list() -> None:
    """The list was read before the write: what we wrote is kept, and its news is waited for."""
    store = Store()
    store.replace([a_config("1")], "1")

    store.begin_listing()
    store.put_written(a_config("5"))
    store.put_written(a_config("6", "made"))
    store.replace([a_config("4")], "4")

    assert version_of(store) == "5"
    assert version_of(store, Ref("v1", "ConfigMap", "shop", "made")) == "6"
    store.take(modified("5"))
    store.take(modified("7"))
    assert version_of(store) == "7"


def test_our_own_deletion_is_seen_at_once() -> None:
    store = Store()
    store.replace([a_config("1")], "1")

    store.forget(WEB)

    assert WEB not in store


def test_the_memory_of_versions_is_bounded() -> None:
    store = Store()
    store.replace([], "0")

    for number in range(REMEMBERED_VERSIONS + 10):
        store.take(modified(str(number)))

    assert len(store._went_by) == REMEMBERED_VERSIONS


async def test_synced_means_that_a_list_is_in() -> None:
    store = Store()
    assert not store.is_synced

    store.replace([], "1")

    await store.synced()
    assert store.is_synced


@given(st.dictionaries(st.integers(2, 7), st.integers(0, 9)))
def test_however_answers_and_news_interleave_the_last_version_wins(delays: dict[int, int]) -> None:
    """News of versions 2 to 7 comes in order; answers to our own among them, one after the other,
    from two moments before their news to long after.

    The store never shows less than our last answer, and in the end version 7.
    """
    answers: list[tuple[int, int]] = []
    for number, delay in sorted(delays.items()):
        when = number - 2 + delay
        answers.append((max([when, *(w for w, _ in answers)]), number))
    store = Store()
    store.replace([a_config("1")], "1")
    least = 1
    for moment in range(20):
        for _, number in (answer for answer in answers if answer[0] == moment):
            store.put_written(a_config(str(number)))
            least = number
        if 2 <= moment <= 7:
            store.take(modified(str(moment)))
        assert int(version_of(store) or 0) >= least

    assert version_of(store) == "7"


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED"])
def test_the_same_version_twice_is_told_once(kind: str) -> None:
    told = Told()
    store = Store(on_change=told)
    store.replace([a_config("1")], "1")
    told.news.clear()

    store.take(Change(kind, a_config("1")))  # type: ignore[arg-type]

    assert told.news == []
