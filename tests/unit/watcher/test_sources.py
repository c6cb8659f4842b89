"""The table of what is watched, and the view on it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from tests.builders import a_canary, a_config_map, a_deployment, a_service, laid_over

from serinus.events.canary import KNATIVE_SERVICE
from serinus.kube.cluster import Change
from serinus.kube.kinds import KINDS
from serinus.kube.refs import Obj
from serinus.watcher.sources import SOURCES, Cache


class Heard:
    def __init__(self) -> None:
        self.topics: list[set[str]] = []

    def __call__(self, topics: Iterable[str]) -> None:
        self.topics.append(set(topics))


def a_pod(owner: str = "ReplicaSet", name: str = "web-5d9c") -> Obj:
    reference = {"kind": owner, "name": name, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": "shop",
            "resourceVersion": "3",
            "labels": {"pod-template-hash": "5d9c"},
            "ownerReferences": [reference],
        },
    }


def an_alert_provider() -> Obj:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "AlertProvider",
        "metadata": {"name": "chat", "namespace": "shop", "resourceVersion": "3"},
        "spec": {"type": "slack", "address": "http://hooks.test/hunter2"},
    }


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.kind)
def test_every_kind_is_known_without_asking_the_api_server(source: object) -> None:
    assert (source.api_version, source.kind) in KINDS  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("obj", "topics"),
    [
        (a_canary(), {"canary/shop/web", "workload/shop/Deployment/web"}),
        (a_deployment(), {"workload/shop/Deployment/web"}),
        (a_service(), {"workload/shop/Service/web"}),
        (a_pod(), {"workload/shop/Deployment/web"}),
        (a_pod("DaemonSet", "agent"), {"workload/shop/DaemonSet/agent"}),
        (a_pod("Job", "once"), {"workload/shop/Job/once"}),
        (a_config_map("settings", {}), {"configmap/shop/settings"}),
        (an_alert_provider(), {"provider/shop/chat"}),
    ],
)
def test_an_object_is_about_its_topics(obj: Obj, topics: set[str]) -> None:
    heard = Heard()
    cache = Cache(heard)

    cache.stores[obj["kind"]].take(Change("ADDED", obj))

    assert heard.topics == [topics]


def test_a_canary_that_changes_its_target_is_about_both() -> None:
    """Who had the old target in common has one rival less."""
    heard = Heard()
    cache = Cache(heard)
    before = a_canary()
    after = a_canary(metadata={"resourceVersion": "101"})
    after["spec"]["targetRef"] = {**after["spec"]["targetRef"], "name": "db"}
    cache.stores["Canary"].take(Change("ADDED", before))

    cache.stores["Canary"].take(Change("MODIFIED", after))

    assert heard.topics[-1] == {
        "canary/shop/web",
        "workload/shop/Deployment/web",
        "workload/shop/Deployment/db",
    }


def test_a_canary_without_a_readable_target_is_about_itself() -> None:
    heard = Heard()
    canary = a_canary()
    canary["spec"] = {"targetRef": "web"}

    Cache(heard).stores["Canary"].take(Change("ADDED", canary))

    assert heard.topics == [{"canary/shop/web"}]


def test_the_view_answers_by_name() -> None:
    cache = Cache(Heard())
    for obj in (a_canary(), a_deployment(), a_service(), a_pod(), a_config_map("settings", {})):
        cache.stores[obj["kind"]].take(Change("ADDED", obj))

    assert cache.canary("shop", "web") is not None
    assert cache.workload("shop", "Deployment", "web") is not None
    assert cache.workload("shop", "Service", "web") is not None
    assert cache.workload("shop", "CronJob", "web") is None
    assert cache.workload("other", "Deployment", "web") is None
    assert [p["metadata"]["name"] for p in cache.pods("shop", "Deployment", "web")] == ["p"]
    assert cache.config_seen("shop", "configmap/settings") is not None
    assert cache.config_seen("shop", "secret/settings") is None
    assert cache.template("shop", "errors") is None
    assert not cache.has_provider("shop", "chat")
    cache.stores["AlertProvider"].take(Change("ADDED", an_alert_provider()))
    assert cache.has_provider("shop", "chat")
    assert "hunter2" not in str(list(cache.stores["AlertProvider"]))
    canaries = cache.canaries_of("shop", "Deployment", "web")
    assert [c["metadata"]["name"] for c in canaries] == ["web"]


def test_knative_is_needed_once_a_canary_has_it_as_target() -> None:
    cache = Cache(Heard())
    canary = a_canary()
    cache.stores["Canary"].take(Change("ADDED", canary))
    assert [KNATIVE_SERVICE] == [s.word for s in SOURCES if not cache.wants(s)]

    target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}
    later = laid_over(
        canary, {"metadata": {"resourceVersion": "101"}, "spec": {"targetRef": target}}
    )
    cache.stores["Canary"].take(Change("MODIFIED", later))

    assert all(map(cache.wants, SOURCES))


async def test_the_cache_is_in_when_every_store_is() -> None:
    cache = Cache(Heard())

    for store in cache.stores.values():
        assert not store.is_synced
        store.replace([], "1")

    await cache.synced()
