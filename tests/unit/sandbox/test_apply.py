"""Server-side apply, rule by rule. The contract tests hold it to the real server."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.sandbox.apply import Manager, apply, merge, read_book, update, write_book
from serinus.sandbox.errors import ApiError
from serinus.sandbox.shapes import Shape

Obj = dict[str, Any]
SHAPE = Shape("builtin")
ME, YOU = Manager("me", "Apply", "v1"), Manager("you", "Apply", "v1")
EMPTY: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}


def config(**data: Any) -> Obj:
    return {**EMPTY, "metadata": dict(EMPTY["metadata"]), "data": data}


def applied(live: Obj, wanted: Obj, by: Manager, force: bool = False, now: str = "t") -> Obj:
    """The live object after an apply, with its book written into it."""
    new, book = apply(live, wanted, by, SHAPE, force, now)
    return {**new, "metadata": {**new["metadata"], "managedFields": write_book(book)}}


def managers(obj: Obj) -> dict[str, Obj]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"]["managedFields"]}


def test_what_is_applied_is_owned() -> None:
    live = applied(EMPTY, config(a="1"), ME)

    assert live["data"] == {"a": "1"}
    assert managers(live) == {"me": {"f:data": {"f:a": {}}}}


def test_what_is_left_out_is_removed() -> None:
    live = applied(applied(EMPTY, config(a="1", b="2"), ME), config(a="1"), ME)

    assert live["data"] == {"a": "1"}


def test_what_two_own_stays_until_both_leave_it() -> None:
    live = applied(applied(EMPTY, config(a="1"), ME), config(a="1"), YOU)
    one_left = applied(live, config(), ME)
    both_left = applied(one_left, config(), YOU)

    assert one_left["data"] == {"a": "1"}
    assert "data" not in both_left or both_left["data"] in ({}, None)


def test_another_value_for_an_owned_field_is_a_conflict() -> None:
    live = applied(EMPTY, config(a="1"), ME)

    with pytest.raises(ApiError) as refused:
        applied(live, config(a="2"), YOU)

    assert refused.value.code == 409
    assert refused.value.details["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "me"', "field": ".data.a"}
    ]


def test_force_takes_the_field_over() -> None:
    live = applied(applied(EMPTY, config(a="1", b="1"), ME), config(a="2"), YOU, force=True)

    assert live["data"] == {"a": "2", "b": "1"}
    assert managers(live) == {"me": {"f:data": {"f:b": {}}}, "you": {"f:data": {"f:a": {}}}}


def test_time_moves_only_when_the_fields_of_a_manager_do() -> None:
    live = applied(EMPTY, config(a="1"), ME, now="t1")
    again = applied(live, config(a="2"), ME, now="t2")
    more = applied(again, config(a="2", b="3"), ME, now="t3")

    times = [obj["metadata"]["managedFields"][0]["time"] for obj in (live, again, more)]
    assert times == ["t1", "t1", "t3"]


def test_an_update_owns_what_it_changes_and_takes_it_from_others() -> None:
    live = applied(EMPTY, config(a="1", b="1"), ME)
    writer = Manager("kubectl", "Update", "v1")
    new = {**live, "data": {"a": "2", "b": "1", "c": "3"}}

    book = update(live, new, writer, SHAPE, "t")

    entries = {entry["manager"]: entry["fieldsV1"] for entry in write_book(book)}
    assert entries == {
        "me": {"f:data": {"f:b": {}}},
        "kubectl": {"f:data": {"f:a": {}, "f:c": {}}},
    }


def test_what_an_update_removes_nobody_owns() -> None:
    live = applied(EMPTY, config(a="1"), ME)

    book = update(live, config(), Manager("kubectl", "Update", "v1"), SHAPE, "t")

    assert Manager("me", "Apply", "v1") not in book


def test_a_status_is_owned_apart() -> None:
    through_status = Manager("me", "Apply", "v1", "status")
    live = applied(applied(EMPTY, config(a="1"), ME), {**EMPTY, "status": {"x": 1}}, through_status)

    assert live["data"] == {"a": "1"}
    assert {row.subresource for row in read_book(live)} == {"", "status"}


def test_items_of_keyed_lists_are_merged_and_owned_one_by_one() -> None:
    def pod(*containers: Obj) -> Obj:
        return {**EMPTY, "spec": {"containers": list(containers)}}

    live = applied(EMPTY, pod({"name": "a", "image": "x:1"}), ME)
    live = applied(live, pod({"name": "b", "image": "y:1"}), YOU)
    swapped = applied(live, pod({"name": "c", "image": "z:1"}), ME)

    assert [c["name"] for c in live["spec"]["containers"]] == ["a", "b"]
    assert [c["name"] for c in swapped["spec"]["containers"]] == ["b", "c"]


def test_an_item_stays_while_somebody_owns_a_part_of_it() -> None:
    mine = {**EMPTY, "spec": {"containers": [{"name": "a", "image": "x:1"}]}}
    yours = {**EMPTY, "spec": {"containers": [{"name": "a", "tty": True}]}}
    live = applied(applied(EMPTY, mine, ME), yours, YOU)

    left = applied(live, {**EMPTY}, ME)

    assert left["spec"]["containers"] == [{"name": "a", "tty": True}]


def test_atomic_lists_are_replaced() -> None:
    live = {"spec": {"steps": [1, 2, 3]}}

    assert merge(live, {"spec": {"steps": [9]}}, SHAPE) == {"spec": {"steps": [9]}}


def test_a_config_that_names_every_item_gives_the_order() -> None:
    live = {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}
    wanted = {"spec": {"containers": [{"name": "b"}, {"name": "a"}]}}

    assert merge(live, wanted, SHAPE) == wanted


def test_the_book_is_read_as_it_was_written() -> None:
    live = applied(applied(EMPTY, config(a="1"), ME), config(b="2"), YOU)

    assert write_book(read_book(live)) == live["metadata"]["managedFields"]
