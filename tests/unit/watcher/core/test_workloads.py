"""A live workload as the suite sees it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import a_stateful_set

from serinus.events import ObjectRef, Readiness, Selector, WorkloadSeen
from serinus.kube.refs import Obj
from serinus.kube.revision import template_hash
from serinus.watcher.core.workloads import Policy, Timing, governs, unreleasable, workload_seen

TIMING = Timing(threshold=100, deadline_s=60, since=None)


def a_deployment(**fields: Any) -> Obj:
    containers = [
        {
            "name": "web",
            "image": "web:1",
            "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9090}],
        },
        {"name": "istio-proxy", "image": "proxy:1", "ports": [{"containerPort": 15090}]},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "resourceVersion": "7",
            "generation": 1,
            "annotations": {"serinus.dev/promoted-revision": "s1-abc"},
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": containers},
            },
            **fields,
        },
        "status": {
            "observedGeneration": 1,
            "replicas": 2,
            "updatedReplicas": 2,
            "availableReplicas": 2,
        },
    }


def seen(found: Obj | None, kind: str = "Deployment", **more: Any) -> WorkloadSeen:
    policy = more.pop("policy", Policy())
    return workload_seen("web", kind, found, pods=(), timing=TIMING, policy=policy, **more)


def test_everything_that_matters_is_told() -> None:
    """Ports are those of portDiscovery: by name or `tcp-<container>-<index>`, no sidecars."""
    deployment = a_deployment()

    assert seen(deployment) == WorkloadSeen(
        api_version="apps/v1",
        kind="Deployment",
        name="web",
        found=True,
        resource_version="7",
        revision=template_hash(deployment["spec"]["template"]),
        promoted="s1-abc",
        replicas=2,
        images={"web": "web:1", "istio-proxy": "proxy:1"},
        selector=Selector("app", "web"),
        ports={"http": 8080, "tcp-web-1": 9090},
        readiness=Readiness("ready"),
    )


def test_a_workload_that_is_not_there_is_not_ready() -> None:
    absent = seen(None)

    assert not absent.found
    assert absent.readiness == Readiness("waiting", "deployment web not found")


def test_a_selector_without_a_known_label_is_an_error_in_the_references_words() -> None:
    workload = a_deployment(selector={"matchLabels": {"tier": "front"}})

    assert seen(workload).selector is None
    assert seen(workload).error == (
        "deployment web.shop spec.selector.matchLabels must contain one of "
        "[app name app.kubernetes.io/name]"
    )
    assert seen(workload, policy=Policy(selector_labels=("tier",))).error == ""


def test_a_daemon_set_must_roll() -> None:
    daemon_set = a_deployment(updateStrategy={"type": "OnDelete"}) | {"kind": "DaemonSet"}

    found = seen(daemon_set, "DaemonSet")

    assert found.error == "daemonset web.shop must have RollingUpdate strategy but have OnDelete"
    assert found.replicas is None


def test_a_services_revision_is_its_spec_without_addresses() -> None:
    def a_service(host: str, address: str) -> Obj:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"externalName": host, "clusterIP": address, "clusterIPs": [address]},
        }

    one = seen(a_service("a.test", "10.0.0.1"), "Service")

    assert one.revision == seen(a_service("a.test", "10.0.0.2"), "Service").revision
    assert one.revision != seen(a_service("b.test", "10.0.0.1"), "Service").revision
    assert (one.selector, one.error, one.readiness) == (None, "", Readiness("ready"))


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (ObjectRef(api_version="apps/v1", kind="Deployment", name="web"), ""),
        (ObjectRef(kind="DaemonSet", name="web"), ""),
        (ObjectRef(api_version="v1", kind="Service", name="web"), ""),
        (ObjectRef(), ""),
        (
            ObjectRef(api_version="apps/v1", kind="CronJob", name="db"),
            "CronJob cannot be released; known kinds: Deployment, DaemonSet, StatefulSet, Service, "
            "KnativeService",
        ),
        (
            ObjectRef(api_version="serving.knative.dev/v2", kind="Service", name="web"),
            "Service of serving.knative.dev/v2 cannot be released; use serving.knative.dev/v1",
        ),
        (ObjectRef(api_version="serving.knative.dev/v1", kind="Service", name="web"), ""),
        (
            ObjectRef(api_version="other.test/v1", kind="Service", name="web"),
            "Service of other.test/v1 cannot be released; use v1",
        ),
    ],
)
def test_kinds_that_cannot_be_released_are_named(target: ObjectRef, why: str) -> None:
    assert unreleasable(target) == why


def test_a_stateful_set_is_told_in_two_parts() -> None:
    """One object, two sides: who is ready on which, and which pods are the canary's."""
    found = a_stateful_set(replicas=5, partition=3, newest=1)

    target, primary = seen(found, "StatefulSet"), seen(found, "StatefulSet", part="primary")

    assert (target.replicas, target.ordinal, primary.replicas, primary.ordinal) == (2, 3, 3, None)
    assert (target.readiness.state, primary.readiness.state) == ("waiting", "ready")
    assert target.selector == Selector("app", "web")


def test_ordinals_may_begin_elsewhere() -> None:
    found = a_stateful_set(replicas=5, partition=3, newest=1, spec={"ordinals": {"start": 10}})

    assert seen(found, "StatefulSet").ordinal == 13


def test_a_stateful_set_without_rolling_updates_is_refused_with_its_strategy() -> None:
    found = a_stateful_set(spec={"updateStrategy": {"type": "OnDelete"}})

    told = seen(found, "StatefulSet")

    assert told.error == ("statefulset web.shop must have RollingUpdate strategy but have OnDelete")


@pytest.mark.parametrize(
    ("service", "is_taken"),
    [("web-peers", True), ("web", False), ("web-peers-canary", False)],
)
def test_the_service_that_names_the_pods_is_not_to_be_pointed_elsewhere(
    service: str, is_taken: bool
) -> None:
    assert bool(governs(a_stateful_set(), service)) is is_taken
    assert governs(a_deployment(), "web") == ""


def test_a_derived_service_that_names_the_pods_is_not_to_be_made() -> None:
    found = a_stateful_set(spec={"serviceName": "web-primary"})

    assert "names its pods by service web-primary" in governs(found, "web")
