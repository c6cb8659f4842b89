"""The text in which processes expose their metrics, and what two of such texts tell: pure.

Increases are summed over consecutive scrapes, so a counter that began anew in between counts from
zero; the quantile is estimated as PromQL's histogram_quantile does it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

Samples = Mapping[str, float]
"""Values by series, the series as it is written: `name{label="value"}`."""

_LINE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?P<labels>\{.*\})?\s+(?P<value>\S+)")
_PAIR = re.compile(r'([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


def samples(text: str, names: tuple[str, ...]) -> Iterator[tuple[str, str, float]]:
    """(series, name, value) of every line that belongs to one of `names`; others are skipped."""
    for line in text.splitlines():
        if not line.startswith(names):
            continue
        found = _LINE.match(line)
        if found is None or found["name"] not in names:
            continue
        try:
            value = float(found["value"])
        except ValueError:
            continue
        yield found["name"] + (found["labels"] or ""), found["name"], value


def labels_of(series: str) -> Mapping[str, str]:
    """The labels of a series as `samples` names it."""
    return {
        name: _ESCAPE.sub(lambda e: "\n" if e[1] == "n" else e[1], value)
        for name, value in _PAIR.findall(series)
    }


def increases(scrapes: Sequence[Samples]) -> dict[str, float]:
    """How much each counter grew from the first scrape to the last.

    A series that a scrape does not hold did not exist then: its counter started at zero.
    """
    grown: dict[str, float] = {}
    for before, after in itertools.pairwise(scrapes):
        for series, value in after.items():
            old = before.get(series, 0.0)
            grown[series] = grown.get(series, 0.0) + (value - old if value >= old else value)
    return grown


def quantile(q: float, buckets: Iterable[tuple[float, float]]) -> float:
    """The q-quantile of a histogram given as (upper bound, cumulative count); NaN where empty.

    Linear within a bucket; in the last, endless one it is that bucket's lower bound.
    """
    by_bound: dict[float, float] = {}
    for bound, count in buckets:
        by_bound[bound] = by_bound.get(bound, 0.0) + count
    ordered = sorted(by_bound.items())
    if len(ordered) < 2 or not math.isinf(ordered[-1][0]):
        return math.nan
    # Scrapes are not atomic: a bucket may lag behind a smaller one.
    highest, cumulative = 0.0, []
    for bound, count in ordered:
        highest = max(highest, count)
        cumulative.append((bound, highest))
    total = cumulative[-1][1]
    if total <= 0:
        return math.nan
    rank = q * total
    index = next(i for i, (_, count) in enumerate(cumulative) if count >= rank)
    if index == len(cumulative) - 1:
        return cumulative[-2][0]
    upper, count = cumulative[index]
    if index == 0:
        return upper * rank / count if upper > 0 else upper
    lower, below = cumulative[index - 1]
    return lower + (upper - lower) * (rank - below) / (count - below)
