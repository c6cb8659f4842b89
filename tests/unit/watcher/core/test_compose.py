"""Cached objects in, a snapshot out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from tests.builders import (
    NAMESPACE,
    REF,
    T0,
    a_canary,
    a_canary_spec,
    a_config_map,
    a_deployment,
    a_stateful_set,
    a_status,
    an_analysis,
    as_json,
)

from serinus.events import API_VERSION, CanaryObserved, CanaryRef, Metric, ObjectRef
from serinus.events.canary import AlertRef, Placement, ProviderRef, TemplateRef
from serinus.kube.refs import Obj, owner_reference
from serinus.watcher.core.compose import compose, content
from serinus.watcher.core.workloads import Policy
from serinus.watcher.sources import SOURCES, Cache


def nothing(topics: Iterable[str]) -> None:
    """Nobody listens."""


def a_view(*objects: Obj) -> Cache:
    """The cluster holds these objects and no others."""
    cache = Cache(nothing)
    for kind, store in cache.stores.items():
        store.replace([store.trim(obj) for obj in objects if obj["kind"] == kind], "1")
    return cache


def seen(canary: Obj, *objects: Obj, **policy: Any) -> CanaryObserved:
    return compose(canary, a_view(canary, *objects), Policy(**policy), T0).snapshot


def a_set_canary() -> Obj:
    target = ObjectRef(api_version="apps/v1", kind="StatefulSet", name="web")
    return a_canary(spec=a_canary_spec(target_ref=target))


def test_the_primary_of_a_stateful_set_is_the_set_itself() -> None:
    found = a_stateful_set(replicas=3, partition=2, newest=1)
    found["metadata"]["annotations"] = {"serinus.dev/promoted-revision": "s1-1111111111"}

    snapshot = seen(a_set_canary(), found)

    assert (snapshot.primary.name, snapshot.primary.promoted) == ("web", "s1-1111111111")
    assert (snapshot.target.replicas, snapshot.primary.replicas) == (1, 2)
    assert snapshot.same_template is None


def test_configs_of_a_stateful_set_are_not_tracked() -> None:
    """Both versions mount the same ones: what is not kept apart cannot be analysed apart."""
    found = a_stateful_set()
    source = {"configMapRef": {"name": "settings"}}
    found["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [source]

    assert seen(a_set_canary(), found, a_config_map("settings", {})).configs is None


def test_a_service_that_names_pods_is_a_reason_to_refuse() -> None:
    found = a_stateful_set(spec={"serviceName": "web"})

    snapshot = seen(a_set_canary(), found)

    assert "names its pods by service web" in snapshot.target.error
    assert snapshot.primary.error == ""


def test_the_primary_of_a_knative_service_is_the_service_itself() -> None:
    """And its newest revision is told: metrics are asked for by its name."""
    target = ObjectRef(api_version="serving.knative.dev/v1", kind="Service", name="web")
    canary = a_canary(spec=a_canary_spec(provider="knative", target_ref=target, service=None))
    service = {
        "apiVersion": target.api_version,
        "kind": "Service",
        "metadata": {
            "name": "web",
            "namespace": NAMESPACE,
            "generation": 2,
            "annotations": {"serinus.dev/promoted-revision": "s1-1111111111"},
        },
        # Containers of Knative need no name.
        "spec": {"template": {"spec": {"containers": [{"image": "web:2"}]}}},
        "status": {
            "observedGeneration": 2,
            "latestCreatedRevisionName": "web-00002",
            "latestReadyRevisionName": "web-00001",
        },
    }
    cache = Cache(nothing)
    cache.stores["Canary"].replace([canary], "1")
    cache.stores["KnativeService"].replace([service], "1")

    found = compose(canary, cache, Policy(), T0)

    snapshot = found.snapshot
    assert ("web", "web-00002") == (snapshot.target.name, snapshot.target.latest)
    assert ("web", "s1-1111111111") == (snapshot.primary.name, snapshot.primary.promoted)
    assert {"user-container": "web:2"} == snapshot.target.images
    assert "revision web-00002 is not ready" == snapshot.target.readiness.text
    assert snapshot.target.revision.startswith("s1-")
    assert not snapshot.rivals
    (source,) = (one for one in SOURCES if one.word == "KnativeService")
    assert set(source.topics(service)) <= found.topics


def using(name: str, *, optional: bool = False) -> Obj:
    """A Deployment `web` whose container takes its environment from a ConfigMap."""
    deployment = a_deployment()
    source = {"configMapRef": {"name": name, "optional": optional}}
    deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [source]
    return deployment


def a_metric_template(name: str = "errors", namespace: str = NAMESPACE, **provider: Any) -> Obj:
    return {
        "apiVersion": API_VERSION,
        "kind": "MetricTemplate",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "9"},
        "spec": {
            "provider": {"type": "prometheus", "address": "http://prometheus:9090", **provider},
            "query": "sum(x)",
        },
    }


def with_template(name: str = "errors", namespace: str = "") -> Obj:
    """A canary with one metric by template."""
    ref = TemplateRef(name=name, namespace=namespace)
    metric = Metric(name="errors", interval="1m", template_ref=ref)
    return a_canary(spec=a_canary_spec(analysis=an_analysis(metrics=(metric,))))


def test_the_canary_itself_is_told_whole() -> None:
    canary = a_canary(
        status=a_status("Succeeded"),
        metadata={
            "finalizers": ["finalizer.flagger.app"],
            "annotations": {"kuma.io/mesh": "m", "example.test/token": "hunter2"},
            "generation": 4,
        },
    )

    snapshot = seen(canary)

    assert snapshot.canary == CanaryRef(NAMESPACE, "web", canary["metadata"]["uid"])
    assert snapshot.resource_version == "100"
    assert snapshot.generation == 4
    assert snapshot.finalizers == ("finalizer.flagger.app",)
    assert snapshot.annotations == {"kuma.io/mesh": "m"}
    assert snapshot.spec == a_canary_spec()
    assert snapshot.status == a_status("Succeeded")
    assert snapshot.at == T0
    assert not snapshot.deleting


def test_a_canary_that_is_being_deleted_says_so() -> None:
    assert seen(a_canary(metadata={"deletionTimestamp": "2027-01-15T08:00:00Z"})).deleting


def test_target_and_primary_are_told_apart() -> None:
    snapshot = seen(a_canary(), a_deployment())

    assert (snapshot.target.name, snapshot.target.found) == ("web", True)
    assert (snapshot.primary.name, snapshot.primary.found) == ("web-primary", False)
    assert snapshot.same_template is None


def a_primary(deployment: Obj) -> Obj:
    primary: Obj = msgspec.json.decode(msgspec.json.encode(deployment))
    primary["metadata"]["name"] = "web-primary"
    primary["spec"]["selector"]["matchLabels"] = {"app": "web-primary"}
    primary["spec"]["template"]["metadata"]["labels"]["app"] = "web-primary"
    return primary


def test_a_primary_made_from_the_target_runs_the_same() -> None:
    target = a_deployment()
    other = a_primary(target)
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "example.test/other:1"

    assert seen(a_canary(), target, a_primary(target)).same_template is True
    assert seen(a_canary(), target, other).same_template is False


def test_tracked_configs_are_told_as_checksums() -> None:
    settings = a_config_map("settings", {"color": "blue"})

    snapshot = seen(a_canary(), using("settings"), settings)

    assert snapshot.configs == {"configmap/settings": "f234cb93c08ad64e"}
    assert snapshot.missing_configs == ()


def test_a_required_config_that_is_not_there_is_missing() -> None:
    assert seen(a_canary(), using("settings")).missing_configs == ("configmap/settings",)
    assert seen(a_canary(), using("settings", optional=True)).missing_configs == ()


def test_without_tracking_nothing_is_said_about_configs() -> None:
    snapshot = seen(a_canary(), using("settings"), config_tracking=False)

    assert (snapshot.configs, snapshot.missing_configs) == (None, ())


def test_alert_providers_that_are_not_there_are_named() -> None:
    refs = [ProviderRef(name="chat", namespace=where) for where in ("", "", "ops")]
    alerts = tuple(AlertRef(name="a", provider_ref=ref) for ref in refs)
    canary = a_canary(spec=a_canary_spec(analysis=an_analysis(alerts=alerts)))
    provider = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "AlertProvider",
        "metadata": {"name": "chat", "namespace": "ops", "resourceVersion": "3"},
    }

    assert seen(canary).missing_providers == ("shop/chat", "ops/chat")
    assert seen(canary, provider).missing_providers == ("shop/chat",)


def test_a_metric_template_is_found_in_the_canarys_namespace_or_the_named_one() -> None:
    own = seen(with_template(), a_metric_template(), a_metric_template(namespace="other"))
    named = seen(with_template(namespace="other"), a_metric_template(namespace="other"))

    assert list(own.templates) == ["shop/errors"]
    assert list(named.templates) == ["other/errors"]
    assert own.templates["shop/errors"].query == "sum(x)"
    assert own.template_private == ()


@pytest.mark.parametrize(
    "secret",
    [
        {"headers": {"Authorization": ["Bearer hunter2"]}},
        {"address": "http://user:hunter2@prometheus:9090/x"},
        {"address": "http://user:hunter2@[prometheus:9090"},
    ],
)
def test_credentials_in_a_metric_template_stay_at_home(secret: dict[str, Any]) -> None:
    """The snapshot only says that the template has to be read directly."""
    snapshot = seen(with_template(), a_metric_template(**secret))

    assert b"hunter2" not in msgspec.json.encode(snapshot)
    assert snapshot.template_private == ("shop/errors",)
    assert "shop/errors" in snapshot.templates


def test_a_metric_template_that_makes_no_sense_is_a_problem_of_the_metric() -> None:
    snapshot = seen(with_template(), a_metric_template(type="abacus"))

    (problem,) = snapshot.problems
    assert problem.path == "spec.analysis.metrics[0].templateRef"
    assert "MetricTemplate shop/errors" in problem.message
    assert "abacus" in problem.message


def test_a_missing_metric_template_is_no_problem_yet() -> None:
    """The analyzer says so when it comes to that metric, in Flagger's words."""
    snapshot = seen(with_template())

    assert (snapshot.templates, snapshot.problems) == ({}, ())


