"""The primary's ScaledObject, and how the target's is paused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import REF

from serinus.events.canary import AutoscalerRef, ScalerReplicas
from serinus.kube.refs import Obj
from serinus.router.scalers import keda


def reference(**fields: Any) -> AutoscalerRef:
    return AutoscalerRef(kind="ScaledObject", name="web-so", **fields)


def a_scaled_object(*, query: str = "sum(x)", annotations: Any = None, **spec: Any) -> Obj:
    """The one of the recorded run keda-kubernetes."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {
            "name": "web-so",
            "namespace": "shop",
            "labels": {"app": "web", "kustomize.toolkit.fluxcd.io/name": "x"},
            "annotations": annotations or {},
        },
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "pollingInterval": 10,
            "minReplicaCount": 2,
            "maxReplicaCount": 4,
            "triggers": [{"type": "prometheus", "metadata": {"query": query}}],
            **spec,
        },
    }


def query_of(found: Obj, index: int = 0) -> str:
    text: str = found["spec"]["triggers"][index]["metadata"]["query"]
    return text


def test_the_primary_is_scaled_by_its_own_numbers() -> None:
    """TRACE keda-kubernetes: target and canary in a query become the primary."""
    source = a_scaled_object(query='sum(rate(x{app="web", canary="web-canary"}[1m]))')

    found = keda.primary(source, reference(), REF)

    assert "web-so-primary" == found["metadata"]["name"]
    assert {"name": "web-primary"} == found["spec"]["scaleTargetRef"]
    assert 'sum(rate(x{app="web-primary", canary="web-primary"}[1m]))' == query_of(found)
    assert {"horizontalPodAutoscalerConfig": {}} == found["spec"]["advanced"]
    assert {"app": "web"} == found["metadata"]["labels"]
    assert REF.uid == found["metadata"]["ownerReferences"][0]["uid"]


def test_a_primary_that_loses_its_scaled_object_keeps_its_size() -> None:
    """KEDA would put it back to what it was when the copy was made, while it serves everybody."""
    source = a_scaled_object(advanced={"restoreToOriginalReplicaCount": True})
    for found in (
        keda.primary(source, reference(), REF),
        keda.updated(keda.primary(a_scaled_object(), reference(), REF), source, reference()),
    ):
        assert {"horizontalPodAutoscalerConfig": {}} == found["spec"]["advanced"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('x{app=~"web-.*"}', 'x{app=~"web-primary-.*"}'),
        ("web_requests_total", "web_requests_total"),
        ('x{app="myweb"}', 'x{app="myweb"}'),
        ('x{app="web-primary"}', 'x{app="web-primary"}'),
    ],
)
def test_only_whole_names_in_a_query_are_the_target(query: str, expected: str) -> None:
    assert expected == query_of(keda.primary(a_scaled_object(query=query), reference(), REF))


def test_queries_of_the_manifest_win_and_leave_the_others_alone() -> None:
    triggers = [
        {"type": "prometheus", "name": "rps", "metadata": {"query": "web"}},
        {"type": "prometheus", "name": "cpu", "metadata": {"query": "web"}},
        {"type": "cron", "metadata": {"start": "0 8 * * *"}},
    ]
    source = a_scaled_object(triggers=triggers)

    found = keda.primary(source, reference(primary_scaler_queries={"rps": "mine"}), REF)

    assert ("mine", "web") == (query_of(found, 0), query_of(found, 1))
    assert triggers[2] == found["spec"]["triggers"][2]


def test_fields_that_nobody_here_knows_are_copied() -> None:
    """11.3 no. 14: typed partial structs dropped them."""
    advanced = {
        "scalingModifiers": {"formula": "a+b"},
        "horizontalPodAutoscalerConfig": {"name": "h"},
    }

    spec = keda.primary(a_scaled_object(advanced=advanced, novelty=1), reference(), REF)["spec"]

    assert 1 == spec["novelty"]
    assert {"formula": "a+b"} == spec["advanced"]["scalingModifiers"]
    assert {"name": "h-primary"} == spec["advanced"]["horizontalPodAutoscalerConfig"]


def test_the_manifests_own_sizes_win() -> None:
    sizes = ScalerReplicas(min_replicas=3, max_replicas=6)

    spec = keda.primary(a_scaled_object(), reference(primary_scaler_replicas=sizes), REF)["spec"]

    assert (3, 6) == (spec["minReplicaCount"], spec["maxReplicaCount"])


def test_a_primary_made_while_the_target_is_paused_is_not_paused() -> None:
    """3.9 BUG: the pause annotation was copied, and the primary was scaled to 0."""
    source = keda.paused(a_scaled_object(annotations={"team": "shop"}))

    assert {"team": "shop"} == keda.primary(source, reference(), REF)["metadata"]["annotations"]


def test_pausing_and_resuming_give_the_object_back() -> None:
    source = a_scaled_object(annotations={"team": "shop"})

    assert "0" == keda.paused(source)["metadata"]["annotations"][keda.PAUSED]
    assert source == keda.resumed(keda.paused(source))
    assert source == keda.resumed(source)


def test_an_update_follows_the_target_and_settles() -> None:
    live = keda.primary(a_scaled_object(), reference(), REF)
    live["metadata"]["annotations"] = {"theirs": "kept"}

    found = keda.updated(live, a_scaled_object(maxReplicaCount=9), reference())

    assert 9 == found["spec"]["maxReplicaCount"]
    assert {"theirs": "kept"} == found["metadata"]["annotations"]
    assert found == keda.updated(found, a_scaled_object(maxReplicaCount=9), reference())


@pytest.mark.parametrize(("least", "expected"), [(None, 1), (0, 1), (1, 1), (3, 3)])
def test_the_target_is_woken_with_its_minimum(least: int | None, expected: int) -> None:
    assert expected == keda.minimum(a_scaled_object(minReplicaCount=least))
