"""What is kept of objects."""

from __future__ import annotations

import msgspec
from tests.builders import a_canary

from serinus.kube.configs import ConfigSeen
from serinus.kube.refs import Obj
from serinus.watcher.core import trim


def a_pod(**fields: object) -> Obj:
    owner = {"kind": "ReplicaSet", "name": "web-5d9c", "uid": "x", "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-5d9c-a",
            "namespace": "shop",
            "uid": "u",
            "resourceVersion": "7",
            "creationTimestamp": "2027-01-15T08:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "5d9c"},
            "ownerReferences": [owner],
            "managedFields": [{"manager": "kubelet"}],
        },
        "spec": {"containers": [{"name": "web", "env": [{"name": "TOKEN", "value": "s3cret"}]}]},
        "status": {"phase": "Running", "containerStatuses": []},
        **fields,
    }


def test_a_healthy_pod_is_little_more_than_its_name() -> None:
    assert trim.pod(a_pod()) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-5d9c-a",
            "namespace": "shop",
            "uid": "u",
            "resourceVersion": "7",
            "creationTimestamp": "2027-01-15T08:00:00Z",
            "labels": {"pod-template-hash": "5d9c"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d9c", "controller": True}],
        },
    }


def test_of_a_pod_in_trouble_the_reasons_are_kept() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    statuses = [{"name": "web", "state": waiting}, {"name": "proxy", "state": {"running": {}}}]

    kept = trim.pod(a_pod(status={"containerStatuses": statuses}))

    assert kept["status"] == {
        "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
    }


def test_a_pod_belongs_to_the_deployment_behind_its_replica_set() -> None:
    assert trim.owner_of_pod(trim.pod(a_pod())) == ("Deployment", "web")


def test_a_pod_belongs_to_its_daemon_set() -> None:
    pod = a_pod()
    pod["metadata"]["ownerReferences"][0] |= {"kind": "DaemonSet", "name": "agent"}

    assert trim.owner_of_pod(trim.pod(pod)) == ("DaemonSet", "agent")


def test_pods_of_nobody_and_of_bare_replica_sets_belong_to_no_workload() -> None:
    alone, bare = a_pod(), a_pod()
    del alone["metadata"]["ownerReferences"]
    del bare["metadata"]["labels"]

    assert trim.owner_of_pod(trim.pod(alone)) is None
    assert trim.owner_of_pod(trim.pod(bare)) is None


def test_of_a_secret_only_a_checksum_is_kept() -> None:
    """Neither the data nor its keys, annotations or the manifest that kubectl left there."""
    secret: Obj = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "keys",
            "namespace": "shop",
            "uid": "u",
            "resourceVersion": "7",
            "annotations": {trim.LAST_APPLIED: '{"stringData":{"token":"hunter2"}}'},
        },
        "type": "Opaque",
        "data": {"token": "aHVudGVyMg=="},
    }

    kept = trim.config(secret)

    text = msgspec.json.encode(kept)
    assert trim.config_seen(kept) == ConfigSeen(kept["checksum"], True)
    assert not [word for word in (b"hunter2", b"aHVudGVyMg", b"token") if word in text]


def test_other_peoples_writes_are_dropped_and_the_original_stays() -> None:
    obj: Obj = {
        "metadata": {
            "name": "web",
            "managedFields": [{}],
            "annotations": {trim.LAST_APPLIED: "{}", "note": "n"},
        },
        "spec": {"replicas": 2},
    }

    slim = trim.slim(obj)

    expected = {"metadata": {"name": "web", "annotations": {"note": "n"}}, "spec": {"replicas": 2}}
    assert slim == expected
    assert "managedFields" in obj["metadata"]
    assert trim.LAST_APPLIED in obj["metadata"]["annotations"]


def test_who_wrote_our_annotations_is_kept_and_nothing_else_of_the_writers() -> None:
    managed = [
        {
            "manager": "kubectl-annotate",
            "time": "2027-01-15T08:00:00Z",
            "fieldsV1": {"f:metadata": {"f:annotations": {"f:flagger.app/abort": {}, "f:x": {}}}},
        },
        {"manager": "flux", "time": "2027-01-14T08:00:00Z", "fieldsV1": {"f:spec": {}}},
    ]
    annotations = {"flagger.app/abort": "alice", "x": "y"}
    obj = a_canary(metadata={"annotations": annotations, "managedFields": managed})
    kept = trim.slim(obj)["metadata"]
    assert kept["annotatedBy"] == {"flagger.app/abort": "kubectl-annotate at 2027-01-15T08:00:00Z"}
    assert "managedFields" not in kept


def test_an_object_without_annotations_of_ours_has_no_writers() -> None:
    obj = a_canary(metadata={"annotations": {"x": "y"}, "managedFields": [{"manager": "flux"}]})
    assert "annotatedBy" not in trim.slim(obj)["metadata"]