def test_older_canaries_on_the_same_target_are_told() -> None:
    def a_rival(name: str, day: int, target: str = "web") -> Obj:
        return a_canary(
            name,
            spec=a_canary_spec(target_ref={"kind": "Deployment", "name": target}),
            metadata={"creationTimestamp": f"2027-01-{day:02}T00:00:00Z"},
        )

    canary = a_canary(metadata={"creationTimestamp": "2027-01-15T00:00:00Z"})
    others = (a_rival("late", 20), a_rival("early", 10), a_rival("elsewhere", 1, target="db"))

    assert seen(canary, *others).rivals == ("early",)
    assert seen(a_rival("elsewhere", 1, target="db"), canary).rivals == ()


def test_of_canaries_made_in_the_same_second_the_one_at_work_goes_on() -> None:
    """Kubernetes tells whole seconds only, so age alone would let the name decide."""
    made = {"creationTimestamp": "2027-01-15T00:00:00Z"}
    working = a_canary("web", metadata=made, status={"phase": "Initialized"})
    newcomer = a_canary("probe", metadata=made)
    other_newcomer = a_canary("tester", metadata=made)

    assert seen(working, newcomer).rivals == ()
    assert seen(newcomer, working).rivals == ("web",)
    assert seen(newcomer, other_newcomer).rivals == ()
    assert seen(other_newcomer, newcomer, working).rivals == ("web", "probe")


