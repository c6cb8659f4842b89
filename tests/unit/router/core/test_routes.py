"""Shares of traffic."""

from __future__ import annotations

import pytest

from serinus.events import Routes
from serinus.router.core.objects import NotYet, Refusal
from serinus.router.core.routes import agreed, checked, exposes, is_off, seen


@pytest.mark.parametrize(("primary", "canary"), [(100, 0), (0, 100), (73, 27)])
def test_shares_that_sum_to_100_can_be_ordered(primary: int, canary: int) -> None:
    routes = Routes(primary=primary, canary=canary)

    assert routes is checked(routes)


@pytest.mark.parametrize(("primary", "canary"), [(100, 20), (0, 0), (120, -20)])
def test_other_shares_are_refused(primary: int, canary: int) -> None:
    with pytest.raises(Refusal, match=f"weights {primary}/{canary} do not sum to 100"):
        checked(Routes(primary=primary, canary=canary))


@pytest.mark.parametrize(
    ("found", "expected"),
    [((80, 20), (80, 20)), ((100, 100), (50, 50)), ((1, 2), (33, 67)), ((0, 0), (0, 0))],
)
def test_found_weights_are_shares_of_their_sum(
    found: tuple[int, int], expected: tuple[int, int]
) -> None:
    primary, canary = found
    routes = seen(Routes(), primary=primary, canary=canary)

    assert expected == (routes.primary, routes.canary)


@pytest.mark.parametrize(
    ("wanted", "live", "expected"),
    [
        (Routes(primary=80, canary=20), Routes(), True),
        (Routes(primary=80, canary=20), None, True),
        (Routes(primary=80, canary=20), Routes(primary=70, canary=30), False),
        (Routes(mirror=True), Routes(), True),
        (Routes(mirror=True), Routes(mirror=True), False),
        (Routes(), None, False),
    ],
)
def test_whether_the_canary_would_see_more(
    wanted: Routes, live: Routes | None, expected: bool
) -> None:
    assert expected == exposes(wanted, live)


def test_a_mirror_is_traffic_too() -> None:
    assert is_off(Routes())
    assert not is_off(Routes(mirror=True))
    assert not is_off(Routes(primary=99, canary=1))


def test_several_agree_or_the_most_exposed_of_them_is_told_with_why() -> None:
    half, none = Routes(primary=50, canary=50), Routes()

    assert half == agreed([half, half], "differ")
    for both in ([half, none], [none, half]):
        assert NotYet("differ", half) == agreed(both, "differ")
    assert NotYet("away", half) == agreed([half, NotYet("away")], "differ")
    assert NotYet("away", none) == agreed([NotYet("away", none)], "differ")
