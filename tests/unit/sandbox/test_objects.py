"""Small questions about pods and owners."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from serinus.sandbox.objects import (
    is_active,
    owned_by,
    owner,
    port_number,
    seconds_until_available,
)

NOW = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:20Z"}


def a_pod(*conditions: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {}, "status": {"conditions": list(conditions), **status}}


def test_availability_takes_its_time() -> None:
    assert seconds_until_available(a_pod(), 0, NOW) is None
    assert seconds_until_available(a_pod(READY), 0, NOW) == 0
    assert seconds_until_available(a_pod(READY), 15, NOW) == 5
    assert seconds_until_available(a_pod(READY), 10, NOW) == 0


def test_pods_that_go_or_are_over_are_not_active() -> None:
    assert is_active(a_pod(phase="Running"))
    assert not is_active(a_pod(phase="Failed"))
    assert not is_active({"metadata": {"deletionTimestamp": "t"}})


def test_a_controller_owns_what_refers_to_it() -> None:
    parent = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r", "uid": "u"}}
    child = {"metadata": {"ownerReferences": owned_by(parent)}}

    assert owner(child, "ReplicaSet") == "u"
    assert owner(child, "DaemonSet") == ""
    assert owner({"metadata": {}}, "ReplicaSet") == ""


def test_ports_have_numbers_and_names() -> None:
    spec = {"containers": [{"ports": [{"name": "http", "containerPort": 9898}]}]}

    assert port_number(spec, 80) == 80
    assert port_number(spec, "81") == 81
    assert port_number(spec, "http") == 9898
    assert port_number(spec, "none") is None
