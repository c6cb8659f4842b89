"""What Services of a StatefulSet select, and how much its canary's pods can bear."""

from __future__ import annotations

import pytest
from tests.builders import a_stateful_set

from serinus.events import Routes
from serinus.events.canary import HttpMatch
from serinus.kube.partition import parts, selects_all, selects_revision
from serinus.kube.refs import Obj
from serinus.router.core.parted import canary_selects, eased, primary_selects

WIDE = selects_all(a_stateful_set())
OLD, NEW = (selects_revision(a_stateful_set(), name) for name in ("web-1", "web-2"))


def primary(found: Obj, held: dict[str, str], promote: bool = False) -> object:
    return primary_selects(found, parts(found), held, promote=promote)


def test_s_narrows_only_when_all_pods_are_of_one_revision() -> None:
    mixed = a_stateful_set(partition=2, newest=1)

    assert primary(mixed, held=WIDE) == WIDE
    assert primary(mixed, held=OLD) == OLD
    assert primary(a_stateful_set(), held=WIDE) == OLD


def test_s_takes_every_pod_while_they_are_replaced() -> None:
    assert primary(a_stateful_set(partition=2, newest=1), held=OLD, promote=True) == WIDE
    assert primary(a_stateful_set(), held=WIDE, promote=True) == OLD


def test_s_follows_pods_that_there_are_whatever_somebody_did_to_the_set() -> None:
    """All pods run another revision: the one that it selected has none any more."""
    taken = a_stateful_set(newest=1, current="web-3", replicas=3)

    assert primary(taken, held=OLD) == WIDE


def test_the_canarys_service_changes_sides_only_while_nobody_is_sent_there() -> None:
    found = a_stateful_set(partition=2, newest=1)

    def chosen(held: dict[str, str], seen: Routes | None) -> object:
        return canary_selects(found, parts(found), held, seen)

    assert chosen(OLD, Routes()) == NEW
    assert chosen(OLD, None) == NEW
    assert chosen(OLD, Routes(primary=80, canary=20)) == OLD
    assert chosen(OLD, Routes(mirror=True)) == OLD
    assert chosen({}, Routes(primary=80, canary=20)) == NEW


def test_a_revision_that_the_controller_has_not_named_yet_is_not_selected() -> None:
    pushed = a_stateful_set(metadata={"generation": 2})

    assert canary_selects(pushed, parts(pushed), NEW, None) == NEW


@pytest.mark.parametrize(
    ("asked", "ready", "seen", "share"),
    [
        (20, 1, 0, 20),
        (40, 1, 0, 25),
        (100, 3, 0, 75),
        (100, 4, 0, 100),
        (0, 3, 60, 0),
        (60, 0, 40, 40),
        (20, 0, 40, 20),
    ],
)
def test_the_share_grows_with_the_pods_and_never_shrinks_because_of_them(
    asked: int, ready: int, seen: int, share: int
) -> None:
    """Five pods; with one of them away four bear everything."""
    found = parts(a_stateful_set(replicas=5, partition=5 - ready, newest=ready))
    before = Routes(primary=100 - seen, canary=seen)

    routes = eased(Routes(primary=100 - asked, canary=asked), found, before)

    assert (routes.primary, routes.canary) == (100 - share, share)


def test_the_audience_of_an_experiment_is_not_a_share() -> None:
    asked = Routes(primary=0, canary=100, match=(HttpMatch(),))

    assert eased(asked, parts(a_stateful_set(partition=2, newest=1)), None) == asked


def test_a_set_of_one_pod_has_no_second_version_to_send_anybody_to() -> None:
    asked = Routes(primary=60, canary=40)

    assert eased(asked, parts(a_stateful_set(replicas=1)), asked).canary == 0
