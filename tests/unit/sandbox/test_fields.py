"""Field sets and their notation."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from serinus.sandbox import fields as f
from serinus.sandbox.shapes import Shape

BUILT_IN = Shape("builtin")


def test_leaves_are_named_as_fields_v1_names_them() -> None:
    container = {"name": "web", "image": "x:1", "env": [{"name": "A", "value": "1"}]}
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [container]},
    }

    leaves = set(f.leaves_of(obj, BUILT_IN))

    web = ("f:spec", "f:containers", 'k:{"name":"web"}')
    env = (*web, "f:env", 'k:{"name":"A"}')
    wanted = {web, (*web, "f:name"), (*web, "f:image"), env, (*env, "f:name"), (*env, "f:value")}
    assert leaves == wanted


def test_what_is_the_systems_belongs_to_nobody() -> None:
    meta = {"name": "a", "uid": "u", "resourceVersion": "1", "generation": 1, "labels": {"x": "y"}}
    managed = [{"manager": "m"}]
    obj = {"kind": "ConfigMap", "metadata": {**meta, "managedFields": managed}}

    assert set(f.leaves_of(obj, BUILT_IN)) == {("f:metadata", "f:labels", "f:x")}


def test_atomic_parts_are_one_leaf() -> None:
    obj = {"spec": {"selector": {"app": "web", "tier": "x"}, "steps": [1, 2], "empty": {}}}

    assert set(f.leaves_of(obj, BUILT_IN)) == {
        ("f:spec", "f:selector"),
        ("f:spec", "f:steps"),
        ("f:spec", "f:empty"),
    }


def test_differences_tell_changed_from_gone() -> None:
    changed, gone = f.differences(
        {("a",): 1, ("b",): 1, ("c",): 1}, {("a",): 1, ("b",): True, ("d",): 0}
    )

    assert changed == {("b",), ("d",)}
    assert gone == {("c",)}


def test_the_notation_marks_items_that_are_owned_themselves() -> None:
    item = ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}')

    tree = f.to_v1({item, (*item, "f:port")})

    assert tree == {"f:spec": {"f:ports": {item[2]: {".": {}, "f:port": {}}}}}


NAMES = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(tuple)


@given(st.frozensets(PATHS, max_size=12))
def test_the_notation_loses_nothing(paths: f.Fields) -> None:
    assert f.from_v1(f.to_v1(paths)) == paths


def test_keys_are_read_in_whatever_order_they_were_written() -> None:
    tree = {"f:ports": {'k:{"protocol":"TCP","port":80}': {}}}

    assert f.from_v1(tree) == {("f:ports", 'k:{"port":80,"protocol":"TCP"}')}


def test_paths_are_spoken_as_the_real_server_speaks_them() -> None:
    path = ("f:spec", "f:containers", 'k:{"name":"web"}', "f:image")

    assert f.spoken(path) == '.spec.containers[name="web"].image'
    assert f.spoken(("f:metadata", "f:finalizers", 'v:"a/b"')) == '.metadata.finalizers[="a/b"]'


def test_removing_the_last_part_removes_the_whole() -> None:
    obj: dict[str, Any] = {
        "data": {"a": "1"},
        "metadata": {"labels": {"x": "y", "z": "w"}},
        "e": {},
    }
    doomed = {("f:data", "f:a"), ("f:metadata", "f:labels", "f:x")}

    assert f.remove(obj, BUILT_IN, doomed.__contains__) == {
        "metadata": {"labels": {"z": "w"}},
        "e": {},
    }


def test_removing_an_item_removes_its_fields() -> None:
    obj = {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}}
    doomed = ("f:spec", "f:containers", 'k:{"name":"a"}')

    left = f.remove(obj, BUILT_IN, lambda path: path == doomed)

    assert left == {"spec": {"containers": [{"name": "b"}]}}
