"""Deployments: size, template, parking."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import APP, REF, a_deployment

from serinus.router.workloads import deployment
from serinus.router.workloads.primary import Making

MAKING = Making(canary=REF, selector=APP, revision="r1")
SCALED = Making(canary=REF, selector=APP, revision="r1", autoscaler="ScaledObject/web")


def size(workload: Any) -> int:
    return int(workload["spec"]["replicas"])


@pytest.mark.parametrize(("replicas", "expected"), [(3, 3), (0, 1)])
def test_a_new_primary_has_the_targets_size_and_one_pod_at_least(
    replicas: int, expected: int
) -> None:
    found = deployment.primary(a_deployment(replicas=replicas), MAKING)

    assert expected == size(found)
    assert {"matchLabels": {"app": "web-primary"}} == found["spec"]["selector"]


def test_what_a_rollout_needs_is_copied() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    target = a_deployment(
        spec={"strategy": strategy, "minReadySeconds": 5, "revisionHistoryLimit": 3}
    )

    spec = deployment.primary(target, MAKING)["spec"]

    assert (strategy, 5, 3, 600) == (
        spec["strategy"],
        spec["minReadySeconds"],
        spec["revisionHistoryLimit"],
        spec["progressDeadlineSeconds"],
    )


def test_anti_affinity_points_at_the_primarys_own_pods() -> None:
    """TRACE labels-affinity-kubernetes: the target's name gets the suffix."""
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {
            "matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]
        },
    }
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    target = a_deployment(spec={"template": {"spec": {"affinity": affinity}}})

    pods = deployment.primary(target, MAKING)["spec"]["template"]["spec"]

    (found,) = pods["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert ["web-primary"] == found["labelSelector"]["matchExpressions"][0]["values"]


@pytest.mark.parametrize(
    ("making", "target", "expected"), [(MAKING, 5, 5), (MAKING, 0, 2), (SCALED, 5, 2)]
)
def test_a_promoted_primary_follows_the_targets_size_but_never_to_nothing(
    making: Making, target: int, expected: int
) -> None:
    """BUG in 3.4: a parked target would scale the primary to zero."""
    primary = a_deployment("web-primary", replicas=2)

    found = deployment.promoted(primary, a_deployment(replicas=target), making)

    assert expected == size(found)


def test_a_promoted_primary_runs_the_targets_template_exactly() -> None:
    """A variable that only the old version had is gone, whoever put it there."""
    primary = deployment.primary(a_deployment(), MAKING)
    pods = primary["spec"]["template"]["spec"]
    pods["containers"][0]["env"] = [{"name": "OLD", "value": "1"}]

    found = deployment.promoted(primary, a_deployment(image="example.test/web:2"), MAKING)

    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert "env" not in container
    assert "example.test/web:2" == container["image"]


@pytest.mark.parametrize(
    ("primary", "minimum", "expected"),
    [(4, None, 4), (0, None, 1), (None, None, 1), (4, 3, 3), (4, 1, 1)],
)
def test_a_parked_target_wakes_at_the_size_that_the_reference_says(
    primary: int | None, minimum: int | None, expected: int
) -> None:
    twin = None if primary is None else a_deployment("web-primary", replicas=primary)

    found = deployment.running(a_deployment(replicas=0), twin, minimum)

    assert expected == size(found)


def test_a_target_that_runs_is_left_at_its_size() -> None:
    target = a_deployment(replicas=2)

    assert target == deployment.running(target, a_deployment("web-primary", replicas=9), None)


def test_parking_is_no_replicas_and_nothing_else() -> None:
    target = a_deployment()
    parked = deployment.parked(target)

    assert deployment.is_parked(parked)
    assert not deployment.is_parked(target)
    assert target == deployment.with_replicas(parked, 2)


@pytest.mark.parametrize(
    ("target", "primary", "minimum", "expected"),
    [(0, 5, None, 5), (2, 5, None, 5), (8, 5, None, 8), (0, None, None, 1), (2, 9, 1, 2)],
)
def test_a_released_target_can_do_the_primarys_work(
    target: int, primary: int | None, minimum: int | None, expected: int
) -> None:
    twin = None if primary is None else a_deployment("web-primary", replicas=primary)

    found = deployment.released(a_deployment(replicas=target), twin, minimum)

    assert expected == size(found)


def test_a_missing_number_of_replicas_is_one() -> None:
    target = a_deployment()
    del target["spec"]["replicas"]

    assert 1 == deployment.replicas(target)


def test_only_available_pods_serve() -> None:
    assert 1 == deployment.available(a_deployment(ready=1, replicas=3))
    assert 0 == deployment.available({**a_deployment(), "status": {}})


def test_every_deployment_can_be_released() -> None:
    assert "" == deployment.check(a_deployment())
