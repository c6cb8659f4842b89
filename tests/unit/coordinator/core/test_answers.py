"""What hooks are answered."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.coordinator.fleets import NEW, NEWER, a_key, a_standing

from serinus.coordinator.core.answers import confirm, done, find
from serinus.coordinator.core.orders import Order

EAST, WEST = a_key("east"), a_key("west")
WEB2, WEB3 = {"web": "registry.test:5000/web:2"}, {"web": "registry.test:5000/web:3"}


def order(action: str = "go", release: str = NEW, **more: Any) -> tuple[str, Order]:
    fields = {"key": WEST, "wave": "shop/web@home", "action": action, "release": release, **more}
    return "home", Order(**fields)


WAITING = a_standing(WEST, "waiting", NEW)


@pytest.mark.parametrize(
    ("standing", "orders", "silent", "status", "said"),
    [
        (None, [order()], {}, 403, "not known here yet"),
        (WAITING, [], {}, 403, "no Wave in east, west has anything to say about shop/web in west"),
        (WAITING, [order()], {}, 200, "go"),
        (WAITING, [order(release=NEWER)], {}, 403, "has not seen this release yet"),
        (WAITING, [order("wait", why="east is Waiting")], {}, 403, "home: east is Waiting"),
        (WAITING, [order("hold", why="the wave is paused")], {}, 403, "the wave is paused"),
        (WAITING, [order(), order("wait", why="no")], {}, 403, "no"),
        (WAITING, [order()], {"home": 30.0}, 200, "go"),
        (WAITING, [order(cut_off="hold")], {"home": 30.0}, 403, "no news from home for 30 s"),
        (WAITING, [order(cut_off="hold")], {"east": 30.0}, 200, "go"),
    ],
)
def test_a_canary_goes_when_every_wave_says_so(
    standing: Any, orders: Any, silent: Any, status: int, said: str
) -> None:
    answer = confirm(standing, orders, silent, {"west", "east"})
    assert status == answer.status
    assert said in answer.text


def east(state: Any, release: str, images: dict[str, str] = WEB2, **more: Any) -> Any:
    return a_standing(EAST, state, release, images=images, **more)


ASKING = a_standing(WEST, "waiting", NEW, images=WEB2)
OTHER = a_standing(WEST, "waiting", NEW, images={"web": "registry.test:5000/shop:7"})


@pytest.mark.parametrize(
    ("asked", "asking", "silent", "status", "said"),
    [
        (None, ASKING, {}, 403, "nothing is known of canary web"),
        (east("settled", NEW), ASKING, {}, 200, "shop/web in east is done"),
        (east("settled", NEWER, WEB3), ASKING, {}, 403, "has not got this release yet"),
        (east("running", NEW), ASKING, {}, 403, "is Progressing"),
        (east("failed", NEW), ASKING, {}, 409, "shop/web in east failed"),
        (east("failed", NEWER, WEB3), ASKING, {}, 403, "is Failed"),
        (east("settled", NEW), ASKING, {"east": 9.0}, 403, "no news from east for 9 s"),
        (east("settled", NEWER, WEB3), OTHER, {}, 200, "is done"),
        (east("failed", NEWER, WEB3), OTHER, {}, 409, "failed"),
        (east("settled", NEWER, WEB3), None, {}, 200, "is done"),
        (east("unready", ""), ASKING, {}, 403, "not initialized"),
    ],
)
def test_another_canary_is_done_when_it_has_the_release_that_asks(
    asked: Any, asking: Any, silent: Any, status: int, said: str
) -> None:
    answer = done(asked, asking, "canary web", silent)
    assert status == answer.status
    assert said in answer.text


def test_a_canary_is_found_by_name_where_that_names_one() -> None:
    keys = (EAST, WEST, a_key("east", "db"), a_key("east", "db", "staging"))
    standings = {key: a_standing(key) for key in keys}

    assert standings[EAST] == find(standings, "east", "web", "")
    assert find(standings, "", "web", "") is None
    assert find(standings, "east", "db", "") is None
    assert standings[a_key("east", "db", "staging")] == find(standings, "east", "db", "staging")
