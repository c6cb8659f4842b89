"""What the system puts right in a write."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.sandbox import settle
from serinus.sandbox.resources import Kinds, Resource

KINDS = {row.plural: row for row in Kinds()}
CANARIES, CONFIGS, DEPLOYMENTS = (KINDS[p] for p in ("canaries", "configmaps", "deployments"))


def live(**more: Any) -> dict[str, Any]:
    meta = {"name": "x", "uid": "u", "resourceVersion": "7", "generation": 3}
    return {"apiVersion": "v", "kind": "K", "metadata": meta, "spec": {"a": 1}, **more}


def test_a_new_object_starts_without_a_status() -> None:
    new = settle.born(CANARIES, live(status={"phase": "Failed"}), "uid-1", "now")

    assert "status" not in new
    assert new["metadata"] == {"name": "x", "uid": "uid-1", "creationTimestamp": "now"}


def test_a_plain_write_cannot_touch_identity_or_status() -> None:
    sent = {"metadata": {"name": "x", "uid": "other", "generation": 99}, "status": {"phase": "X"}}

    new = settle.replaced(CANARIES, live(status={"phase": "Failed"}), sent)

    assert new["status"] == {"phase": "Failed"}
    assert new["metadata"] == {"name": "x", "uid": "u", "resourceVersion": "7", "generation": 3}


def test_a_status_write_cannot_touch_anything_else() -> None:
    sent = {"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"a": 2}, "status": {"b": 1}}

    assert settle.told(live(), sent) == live(status={"b": 1})
    assert settle.told(live(status={"b": 1}), {"metadata": {}}) == live()


@pytest.mark.parametrize(
    ("kind", "change", "expected"),
    [
        (CANARIES, {"spec": {"a": 2}}, 4),
        (CANARIES, {"status": {"a": 2}}, 3),
        (CANARIES, {"other": 1}, 4),
        (DEPLOYMENTS, {"spec": {"a": 2}}, 4),
        (DEPLOYMENTS, {"other": 1}, 3),
    ],
)
def test_the_generation_follows_what_is_desired(
    kind: Resource, change: dict[str, Any], expected: int
) -> None:
    assert settle.generation(kind, live(), live(**change)) == expected


def test_a_new_object_is_the_first_generation() -> None:
    assert settle.generation(CANARIES, None, live()) == 1


def test_a_service_keeps_the_address_it_has() -> None:
    def service(**spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}

    kind = KINDS["services"]
    first = settle.completed(kind, None, service(), lambda: "10.0.0.1")
    second = settle.completed(kind, first, service(), lambda: "10.0.0.2")
    headless = settle.completed(kind, None, service(clusterIP="None"), lambda: "10.0.0.3")

    assert first["spec"]["clusterIP"] == second["spec"]["clusterIP"] == "10.0.0.1"
    assert headless["spec"]["clusterIP"] == "None"


def test_ownership_is_not_content() -> None:
    one, other = live(), live()
    other["metadata"] = {**other["metadata"], "managedFields": [{"manager": "m"}]}

    assert settle.same_content(one, other)
    assert not settle.same_content(one, live(spec={"a": 2}))


def test_configmaps_have_no_status_apart() -> None:
    new = settle.replaced(CONFIGS, live(), {"metadata": {"name": "x"}, "status": 1})
    assert new["status"] == 1
