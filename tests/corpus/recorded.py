"""Releases that the real proxy counted (record.py), read from traefik.jsonl."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from tests.corpus.releases import Interval

from serinus.analyzer.judge.histograms import Histogram
from serinus.analyzer.judge.proportions import Batch

PATH = Path(__file__).with_name("traefik.jsonl")
Side = tuple[float, float, tuple[float, ...]]
"""Requests, bad ones, and requests up to each bound."""


class Window(Struct, frozen=True):
    canary: Side
    primary: Side


class Recording(Struct, frozen=True, kw_only=True):
    """One release; a window that nobody scraped is None, and its requests are in the next one.

    kind     good, bad (fails more often) or slow
    primary, canary  tags of the sandbox's image: errors5 answers 500 to 5 % of the requests
    share    the canary's part of the requests
    odd      the side that had one pod in trouble for a while
    bounds   seconds; the last one is infinite and is written as null
    """

    kind: Literal["good", "bad", "slow"]
    primary: str
    canary: str
    share: float
    odd: str = ""
    bounds: list[float | None]
    windows: list[Window | None]

    @property
    def limits(self) -> list[float]:
        return [math.inf if bound is None else bound for bound in self.bounds]

    def intervals(self) -> Iterator[Interval | None]:
        """As the generator of the corpus has them."""
        for window in self.windows:
            if window is None:
                yield None
                continue
            (n, k, ours), (m, j, others) = window.canary, window.primary
            yield Interval(Batch(n, k, m, j), Histogram(ours, others))


def recordings() -> list[Recording]:
    """All of them, in the order in which they were recorded."""
    decoder = msgspec.json.Decoder(Recording)
    return [decoder.decode(line) for line in PATH.read_bytes().splitlines()]
