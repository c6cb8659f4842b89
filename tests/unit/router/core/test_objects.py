"""Differences between two states of an object, and whose it is."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import REF, a_service, an_exposure

from serinus.events.canary import ExtraMetadata, ServiceSpec
from serinus.kube.refs import Ref, owner_reference
from serinus.router.core.objects import (
    KEEP_FLUX_AWAY,
    Live,
    apex_metadata,
    in_the_way,
    is_leftover,
    merge_patch,
    overlaid,
)

values = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", max_size=1), inner),
    max_leaves=8,
)
objects = st.dictionaries(st.text("abc", max_size=1), values, max_size=3)


def merged(live: Any, patch: Any) -> Any:
    """RFC 7386, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@given(objects, objects)
def test_the_patch_of_two_states_leads_from_one_to_the_other(live: Any, wanted: Any) -> None:
    assert wanted == merged(live, merge_patch(live, wanted))


@given(objects)
def test_equal_states_need_no_patch(live: Any) -> None:
    assert {} == merge_patch(live, copy.deepcopy(live))


def test_a_patch_touches_only_what_differs() -> None:
    live = {"spec": {"a": 1, "b": [1, 2], "gone": 1}, "status": {"x": 1}}
    wanted = {"spec": {"a": 1, "b": [1]}, "status": {"x": 1}}

    assert {"spec": {"b": [1], "gone": None}} == merge_patch(live, wanted)


def test_overlaying_joins_maps_and_replaces_lists() -> None:
    live = {"spec": {"a": 1, "list": [1, 2]}, "theirs": True}
    ours = {"spec": {"list": [3]}}

    found = overlaid(live, ours)
    found["spec"]["list"].append(4)

    assert {"spec": {"a": 1, "list": [3, 4]}, "theirs": True} == found
    assert [3] == ours["spec"]["list"], "what is handed in is never shared"
    assert [1, 2] == live["spec"]["list"]


def test_apex_metadata_has_the_selector_label_only_with_service_apex() -> None:
    """TRACE 3.6: the label appears because Flagger writes into the manifest's own map."""
    assert {"annotations": KEEP_FLUX_AWAY} == apex_metadata(an_exposure())
    apex = ExtraMetadata(labels={"l": "1"})
    found = apex_metadata(an_exposure(service=ServiceSpec(port=80, apex=apex)))

    assert {"l": "1", "app": "web"} == found["labels"]


@pytest.mark.parametrize(
    ("owner", "is_foreign", "is_old"),
    [
        (None, "", False),
        (owner_reference(REF), "", False),
        ({**owner_reference(REF), "uid": "earlier"}, "Canary web", True),
        ({"kind": "Rollout", "name": "x", "uid": "u", "controller": True}, "Rollout x", False),
        ({"kind": "Rollout", "name": "x", "uid": "u"}, "", False),
    ],
)
def test_whose_an_object_is(owner: Any, is_foreign: str, is_old: bool) -> None:
    obj = a_service(metadata={"ownerReferences": [owner] if owner else []})

    assert is_foreign == in_the_way(obj, REF)
    assert is_old == is_leftover(obj, REF)


def test_live_objects_with_one_changed_are_others() -> None:
    ref = Ref("v1", "Service", "shop", "web")
    before = Live()
    after = before.with_(ref, a_service())

    assert before.get(ref) is None
    assert a_service() == after.get(ref)
    assert after.with_(ref, None).get(ref) is None
    assert after.without([ref]).get(ref) is None
    assert a_service() == after.get(ref)
