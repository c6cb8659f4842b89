"""The rules of writing. The contract tests hold them to the real server."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.sandbox.conftest import Clock
from tests.unit.sandbox.world import ME, World, a_config, a_deployment

from serinus.sandbox.errors import ApiError
from serinus.sandbox.registry import Write, in_version, random_suffix
from serinus.sandbox.resources import Resource


def refused(code: int, reason: str, action: Any, *arguments: Any, **named: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        action(*arguments, **named)
    assert (caught.value.code, caught.value.reason) == (code, reason)
    return caught.value


def test_times_are_whole_seconds_in_utc(world: World) -> None:
    assert world.create("configmaps", a_config())["metadata"]["creationTimestamp"] == (
        "2026-01-02T03:04:05Z"
    )


def test_what_is_handed_in_is_not_changed(world: World) -> None:
    config = a_config()

    world.create("configmaps", config)

    assert config == a_config()


def test_a_namespace_that_ends_takes_nothing_new(world: World) -> None:
    world.delete("namespaces", "test")

    error = refused(403, "Forbidden", world.create, "configmaps", a_config())
    assert "is being terminated" in error.message


def test_a_body_must_be_what_its_address_says(world: World) -> None:
    world.create("configmaps", a_config())

    for wrong in ({"metadata": {"name": "other"}}, {"kind": "Secret"}, {"apiVersion": "v2"}):
        refused(400, "BadRequest", world.patch, "configmaps", "c", wrong)
    refused(400, "BadRequest", world.patch, "configmaps", "c", {"metadata": {"namespace": "other"}})


def test_a_uid_guards_against_another_object_of_that_name(world: World) -> None:
    world.create("configmaps", a_config())

    refused(409, "Conflict", world.patch, "configmaps", "c", {"metadata": {"uid": "another"}})


def test_an_unchanged_object_makes_no_noise(world: World) -> None:
    world.create("deployments", a_deployment())
    before = world.store.revision

    world.patch("deployments", "web", {"spec": {"replicas": 2}})
    world.apply("deployments", {"metadata": {"name": "web"}, "spec": {"replicas": 2}}, "x")
    applied = world.store.revision
    world.apply("deployments", {"metadata": {"name": "web"}, "spec": {"replicas": 2}}, "x")

    assert applied == before + 1
    assert world.store.revision == applied


def test_a_dry_run_answers_and_stores_nothing(world: World) -> None:
    world.create("configmaps", a_config())

    answer = world.patch("configmaps", "c", {"data": {"a": "2"}}, Write("me", dry_run=True))

    assert answer["data"] == {"a": "2"}
    assert world.get("configmaps", "c")["data"] == {"a": "1"}


def test_a_definition_brings_a_kind_and_takes_it_along(world: World) -> None:
    names = {"plural": "birds", "kind": "Bird", "shortNames": ["bd"]}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {}}}
    spec = {"group": "zoo.org", "scope": "Namespaced", "names": names, "versions": [version]}
    made = world.create(
        "customresourcedefinitions", {"metadata": {"name": "birds.zoo.org"}, "spec": spec}
    )
    world.create("birds", {"metadata": {"name": "tweety"}})

    stored = world.get("customresourcedefinitions", "birds.zoo.org")
    world.delete("customresourcedefinitions", "birds.zoo.org")

    assert made["metadata"]["name"] == "birds.zoo.org"
    assert {c["type"]: c["status"] for c in stored["status"]["conditions"]}["Established"] == "True"
    assert world.kinds.by_id(("zoo.org", "birds")) is None
    assert world.store.all(("zoo.org", "birds")) == []


def test_a_removed_finalizer_removes_what_waited_for_it(world: World) -> None:
    config = a_config()
    config["metadata"]["finalizers"] = ["a/b"]
    world.create("configmaps", config)

    gone = world.delete("configmaps", "c")
    held = world.get("configmaps", "c")
    world.patch("configmaps", "c", {"metadata": {"finalizers": None}})

    assert not gone
    assert held["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:05Z"
    refused(404, "NotFound", world.get, "configmaps", "c")


def test_finishing_a_pod_respects_its_finalizers(world: World) -> None:
    container = {"name": "c", "image": "hello:1"}
    meta = {"name": "p", "finalizers": ["a/b"]}
    world.create("pods", {"metadata": meta, "spec": {"containers": [container]}})
    world.ready("p")
    world.delete("pods", "p")

    world.registry.finish(world.at("pods", "p"))
    assert world.get("pods", "p")["metadata"]["deletionGracePeriodSeconds"] == 0
    world.patch("pods", "p", {"metadata": {"finalizers": None}})

    refused(404, "NotFound", world.get, "pods", "p")


def test_a_pod_with_a_process_gets_its_grace(world: World) -> None:
    container = {"name": "c", "image": "hello:1"}
    world.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [container]}})
    world.ready("p")

    assert world.delete("pods", "p") is False
    assert world.get("pods", "p")["metadata"]["deletionGracePeriodSeconds"] == 30
    assert world.delete("pods", "p", gracePeriodSeconds=0) is True


def test_unknown_fields_are_told_as_asked(world: World) -> None:
    told: list[str] = []
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {}}}}
    kind = Resource("zoo.org", "v1", "birds", "Bird", custom=True, schema=schema)
    world.kinds.add(kind)
    bird = {"metadata": {"name": "b"}, "spec": {"colour": "red"}}

    made = world.registry.create(kind, "test", bird, Write("me", warn=told.append))
    bird["metadata"] = {"name": "c"}

    assert made["spec"] == {}
    assert told == ['unknown field "spec.colour"']
    error = refused(
        400, "BadRequest", world.registry.create, kind, "test", bird, Write("me", strict="Strict")
    )
    assert 'unknown field "spec.colour"' in error.message


def test_owners_of_fields_are_kept_through_all_writes(world: World, clock: Clock) -> None:
    world.apply("configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}}, "me")
    clock.pass_(60)
    changed = world.patch("configmaps", "c", {"data": {"b": "2"}}, Write("you"))

    owners = {
        e["manager"]: (e["operation"], e["time"]) for e in changed["metadata"]["managedFields"]
    }
    assert owners == {
        "me": ("Apply", "2026-01-02T03:04:05Z"),
        "you": ("Update", "2026-01-02T03:05:05Z"),
    }


def test_an_object_is_shown_in_the_version_asked_for(world: World) -> None:
    stored = {"apiVersion": "zoo.org/v1", "kind": "Bird"}
    newer = Resource("zoo.org", "v2", "birds", "Bird")

    assert in_version(stored, newer)["apiVersion"] == "zoo.org/v2"
    assert stored["apiVersion"] == "zoo.org/v1"


def test_generated_names_make_no_words() -> None:
    assert not set(random_suffix(1000)) & set("aeiou013")


def test_services_get_different_addresses(world: World) -> None:
    spec = {"ports": [{"port": 80}]}
    one, two = (
        world.create("services", {"metadata": {"name": name}, "spec": dict(spec)}, ME)
        for name in ("a", "b")
    )

    assert one["spec"]["clusterIP"] != two["spec"]["clusterIP"]
