"""The scale subresource."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.sandbox import scale
from serinus.sandbox.errors import ApiError
from serinus.sandbox.resources import Kinds, Resource

DEPLOYMENTS = Kinds().at("apps", "v1", "deployments")
PATHS = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
BIRDS = Resource("zoo.org", "v1", "birds", "Bird", scale=True, scale_paths=PATHS)
LIVE: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {}},
    "spec": {"replicas": 3, "size": 5, "selector": {"matchLabels": {"b": "2", "a": "1"}}},
    "status": {"replicas": 2, "size": 4},
}


def test_it_tells_wanted_and_present() -> None:
    found = scale.read(DEPLOYMENTS, LIVE)

    assert found["spec"] == {"replicas": 3}
    assert found["status"] == {"replicas": 2, "selector": "a=1,b=2"}
    assert "labels" not in found["metadata"]


def test_a_definition_says_where_the_numbers_are() -> None:
    assert scale.read(BIRDS, LIVE)["spec"] == {"replicas": 5}
    assert scale.as_patch(BIRDS, {"spec": {"replicas": 1}}) == {"spec": {"size": 1}}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("put", {"spec": {"replicas": 9}}),
        ("merge", {"spec": {"replicas": 9}}),
        ("json", [{"op": "replace", "path": "/spec/replicas", "value": 9}]),
    ],
)
def test_every_way_of_writing_sets_the_number(kind: str, body: Any) -> None:
    wanted = scale.written(scale.read(DEPLOYMENTS, LIVE), body, kind)

    assert scale.as_patch(DEPLOYMENTS, wanted)["spec"] == {"replicas": 9}


def test_a_version_in_the_scale_guards_the_write() -> None:
    wanted = scale.written(scale.read(DEPLOYMENTS, LIVE), {"spec": {"replicas": 9}}, "merge")

    assert scale.as_patch(DEPLOYMENTS, wanted)["metadata"] == {"resourceVersion": "7"}


@pytest.mark.parametrize("body", [{"spec": {"replicas": -1}}, {"spec": {"replicas": "x"}}, [1]])
def test_nonsense_is_refused(body: Any) -> None:
    with pytest.raises(ApiError):
        scale.written({}, body, "put")
