"""The least size of a primary while its canary has its requests."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.kube.refs import Obj
from serinus.router.core.floors import LEAST, floor, for_everybody, freed, held
from serinus.router.scalers import hpa, keda

HPA: Obj = {"metadata": {"name": "web-primary"}, "spec": {"minReplicas": 2, "maxReplicas": 9}}
KEDA: Obj = {"metadata": {"name": "web-primary"}, "spec": {"minReplicaCount": 0}}


@pytest.mark.parametrize(("live", "scaler", "least"), [(HPA, hpa, "2"), (KEDA, keda, "0")])
def test_what_is_held_is_freed_again(live: Obj, scaler: Any, least: str) -> None:
    kept = held(live, 6, scaler)

    assert (floor(kept, scaler), floor(live, scaler)) == (6, 0)
    assert kept["metadata"]["annotations"] == {LEAST: least}
    assert freed(kept, scaler) == {**live, "metadata": {**live["metadata"], "annotations": {}}}


def test_holding_more_remembers_what_it_was_at_first() -> None:
    twice = held(held(HPA, 5, hpa), 7, hpa)

    assert (hpa.least(twice), twice["metadata"]["annotations"][LEAST]) == (7, "2")


def test_it_never_holds_less_than_it_does_nor_more_than_it_may() -> None:
    assert held(HPA, 2, hpa) is HPA
    assert hpa.least(held(HPA, 50, hpa)) == 9
    assert keda.least(held(KEDA, 500, keda)) == 100
    assert hpa.least(HPA) == 2


def test_what_was_not_held_is_not_freed() -> None:
    assert freed(HPA, hpa) is HPA


@pytest.mark.parametrize(
    ("primary", "canary", "share", "pods"),
    [(10, 0, 0, 10), (4, 6, 60, 10), (6, 9, 60, 15), (10, 2, 5, 12), (2, 8, 100, 8)],
)
def test_everybody_needs_what_both_have_or_what_the_share_says(
    primary: int, canary: int, share: int, pods: int
) -> None:
    """The smaller one: both are enough."""
    assert for_everybody(primary, canary, share) == pods
