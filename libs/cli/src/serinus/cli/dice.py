"""Random counts, from dice that are handed in."""

from __future__ import annotations

import math
import random


def binomial(dice: random.Random, n: int, p: float) -> int:
    """How many of n come out with chance p each: exact where few are expected, else by the normal
    approximation."""
    if n <= 0 or p <= 0:
        return 0
    if p > 0.5:
        return n - binomial(dice, n, 1 - p)
    if n * p < 30:
        # The gaps between hits are geometric: a few steps instead of n.
        hits, at = -1, -1
        fail = math.log1p(-p)
        while at < n:
            hits += 1
            at += 1 + int(math.log(1 - dice.random()) / fail)
        return hits
    return min(n, max(0, round(dice.gauss(n * p, math.sqrt(n * p * (1 - p))))))
