"""What every kind of autoscaler gives its primary."""

from __future__ import annotations

from tests.builders import REF

from serinus.kube.refs import Obj
from serinus.router.core.objects import LAST_APPLIED
from serinus.router.core.twins import metadata, twin

SOURCE: Obj = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {
        "name": "web-so",
        "namespace": "shop",
        "labels": {"app": "web", "kustomize.toolkit.fluxcd.io/name": "x"},
        "annotations": {"team": "shop", LAST_APPLIED: "{}", "mine": "1"},
    },
    "spec": {"maxReplicaCount": 4},
}


def test_a_twin_stands_beside_its_source_and_is_the_canarys() -> None:
    found = twin(SOURCE, {"maxReplicaCount": 9}, REF)

    assert ("web-so-primary", "shop") == (found["metadata"]["name"], found["metadata"]["namespace"])
    assert REF.uid == found["metadata"]["ownerReferences"][0]["uid"]
    assert {"maxReplicaCount": 9} == found["spec"]
    assert "web-so" == SOURCE["metadata"]["name"]


def test_what_is_about_the_source_alone_is_not_copied() -> None:
    expected = {"labels": {"app": "web"}, "annotations": {"team": "shop"}}

    assert expected == metadata(SOURCE, ("mine",))


def test_nothing_to_copy_is_no_field() -> None:
    bare = {**SOURCE, "metadata": {"name": "web-so", "namespace": "shop"}}

    assert {} == metadata(bare)
