"""DaemonSets: parked by a node selector that no node answers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import APP, REF, a_deployment

from serinus.kube.refs import Obj
from serinus.kube.revision import SCALE_TO_ZERO
from serinus.router.workloads import daemonset
from serinus.router.workloads.primary import Making

MAKING = Making(canary=REF, selector=APP, revision="r1")


def a_daemon_set(**spec: Any) -> Obj:
    found = a_deployment(spec={"updateStrategy": {"type": "RollingUpdate"}, **spec})
    found["kind"] = "DaemonSet"
    for field in ("replicas", "progressDeadlineSeconds"):
        del found["spec"][field]
    found["status"] = {"numberAvailable": 3}
    return found


def nodes(workload: Obj) -> Any:
    return workload["spec"]["template"]["spec"].get("nodeSelector")


def test_parking_adds_one_key_and_waking_takes_it_away() -> None:
    target = a_daemon_set(template={"spec": {"nodeSelector": {"disk": "ssd"}}})

    parked = daemonset.parked(target)

    assert {"disk": "ssd", SCALE_TO_ZERO: "true"} == nodes(parked)
    assert daemonset.is_parked(parked)
    assert target == daemonset.running(parked, None, None)
    assert target == daemonset.released(parked, None, None)


def test_no_empty_node_selector_is_left_behind() -> None:
    target = a_daemon_set()

    assert target == daemonset.running(daemonset.parked(target), None, None)


def test_a_target_that_runs_is_left_alone() -> None:
    target = a_daemon_set()

    assert target is daemonset.running(target, None, None)


@pytest.mark.parametrize("selector", [{}, {"disk": "ssd"}])
def test_the_primary_of_a_parked_target_is_not_parked(selector: dict[str, str]) -> None:
    parked = daemonset.parked(a_daemon_set(template={"spec": {"nodeSelector": selector}}))

    assert (selector or None) == nodes(daemonset.primary(parked, MAKING))
    promoted = daemonset.promoted(daemonset.primary(parked, MAKING), parked, MAKING)
    assert (selector or None) == nodes(promoted)


def test_there_is_no_number_of_replicas() -> None:
    assert "replicas" not in daemonset.primary(a_daemon_set(), MAKING)["spec"]


def test_the_update_strategy_is_copied() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}

    found = daemonset.primary(a_daemon_set(updateStrategy=strategy), MAKING)

    assert strategy == found["spec"]["updateStrategy"]


def test_a_daemon_set_that_never_rolls_out_is_refused_in_flaggers_words() -> None:
    target = a_daemon_set(updateStrategy={"type": "OnDelete"})

    text = "daemonset web.shop must have RollingUpdate strategy but have OnDelete"
    assert text == daemonset.check(target)
    assert "" == daemonset.check(a_daemon_set(updateStrategy={}))


def test_only_available_pods_serve() -> None:
    assert 3 == daemonset.available(a_daemon_set())
    assert 0 == daemonset.available({**a_daemon_set(), "status": {}})
