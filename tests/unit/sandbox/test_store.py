"""The store counts versions and forgets in order."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.sandbox.errors import ApiError
from serinus.sandbox.store import Change, Key, Store

PODS, NODES = ("", "pods"), ("", "nodes")


def an_object(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}}


def put(store: Store, name: str, resource: tuple[str, str] = PODS, namespace: str = "n") -> int:
    obj = store.put(Key(resource, namespace, name), an_object(name))
    return int(obj["metadata"]["resourceVersion"])


def test_one_counter_orders_the_changes_of_all_kinds() -> None:
    store = Store()

    assert put(store, "a") < put(store, "b", NODES) < put(store, "a")
    assert store.revision == int(store.all(PODS)[0]["metadata"]["resourceVersion"])


def test_a_list_is_ordered_by_namespace_and_name() -> None:
    store = Store()
    for namespace, name in (("z", "a"), ("b", "b"), ("b", "a")):
        put(store, name, namespace=namespace)

    assert [o["metadata"]["uid"] for o in store.all(PODS)] == ["uid-a", "uid-b", "uid-a"]
    assert len(store.all(PODS, "b")) == 2


def test_the_changes_after_a_version_come_in_order() -> None:
    store = Store()
    start = put(store, "a")
    put(store, "b")
    put(store, "x", NODES)
    put(store, "a")
    store.remove(Key(PODS, "n", "b"))

    seen = [(change.verb, change.key.name) for change in store.since(PODS, start)]

    assert seen == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert store.since(PODS, store.revision) == []


def test_a_deletion_has_a_version_of_its_own_and_the_last_state() -> None:
    store = Store()
    before = put(store, "a")

    last = store.remove(Key(PODS, "n", "a"))

    assert int(last["metadata"]["resourceVersion"]) == before + 1
    assert store.get(Key(PODS, "n", "a")) is None


def test_what_was_forgotten_is_gone_and_not_silently_missing() -> None:
    store = Store(history=3)
    start = store.revision
    for name in "abcd":
        put(store, name)

    with pytest.raises(ApiError) as refused:
        store.since(PODS, start)
    assert (refused.value.code, refused.value.reason) == (410, "Expired")
    assert [change.key.name for change in store.since(PODS, start + 1)] == ["b", "c", "d"]


def test_a_version_from_before_the_start_is_gone() -> None:
    with pytest.raises(ApiError):
        Store().since(PODS, 1)


def test_compaction_forgets_all_that_was() -> None:
    store = Store()
    version = put(store, "a")
    put(store, "b")

    store.forget()

    with pytest.raises(ApiError):
        store.since(PODS, version)
    assert store.since(PODS, store.revision) == []


def test_objects_are_found_by_uid_while_they_are_there() -> None:
    store = Store()
    put(store, "a")

    assert store.find("uid-a") == Key(PODS, "n", "a")
    store.remove(Key(PODS, "n", "a"))
    assert store.find("uid-a") is None


def test_listeners_hear_each_change_until_they_leave() -> None:
    store, heard = Store(), list[Change]()
    leave = store.subscribe(heard.append)
    put(store, "a")
    leave()
    put(store, "b")

    assert [change.key.name for change in heard] == ["a"]


def test_everything_survives_changes_made_while_it_is_read() -> None:
    store = Store()
    for name in "abc":
        put(store, name)

    for key, _ in store.everything():
        store.remove(key)

    assert store.all(PODS) == []
