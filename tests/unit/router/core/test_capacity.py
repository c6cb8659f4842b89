"""Requests move to pods that serve, and that proxies can know of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.router.core.scenes import (
    a_primary,
    a_route,
    a_target,
    at_work,
    exposed,
    planned,
    the_services,
    whys,
    wish,
    without_settling,
    world,
)

from serinus.router.core.capacity import LONGEST_S
from serinus.router.core.steps import Addresses, Options, Read, Wait, World
from serinus.router.meshes.catalog import MESHES

NOBODY_CAN_TELL = Addresses(None)


def before_its_first_share(serving_s: float, known: Addresses | None = None) -> World:
    """Two pods of the canary have been ready for so long, and nobody is sent to them."""
    return at_work(0, canary_serving_s=serving_s, addresses=known)


def waits_s(found: World, **fields: Any) -> float | None:
    """For how long the first share waits; None where it is given."""
    then = planned(wish(20, **fields), found).then
    if not isinstance(then, Wait):
        return None
    assert "deployment web.shop gets requests when proxies know its pods" == then.why
    return then.after_s


def test_addresses_are_asked_for_before_the_first_share() -> None:
    found = planned(wish(20), before_its_first_share(0.0))
    assert ((), Read(service="web-canary")) == (found.steps, found.then)


def test_nothing_is_asked_for_a_canary_that_stays_without_requests_or_has_some() -> None:
    assert [] == whys(wish(0), before_its_first_share(0.0))
    assert ["routes 60/40"] == whys(wish(40), at_work(20, canary_serving_s=0.0))


def test_pods_whose_addresses_are_announced_get_requests_when_proxies_have_followed() -> None:
    assert 0.2 == waits_s(before_its_first_share(0.1, Addresses(2)))
    assert 0.05 == pytest.approx(waits_s(before_its_first_share(0.3, Addresses(2, ago_s=0.15))))
    known = before_its_first_share(0.3, Addresses(2, ago_s=0.2))
    assert ["routes 80/20"] == whys(wish(20), known)


def test_what_was_there_at_once_may_have_been_there_long() -> None:
    """A router that was just started makes nobody wait again."""
    assert 0.1 == pytest.approx(waits_s(before_its_first_share(1.4, Addresses(2))))
    assert ["routes 80/20"] == whys(wish(20), before_its_first_share(1.5, Addresses(2)))
    assert 0.2 == waits_s(before_its_first_share(1.5, Addresses(2, times=2)))


@pytest.mark.parametrize(("times", "after_s"), [(1, 0.2), (2, 0.4), (3, 0.8), (4, 1.6)])
def test_addresses_that_are_missing_are_asked_for_again_ever_later(
    times: int, after_s: float
) -> None:
    missing = Addresses(1, times, ago_s=0.05)
    assert after_s - 0.05 == pytest.approx(waits_s(before_its_first_share(1.0, missing)))
    due = Addresses(1, times, ago_s=after_s)
    assert Read(service="web-canary") == planned(wish(20), before_its_first_share(1.0, due)).then


def test_every_ready_pod_is_to_be_announced_and_none_that_is_not_ready() -> None:
    one = world(a_target(ready=1), a_primary(), a_route(), *the_services(), canary_serving_s=0.1)
    one = msgspec.structs.replace(one, addresses=Addresses(1, ago_s=1.0))
    assert ["routes 80/20"] == whys(wish(20, canary_ready_threshold=50), one)


def test_what_is_never_announced_gets_its_share_with_a_warning() -> None:
    missing = Addresses(1, 5, ago_s=1.9)
    assert 0.5 == waits_s(before_its_first_share(LONGEST_S - 0.5, Addresses(1, 5)))
    (write,) = planned(wish(20), before_its_first_share(LONGEST_S, missing)).steps
    assert "Service web-canary announces 1 of 2 ready pods" == write.risk
    (write,) = planned(wish(20), before_its_first_share(LONGEST_S)).steps
    assert "" == write.risk


def test_where_nobody_can_tell_time_must_do() -> None:
    assert 0.5 == waits_s(before_its_first_share(1.0, NOBODY_CAN_TELL))
    assert ["routes 80/20"] == whys(wish(20), before_its_first_share(1.5, NOBODY_CAN_TELL))


def test_proxies_that_know_pods_by_themselves_are_not_asked_about() -> None:
    found = world(
        a_target(),
        a_primary(),
        a_route(mesh="kuma"),
        *the_services(),
        canary_serving_s=1.0,
    )
    assert 0.5 == waits_s(found, mesh="kuma")
    assert {"kuma"} == {name for name, row in MESHES.items() if not row.by_slices}


def test_where_the_canary_has_no_service_of_ours_nobody_is_asked() -> None:
    bare = msgspec.structs.replace(exposed(), service=None)
    assert 0.5 == waits_s(before_its_first_share(1.0), exposure=bare)


def test_an_operator_may_know_better() -> None:
    fresh = before_its_first_share(0.0)
    assert ["routes 80/20"] == whys(wish(20), without_settling(fresh))
    short = msgspec.structs.replace(fresh, options=Options(settle_s=0.1))
    assert 0.1 == waits_s(msgspec.structs.replace(short, addresses=Addresses(2)))
    assert 0.1 == waits_s(msgspec.structs.replace(short, addresses=NOBODY_CAN_TELL))


def test_the_primary_is_said_to_wait_in_the_same_words() -> None:
    objects = [a_target(), a_primary(), *the_services("target")]
    then = planned(wish(), world(*objects, serving_s=1.0)).then
    assert Wait("web-primary.shop gets requests when proxies know its pods", 2.0) == then
