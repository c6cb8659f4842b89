"""What a DELETE makes of an object."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.sandbox import deletion
from serinus.sandbox.errors import ApiError
from serinus.sandbox.resources import Kinds

KINDS = {row.plural: row for row in Kinds()}


def an_object(spec: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "x", "uid": "u", "resourceVersion": "7", **meta},
        "spec": spec or {},
    }


def begin(plural: str, obj: dict[str, Any], **options: Any) -> dict[str, Any] | None:
    return deletion.begin(KINDS[plural], obj, options, "now")


def test_an_ordinary_object_goes_at_once() -> None:
    assert begin("configmaps", an_object()) is None
    assert begin("configmaps", an_object(), propagationPolicy="Background") is None


def test_a_finalizer_makes_it_wait_and_count_a_generation() -> None:
    waiting = begin("canaries", an_object(finalizers=["a/b"], generation=3))

    assert waiting is not None
    assert waiting["metadata"]["deletionTimestamp"] == "now"
    assert waiting["metadata"]["generation"] == 4


def test_asking_again_changes_nothing() -> None:
    held = an_object(finalizers=["a/b"], deletionTimestamp="then", deletionGracePeriodSeconds=0)

    assert begin("configmaps", held) is held


@pytest.mark.parametrize(
    ("options", "finalizer"),
    [
        ({"propagationPolicy": "Foreground"}, "foregroundDeletion"),
        ({"propagationPolicy": "Orphan"}, "orphan"),
        ({"orphanDependents": True}, "orphan"),
    ],
)
def test_a_policy_is_a_finalizer(options: dict[str, Any], finalizer: str) -> None:
    waiting = begin("configmaps", an_object(), **options)

    assert waiting is not None
    assert waiting["metadata"]["finalizers"] == [finalizer]


@pytest.mark.parametrize(
    ("spec", "status", "options", "grace"),
    [
        ({"nodeName": "n"}, {}, {}, 30),
        ({"nodeName": "n", "terminationGracePeriodSeconds": 5}, {}, {}, 5),
        ({"nodeName": "n"}, {}, {"gracePeriodSeconds": 3}, 3),
        ({"nodeName": "n"}, {}, {"gracePeriodSeconds": 0}, None),
        ({}, {}, {}, None),
        ({"nodeName": "n"}, {"phase": "Succeeded"}, {}, None),
    ],
)
def test_only_a_pod_that_runs_has_a_grace(
    spec: dict[str, Any], status: dict[str, Any], options: dict[str, Any], grace: int | None
) -> None:
    waiting = begin("pods", {**an_object(spec), "status": status}, **options)

    assert (waiting and waiting["metadata"]["deletionGracePeriodSeconds"]) == grace


def test_a_shorter_grace_is_taken_over() -> None:
    going = an_object({"nodeName": "n"}, deletionTimestamp="then", deletionGracePeriodSeconds=30)

    shorter = begin("pods", going, gracePeriodSeconds=1)

    assert shorter is not None
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 1


def test_a_namespace_waits_to_be_emptied() -> None:
    waiting = begin("namespaces", an_object({"finalizers": ["kubernetes"]}))

    assert waiting is not None
    assert waiting["status"]["phase"] == "Terminating"
    assert not deletion.over(KINDS["namespaces"], waiting)
    waiting["spec"]["finalizers"] = []
    assert deletion.over(KINDS["namespaces"], waiting)


def test_preconditions_name_what_differs() -> None:
    kind = KINDS["configmaps"]
    deletion.check(kind, an_object(), {"uid": "u", "resourceVersion": "7"})

    for wrong in ({"uid": "v"}, {"resourceVersion": "8"}):
        with pytest.raises(ApiError) as refused:
            deletion.check(kind, an_object(), wrong)
        assert "Precondition failed" in refused.value.message


def test_what_is_not_being_deleted_is_not_over() -> None:
    kind = KINDS["configmaps"]
    assert not deletion.over(kind, an_object())
    assert not deletion.over(kind, an_object(deletionTimestamp="t", finalizers=["a"]))
    assert deletion.over(kind, an_object(deletionTimestamp="t", deletionGracePeriodSeconds=0))