def test_a_newcomer_of_the_same_second_that_has_begun_pushes_nobody_aside() -> None:
    """It gets a phase before it is told that it has a rival."""
    made = {"creationTimestamp": "2027-01-15T00:00:00Z"}
    newcomer = a_canary("probe", metadata={**made, "uid": "2"}, status={"phase": "Initializing"})
    working = a_canary("web", metadata={**made, "uid": "1"}, status={"phase": "Initialized"})
    assert seen(working, newcomer).rivals == ()
    assert seen(newcomer, working).rivals == ("web",)

    owner = {"kind": "Canary", "name": "web", "uid": "1", "controller": True}
    primary = a_deployment("web-primary", metadata={"ownerReferences": [owner]})
    making = a_canary("web", metadata={**made, "uid": "1"}, status={"phase": "Initializing"})
    assert seen(making, newcomer, primary).rivals == ()
    assert seen(newcomer, making, primary).rivals == ("web",)


def test_a_broken_manifest_is_still_a_snapshot() -> None:
    canary = a_canary(spec=None)
    canary["spec"]["analysis"]["stepWeight"] = "many"

    snapshot = seen(canary, a_deployment())

    assert [p.path for p in snapshot.problems] == ["spec.analysis.stepWeight"]
    assert snapshot.target.found


def test_a_target_that_cannot_be_released_is_said_so() -> None:
    canary = a_canary()
    canary["spec"]["targetRef"] |= {"kind": "CronJob"}

    snapshot = seen(canary)

    assert "CronJob cannot be released" in snapshot.target.error
    assert not snapshot.target.found


