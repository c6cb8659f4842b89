"""StatefulSets: target and primary are one object, parted by ordinals."""

from __future__ import annotations

from tests.builders import REF, a_stateful_set

from serinus.kube.partition import PARKED, parts
from serinus.router.core.objects import PROMOTED_REVISION
from serinus.router.workloads import statefulset
from serinus.router.workloads.primary import Making


def test_on_delete_knows_no_border() -> None:
    target = a_stateful_set(spec={"updateStrategy": {"type": "OnDelete"}})

    why = statefulset.check(target)

    assert why == "statefulset web.shop must have RollingUpdate strategy but have OnDelete"
    assert statefulset.check(a_stateful_set()) == ""


def test_a_promoted_set_remembers_its_revision_and_lets_no_other_through() -> None:
    target = a_stateful_set()

    promoted = statefulset.primary(target, Making(canary=REF, revision="s1-a"))

    assert promoted["metadata"]["annotations"][PROMOTED_REVISION] == "s1-a"
    assert parts(promoted).partition == PARKED
    assert PROMOTED_REVISION not in target["metadata"].get("annotations", {})


def test_a_released_set_rolls_by_itself_again_and_bears_no_note() -> None:
    noted = statefulset.noted(a_stateful_set(partition=PARKED), "s1-a")

    freed = statefulset.released(noted, noted, None)

    assert freed["metadata"]["annotations"] == {}
    assert parts(freed).partition == 0


def test_a_set_is_parked_when_no_pod_is_the_canarys() -> None:
    assert statefulset.is_parked(a_stateful_set(partition=PARKED, newest=0))
    assert not statefulset.is_parked(a_stateful_set(partition=PARKED, newest=1))
    assert not statefulset.is_parked(a_stateful_set(partition=2, newest=1))


def test_waking_moves_the_border_by_one_pod() -> None:
    woken = statefulset.running(a_stateful_set(partition=PARKED), None, None)

    assert parts(woken).partition == 2
    assert statefulset.running(woken, None, None) is woken
    assert parts(statefulset.parked(woken)).partition == PARKED


def test_pods_serve_whatever_they_run() -> None:
    assert statefulset.available(a_stateful_set(partition=2, newest=1, available=2)) == 2
