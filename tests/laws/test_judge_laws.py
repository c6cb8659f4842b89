"""What the judge promises, held against releases of known goodness (the corpus, from seeds).

The whole table is printed by `python -m tests.bench judge`, and stands in docs/judge.md.
"""

from __future__ import annotations

import statistics

import pytest
from tests.bench.judge import (
    GOOD,
    latency,
    recorded_score,
    rolled_back_at,
    score,
    sequential,
    sequential_latency,
)
from tests.corpus.recorded import recordings
from tests.corpus.releases import INTERVALS, World, release

RUNS = 50


@pytest.mark.parametrize("world", GOOD, ids=str)
def test_at_most_one_good_release_of_a_hundred_is_rolled_back_over_all_looks(world: World) -> None:
    assert score(sequential, world, RUNS).caught <= RUNS // 50


def test_a_fivefold_error_rate_at_five_percent_of_the_traffic_is_found_within_a_minute() -> None:
    """5 % of 100 requests a second, 1 % of them bad with the primary."""
    times = [rolled_back_at(sequential, World(ratio=5), seed) for seed in range(RUNS)]
    found = [at for at in times if at is not None]

    assert len(found) >= RUNS * 99 // 100
    assert statistics.median(found) <= 60


def test_a_canary_that_takes_half_as_long_again_is_found_and_a_good_one_is_not() -> None:
    assert score(sequential_latency, World(slowdown=1.5), 10).caught == 10
    assert score(sequential_latency, World(), 10).caught == 0


def test_the_corpus_is_the_same_for_the_same_seed_and_has_holes() -> None:
    once, again = (list(release(World(missing=0.2), 3)) for _ in range(2))

    assert once == again
    assert len(once) == INTERVALS
    assert 2 <= sum(interval is None for interval in once) <= 30
    assert once != list(release(World(missing=0.2), 4))


def test_what_the_real_proxy_counted_is_told_apart() -> None:
    """Seven good and seven bad releases through Traefik, and one that is slow."""
    good, bad = recorded_score(sequential, "good"), recorded_score(sequential, "bad")

    assert (good.runs, good.caught) == (7, 0)
    assert (bad.runs, bad.caught) == (7, 7)
    assert bad.median_s <= 60
    assert recorded_score(latency, "good", "bad").caught == 0
    assert recorded_score(latency, "slow").caught == 1


def test_the_recorded_corpus_is_as_it_is_described() -> None:
    found = recordings()

    assert {r.odd for r in found} == {"", "canary", "primary"}
    assert sum(None in r.windows for r in found) == 2
    for one in found:
        known = [i for i in one.intervals() if i is not None]
        canary = sum(i.errors.canary for i in known)
        primary = sum(i.errors.primary for i in known)
        assert abs(canary / (canary + primary) - one.share) < 0.01
        assert all(i.durations.canary[-1] == i.errors.canary for i in known)
