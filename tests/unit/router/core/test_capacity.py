"""Requests move to pods that serve, and that proxies have had time to learn of."""

from __future__ import annotations

from tests.unit.router.core.scenes import at_work, planned, whys, wish


def test_a_canary_gets_its_first_requests_when_proxies_have_had_time_to_learn_of_it() -> None:
    fresh = planned(wish(20), at_work(0, canary_serving_s=1.0))
    assert ((), 0.5) == (fresh.steps, fresh.then.after_s)
    assert ["routes 80/20"] == whys(wish(20), at_work(0, canary_serving_s=1.5))


def test_a_canary_that_has_requests_gets_more_at_once() -> None:
    assert ["routes 60/40"] == whys(wish(40), at_work(20, canary_serving_s=1.0))