def test_everything_a_snapshot_was_made_from_is_a_topic() -> None:
    """So that a change of any of it makes a new snapshot; missing objects count too."""
    canary = with_template()
    view = a_view(canary, using("settings"))

    topics = compose(canary, view, Policy(), T0).topics

    assert topics == {
        "canary/shop/web",
        "workload/shop/Deployment/web",
        "workload/shop/Deployment/web-primary",
        "configmap/shop/settings",
        "template/shop/errors",
    }


def test_content_is_what_is_said_and_not_when() -> None:
    one = seen(a_canary(), a_deployment())

    assert content(one) == content(msgspec.structs.replace(one, at=T0 + 9, versions="other"))
    assert content(one) != content(msgspec.structs.replace(one, resource_version="101"))

    rewritten = msgspec.structs.replace(one.target, resource_version="101")
    assert content(one) == content(msgspec.structs.replace(one, target=rewritten))


def test_versions_change_with_every_object_that_was_used() -> None:
    """Two snapshots of the same words from different objects are two messages on the bus."""
    canary, deployment = a_canary(), using("settings")
    settings = a_config_map("settings", {"color": "blue"})
    newer = {**settings, "metadata": {**settings["metadata"], "resourceVersion": "101"}}

    one = seen(canary, deployment, settings)
    two = seen(canary, deployment, newer)

    assert one.versions != two.versions
    assert content(one) == content(two)


def test_a_daemon_sets_deadline_runs_from_the_last_transition() -> None:
    canary = a_canary(spec=a_canary_spec(progress_deadline_seconds=30), status=a_status())
    canary["spec"]["targetRef"]["kind"] = "DaemonSet"
    daemon_set = a_deployment(kind="DaemonSet")
    daemon_set["status"] = {
        "observedGeneration": daemon_set["metadata"].get("generation", 0),
        "desiredNumberScheduled": 2,
        "updatedNumberScheduled": 1,
    }

    assert seen(canary, daemon_set).target.readiness.stuck_at == T0 + 30


# --- a canary on other nodes ----------------------------------------------------------------------

SPOT = Placement(node_selector={"node-type": "spot"})


def elsewhere(phase: str = "Progressing", **spec: Any) -> Obj:
    fields = {"canary_pods": SPOT, **spec}
    return a_canary(spec=a_canary_spec(**fields), status=as_json(a_status(phase)))


def a_standin(revision: str, **fields: Any) -> Obj:
    meta = {
        "ownerReferences": [owner_reference(REF)],
        "annotations": {"serinus.dev/canary-of": revision},
    }
    return a_deployment("web-canary", metadata=meta, **fields)


def test_of_a_canary_on_other_nodes_the_stand_in_says_how_it_is() -> None:
    """Whatever is with the target: at rest it has no pods, which would be all ready."""
    target = a_deployment(replicas=0, ready=0)
    revision = seen(elsewhere(), target).target.revision

    waiting = seen(elsewhere(), target, a_standin(revision, ready=1, replicas=3)).target
    ready = seen(elsewhere(), target, a_standin(revision, ready=3, replicas=3)).target

    assert (waiting.name, waiting.standin, waiting.replicas) == ("web", "web-canary", 3)
    assert (waiting.readiness.state, ready.readiness.state) == ("waiting", "ready")
    assert waiting.revision == revision


def test_a_stand_in_that_is_not_there_or_runs_another_revision_has_no_pods_for_this_one() -> None:
    target = a_deployment()
    for others in ((), (a_standin("s1-0000000000"),), (a_deployment("web-canary"),)):
        found = seen(elsewhere(), target, *others).target
        assert (found.standin, found.replicas) == ("web-canary", 0)
        assert (found.readiness.state, found.readiness.text) == ("waiting", "")


def test_between_releases_the_target_speaks_for_itself_again() -> None:
    found = seen(elsewhere("Succeeded"), a_deployment()).target

    assert (found.standin, found.readiness.state) == ("", "ready")


def test_a_stand_in_at_work_is_looked_at_although_the_override_is_gone() -> None:
    target = a_deployment(replicas=0, ready=0)
    revision = seen(elsewhere(), target).target.revision
    canary = elsewhere(canary_pods=None)

    composed = compose(canary, a_view(canary, target, a_standin(revision)), Policy(), T0)

    assert composed.snapshot.target.standin == "web-canary"
    assert "workload/shop/Deployment/web-canary" in composed.topics
    assert (
        "workload/shop/Deployment/web-canary"
        not in compose(canary, a_view(canary, target), Policy(), T0).topics
    )
