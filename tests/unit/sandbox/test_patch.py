"""The three patches, by their documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.sandbox.errors import ApiError
from serinus.sandbox.patch import json_patch, merge_patch, strategic_patch
from serinus.sandbox.shapes import Shape

BUILT_IN = Shape("builtin")


# The examples of RFC 7396, appendix A
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_its_standard_says(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


def test_patches_leave_the_live_object_alone() -> None:
    live = {"a": {"b": 1}, "l": [1]}

    merge_patch(live, {"a": {"b": 2}})
    json_patch(live, [{"op": "add", "path": "/l/-", "value": 2}])
    strategic_patch(live, {"a": {"c": 3}}, BUILT_IN)

    assert live == {"a": {"b": 1}, "l": [1]}


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "/l/1", "value": 9}, {"a": {"b/c": 1}, "l": [1, 9, 2]}),
        ({"op": "add", "path": "/l/-", "value": 9}, {"a": {"b/c": 1}, "l": [1, 2, 9]}),
        ({"op": "remove", "path": "/l/0"}, {"a": {"b/c": 1}, "l": [2]}),
        ({"op": "replace", "path": "/a/b~1c", "value": 2}, {"a": {"b/c": 2}, "l": [1, 2]}),
        ({"op": "move", "from": "/l/0", "path": "/m"}, {"a": {"b/c": 1}, "l": [2], "m": 1}),
        ({"op": "copy", "from": "/l", "path": "/m"}, {"a": {"b/c": 1}, "l": [1, 2], "m": [1, 2]}),
        ({"op": "test", "path": "/l", "value": [1, 2]}, {"a": {"b/c": 1}, "l": [1, 2]}),
    ],
)
def test_a_json_patch_operates(operation: dict[str, Any], result: Any) -> None:
    assert json_patch({"a": {"b/c": 1}, "l": [1, 2]}, [operation]) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": True},
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "add", "path": "/l/7", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
    ],
)
def test_a_json_patch_that_does_not_fit_is_invalid(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        json_patch({"a": 1, "l": []}, [operation])
    assert refused.value.code == 422


def containers(*listed: dict[str, Any], **directives: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(listed), **directives}}


def test_a_strategic_patch_merges_items_of_the_same_key() -> None:
    live = containers({"name": "a", "image": "x:1"}, {"name": "b", "image": "y:1"})

    patched = strategic_patch(live, containers({"name": "b", "image": "y:2"}), BUILT_IN)

    assert patched == containers({"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"})


def test_a_strategic_patch_deletes_and_replaces_by_directive() -> None:
    live = containers({"name": "a"}, {"name": "b"})

    gone = strategic_patch(live, containers({"name": "a", "$patch": "delete"}), BUILT_IN)
    new = strategic_patch(live, containers({"$patch": "replace"}, {"name": "c"}), BUILT_IN)

    assert gone == containers({"name": "b"})
    assert new == containers({"name": "c"})


def test_a_strategic_patch_orders_and_retains_as_told() -> None:
    live = containers({"name": "a"}, {"name": "b"})
    order = {"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}
    strategy = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    retain = {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}

    ordered = strategic_patch(live, containers({"name": "c"}, **order), BUILT_IN)

    assert [c["name"] for c in ordered["spec"]["containers"]] == ["c", "b", "a"]
    assert strategic_patch(strategy, retain, BUILT_IN) == {"strategy": {"type": "Recreate"}}


def test_a_strategic_patch_edits_sets() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}

    more = strategic_patch(live, {"metadata": {"finalizers": ["c"]}}, BUILT_IN)
    drop = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "b"]}}

    assert more["metadata"]["finalizers"] == ["a", "b", "c"]
    assert strategic_patch(live, drop, BUILT_IN) == {"metadata": {}}


def test_an_item_without_its_key_is_a_bad_request() -> None:
    with pytest.raises(ApiError):
        strategic_patch(containers({"name": "a"}), containers({"image": "x"}), BUILT_IN)


JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON)
def test_merging_a_whole_document_gives_at_least_that_document(target: Any, patch: Any) -> None:
    """Patching twice changes nothing the second time."""
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
