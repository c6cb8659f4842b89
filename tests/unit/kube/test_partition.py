"""A StatefulSet as two parts."""

from __future__ import annotations

import pytest
from tests.builders import a_stateful_set

from serinus.kube.partition import (
    PARKED,
    parts,
    selects_all,
    selects_revision,
    with_partition,
)


def test_the_border_says_how_many_pods_each_part_wants() -> None:
    found = parts(a_stateful_set(replicas=5, partition=3))

    assert (found.primary_wanted, found.canary_wanted) == (3, 2)


@pytest.mark.parametrize(("partition", "canary", "primary"), [(0, 3, 3), (3, 0, 3), (PARKED, 0, 3)])
def test_a_border_at_the_end_leaves_all_pods_to_one_part(
    partition: int, canary: int, primary: int
) -> None:
    found = parts(a_stateful_set(replicas=3, partition=partition))

    assert (found.canary_wanted, found.primary_wanted) == (canary, primary)


def test_what_is_missing_is_taken_off_both_parts() -> None:
    """Nobody says whose pod it is; neither is believed to have more than it has."""
    found = parts(a_stateful_set(replicas=5, partition=3, newest=2, available=4))

    assert (found.primary_available, found.canary_available) == (2, 1)


def test_an_old_status_is_not_one_of_the_newest_spec() -> None:
    pushed = a_stateful_set(metadata={"generation": 2})

    assert not parts(pushed).is_observed
    assert not parts(pushed).is_rolled_out


def test_a_set_is_rolled_out_when_its_newest_revision_is_its_only_one() -> None:
    assert parts(a_stateful_set()).is_rolled_out
    assert not parts(a_stateful_set(partition=2, newest=1)).is_rolled_out
    assert not parts(a_stateful_set(newest=3, current="db-1")).is_rolled_out


def test_a_set_that_nobody_looked_at_yet_runs_nothing() -> None:
    fresh = a_stateful_set()
    del fresh["status"]

    found = parts(fresh)

    assert (found.current, found.is_one, found.missing) == ("", False, 3)


def test_moving_the_border_changes_nothing_else() -> None:
    target = a_stateful_set()
    del target["spec"]["updateStrategy"]

    moved = with_partition(target, 2)

    assert moved["spec"].pop("updateStrategy") == {
        "type": "RollingUpdate",
        "rollingUpdate": {"partition": 2},
    }
    assert moved == target


def test_other_settings_of_the_strategy_survive() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2, "partition": 0}}
    target = a_stateful_set(spec={"updateStrategy": strategy})

    moved = with_partition(target, 1)["spec"]["updateStrategy"]

    assert moved["rollingUpdate"] == {"maxUnavailable": 2, "partition": 1}


def test_pods_are_selected_by_all_labels_and_by_revision() -> None:
    target = a_stateful_set()

    assert selects_all(target) == {"app": "web", "tier": "data"}
    assert selects_revision(target, "web-1") == {
        "app": "web",
        "tier": "data",
        "controller-revision-hash": "web-1",
    }
