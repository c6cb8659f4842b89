"""The rights of the services in the cluster are those that the picture of the ring allows."""

from __future__ import annotations

import pytest
from tests.gen.rbac import rules
from tests.gen.settings import BESIDE

from serinus.events.subjects import SERVICES
from serinus.router.meshes.catalog import MESHES

READ = {"get", "list", "watch"}
RULES = rules()


def written_by(service: str) -> set[str]:
    """The resources that a service may change."""
    return {
        resource
        for rule in RULES[service]
        if set(rule["verbs"]) - READ
        for resource in rule["resources"]
    }


def test_every_service_has_its_rules() -> None:
    assert tuple(RULES) == (*SERVICES, *BESIDE)


def test_the_eyes_and_the_crowd_change_nothing() -> None:
    assert written_by("watcher") == set()
    assert RULES["loadtester"] == []


def test_the_brain_changes_the_canary_and_nothing_else_but_its_own_questions() -> None:
    assert written_by("analyzer") == {"canaries", "canaries/status", "analyses"}


def test_the_voice_writes_events_and_whether_people_can_be_reached() -> None:
    assert written_by("notifier") == {"events", "alertproviders/status"}


def test_the_hands_may_write_the_routes_of_every_mesh_and_no_canary() -> None:
    groups = {rule["apiGroups"][0] for rule in RULES["router"] if "patch" in rule["verbs"]}
    meshes = {row.api_version.rpartition("/")[0] for row in MESHES.values() if row.kinds}
    assert meshes <= groups
    assert not {"canaries", "canaries/status"} & written_by("router")


def test_the_coordinator_asks_by_annotation_and_writes_its_own_status() -> None:
    assert written_by("coordinator") == {"canaries", "waves/status", "events"}


def test_nobody_lists_secrets_but_who_hashes_them() -> None:
    listing = {
        service
        for service, found in RULES.items()
        for rule in found
        if "secrets" in rule["resources"] and {"list", "watch"} & set(rule["verbs"])
    }
    assert listing == {"watcher"}


@pytest.mark.parametrize("service", SERVICES)
def test_no_right_is_unbounded(service: str) -> None:
    for rule in RULES[service]:
        assert "*" not in (*rule["apiGroups"], *rule["verbs"])
        assert "*" not in rule["resources"] or set(rule["verbs"]) <= READ


@pytest.mark.parametrize(
    ("resource", "service"),
    [
        ("httpproxies", "router"),
        ("ingresses", "router"),
        ("virtualservices", "router"),
        ("analyses", "analyzer"),
        ("metrictemplates", "watcher"),
    ],
)
def test_resources_have_their_plurals(resource: str, service: str) -> None:
    assert any(resource in rule["resources"] for rule in RULES[service])
