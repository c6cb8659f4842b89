"""The primary's HorizontalPodAutoscaler."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import REF

from serinus.events.canary import AutoscalerRef, ScalerReplicas
from serinus.kube.refs import Obj
from serinus.router.core.objects import LAST_APPLIED
from serinus.router.scalers import hpa

CPU = {"type": "Resource", "resource": {"name": "cpu"}}


def reference(**fields: Any) -> AutoscalerRef:
    return AutoscalerRef(kind="HorizontalPodAutoscaler", name="web", **fields)


def a_scaler(**spec: Any) -> Obj:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2,
            "maxReplicas": 4,
            "metrics": [CPU],
            **spec,
        },
    }


def test_it_scales_the_primary_by_the_same_rules() -> None:
    found = hpa.primary(a_scaler(), reference(), REF)

    assert "web-primary" == found["metadata"]["name"]
    assert "web-primary" == found["spec"]["scaleTargetRef"]["name"]
    assert (2, 4, [CPU]) == (
        found["spec"]["minReplicas"],
        found["spec"]["maxReplicas"],
        found["spec"]["metrics"],
    )
    assert REF.uid == found["metadata"]["ownerReferences"][0]["uid"]


def test_the_manifests_own_sizes_win() -> None:
    """TRACE hpa-istio: primaryScalerReplicas 3 to 6."""
    sizes = ScalerReplicas(min_replicas=3, max_replicas=6)

    spec = hpa.primary(a_scaler(), reference(primary_scaler_replicas=sizes), REF)["spec"]

    assert (3, 6) == (spec["minReplicas"], spec["maxReplicas"])


def test_annotations_that_name_the_targets_object_are_not_copied() -> None:
    source = a_scaler()
    notes = {LAST_APPLIED: "{}", "kustomize.toolkit.fluxcd.io/x": "1", "mine": "1"}
    source["metadata"]["annotations"] = notes

    found = hpa.primary(source, reference(), REF)["metadata"]

    assert {"mine": "1"} == found["annotations"]


def test_an_update_writes_labels_too_and_is_done_after_one() -> None:
    """BUG in 3.9: labels are never written, so the difference never goes away."""
    live = hpa.primary(a_scaler(), reference(), REF)
    source = a_scaler(maxReplicas=9)
    source["metadata"]["labels"]["extra"] = "1"

    once = hpa.updated(live, source, reference())

    assert "1" == once["metadata"]["labels"]["extra"]
    assert 9 == once["spec"]["maxReplicas"]
    assert once == hpa.updated(once, source, reference())


def test_a_metric_that_the_target_dropped_is_dropped() -> None:
    live = hpa.primary(a_scaler(behavior={"scaleDown": {}}), reference(), REF)

    found = hpa.updated(live, a_scaler(), reference())

    assert "behavior" not in found["spec"]


@pytest.mark.parametrize(("spec", "expected"), [({}, 2), ({"minReplicas": None}, 1)])
def test_its_minimum_is_where_a_parked_target_starts(spec: Obj, expected: int) -> None:
    assert expected == hpa.minimum(a_scaler(**spec))
