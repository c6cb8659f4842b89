"""Releases of known goodness as counts per interval, from a seed: what a judge is measured on.

Each release is a list of intervals of ten seconds at 100 requests a second; the canary gets a
fixed share. The world is not kind: load swings as a day does, the first minute is slow and a bit
faulty on both sides (new pods of the canary, and the primary's that came with it), now and then
one pod of either side has half a minute of trouble, and samples go missing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from msgspec import Struct

from serinus.analyzer.judge.histograms import Histogram
from serinus.analyzer.judge.proportions import Batch
from serinus.cli.dice import binomial

INTERVAL_S = 10
REQUESTS_PER_S = 100.0
INTERVALS = 60
PODS = 20
BOUNDS = (0.05, 0.1, 0.2, 0.4, 0.8, math.inf)


class World(Struct, frozen=True, kw_only=True):
    """How a release is and what surrounds it.

    rate      share of bad requests of the primary
    ratio     how many times as often the canary fails; 1: a good release
    slowdown  how many times as long the canary takes; 1: a good release
    share     the canary's part of the traffic
    """

    rate: float = 0.01
    ratio: float = 1.0
    slowdown: float = 1.0
    share: float = 0.05
    swing: float = 0.3
    outliers: float = 0.02
    missing: float = 0.03


class Interval(Struct, frozen=True):
    """One interval: counts of errors, and of durations by bound; None: the sample is missing."""

    errors: Batch
    durations: Histogram


def release(world: World, seed: int) -> Iterator[Interval | None]:
    """The intervals of one release."""
    dice = random.Random(f"{world}/{seed}")
    phase = dice.random() * 2 * math.pi
    trouble = {"canary": 0, "primary": 0}
    canary_pods = max(1, round(PODS * world.share))
    for index in range(INTERVALS):
        load = 1 + world.swing * math.sin(phase + 2 * math.pi * index / 144)
        total = REQUESTS_PER_S * INTERVAL_S * load
        warm = 1 + 0.3 * math.exp(-index / 2)
        for side, pods in (("canary", canary_pods), ("primary", PODS)):
            begins = dice.random() < world.outliers * pods / PODS
            trouble[side] = 3 if begins else max(0, trouble[side] - 1)
        sides = []
        for side, share, ratio, slow, pods in (
            ("canary", world.share, world.ratio, world.slowdown, canary_pods),
            ("primary", 1 - world.share, 1.0, 1.0, PODS),
        ):
            requests = binomial(dice, round(total), share)
            # One pod of them all fails three times as often.
            hit = 1 + 2 / pods if trouble[side] else 1.0
            bad = binomial(dice, requests, min(1.0, world.rate * ratio * warm * hit))
            sides.append((requests, bad, _durations(dice, requests, slow * warm)))
        (n, k, fast), (m, j, others) = sides
        if dice.random() < world.missing:
            yield None
        else:
            yield Interval(Batch(n, k, m, j), Histogram(fast, others))


def _durations(dice: random.Random, requests: int, slow: float) -> tuple[float, ...]:
    """Cumulative counts of log-normal durations with a median of 80 ms."""
    left, counted, known = requests, 0, 0.0
    found = []
    for bound in BOUNDS:
        reach = 1.0 if math.isinf(bound) else _normal(math.log(bound / (0.08 * slow)) / 0.6)
        part = binomial(dice, left, min(1.0, max(0.0, (reach - known) / max(1e-12, 1 - known))))
        left, counted, known = left - part, counted + part, reach
        found.append(float(counted))
    return tuple(found)


def _normal(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))
