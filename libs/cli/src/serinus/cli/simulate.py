"""`serinus simulate`: before the release, how long it takes and what it would catch.

Requests come at an even rate and fail by chance; the canary gets the share that the spec orders.
Good releases fail as the primary does, bad ones so many times as often. Everything else is fine:
pods start at once, hooks agree, other metrics are within their bounds.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator

from msgspec import Struct

from serinus.analyzer.core.checks import Limits, limits_of
from serinus.analyzer.core.queries import DURATION, SHARE, SUCCESS_RATE
from serinus.analyzer.core.rollout import Answer, MetricAsk, NoData, Table, Value
from serinus.cli import manifest as manifests
from serinus.cli.dice import binomial
from serinus.cli.manifest import Manifest
from serinus.cli.rehearsal import Moment, Rehearsal
from serinus.events.canary import Metric, analysis_of

LONGEST_S = 24 * 3600.0
# What stopped a release is among the last things that it said.
REASONS = 3


class Traffic(Struct, frozen=True, kw_only=True):
    """requests  per second, both sides together
    errors    share of bad requests of the primary
    ratio     how many times as often the canary fails
    """

    requests: float
    errors: float
    ratio: float = 1.0


class Outcome(Struct, frozen=True):
    """How one release ended, after so many seconds and bad requests of the canary."""

    phase: str
    took_s: float
    bad: int


class Service:
    """Counts per second of a service with a canary, as a metrics server would know them."""

    def __init__(self, manifest: Manifest, traffic: Traffic, seed: int) -> None:
        self._metrics = {m.name: m for m in analysis_of(manifest.spec).metrics}
        self._traffic = traffic
        self._dice = random.Random(seed)  # noqa: S311 - chance, not secrets
        self._seconds: list[tuple[int, int, int, int]] = []

    @property
    def bad(self) -> int:
        """Bad requests of the canary so far."""
        return sum(second[1] for second in self._seconds)

    def measure(self, ask: MetricAsk, at_s: float, weight: int) -> Answer:
        self._pass(at_s, weight)
        if ask.columns:
            return self._table(ask)
        if ask.metric == SUCCESS_RATE and not ask.template:
            window = self._seconds[-int(ask.window_s) :]
            requests = sum(second[0] for second in window)
            if not requests:
                return NoData(key=ask.key, cause="no requests to the canary yet")
            good = requests - sum(second[1] for second in window)
            return Value(key=ask.key, value=100 * good / requests, samples=float(requests))
        if ask.metric == SHARE and ask.metric not in self._metrics:
            window = self._seconds[-int(ask.window_s) :]
            canary, others = (sum(second[i] for second in window) for i in (0, 2))
            if not canary + others:
                return NoData(key=ask.key, cause="no requests yet")
            share = 100 * canary / (canary + others)
            return Value(key=ask.key, value=share, samples=float(canary + others))
        return Value(key=ask.key, value=_fine(self._metrics.get(ask.metric), ask), samples=1e9)

    def _pass(self, at_s: float, weight: int) -> None:
        rate, errors = self._traffic.requests, self._traffic.errors
        while len(self._seconds) < int(at_s):
            total = round(rate * (len(self._seconds) + 1)) - round(rate * len(self._seconds))
            canary = binomial(self._dice, total, weight / 100)
            bad = binomial(self._dice, canary, min(1.0, errors * self._traffic.ratio))
            others = total - canary
            self._seconds.append((canary, bad, others, binomial(self._dice, others, errors)))

    def _table(self, ask: MetricAsk) -> Answer:
        """Windows from the beginning, as `core/judging.py` asks for them; queries find both sides
        alike."""
        size = int(ask.window_s)
        whole = len(self._seconds) // size
        rows = [
            [sum(s[i] for s in self._seconds[w * size : (w + 1) * size]) for i in range(4)]
            for w in range(whole)
        ]
        found: dict[str, tuple[float | None, ...]] = {}
        for side, index in (("canary", 0), ("primary", 2)):
            every = tuple(float(row[index]) for row in rows)
            if f"{side}:*" in ask.columns:
                found |= {f"{side}:0.1": tuple(0.9 * n for n in every), f"{side}:+Inf": every}
            elif f"{side}:value" in ask.columns:
                found[f"{side}:value"] = (1.0,) * whole
            elif f"{side}:bad" in ask.columns:
                found |= {f"{side}:all": every, f"{side}:bad": (0.0,) * whole}
            else:
                good = tuple(float(row[index] - row[index + 1]) for row in rows)
                found |= {f"{side}:all": every, f"{side}:good": good}
        return Table(key=ask.key, columns=found)


def _fine(metric: Metric | None, ask: MetricAsk) -> float:
    """A value within a metric's bounds."""
    check = ask.metric if ask.metric in (SUCCESS_RATE, DURATION) else ""
    limits = limits_of(metric, check) if metric else Limits()
    return limits.low if limits.low is not None else min(0.0, limits.high or 0.0)


def release(manifest: Manifest, traffic: Traffic, seed: int) -> tuple[Outcome, list[Moment]]:
    """One release from its beginning to its end, or for a day."""
    service = Service(manifest, traffic, seed)
    rehearsal = Rehearsal(manifest, service.measure)
    moments = list(rehearsal.run(LONGEST_S))
    last = moments[-1] if moments else None
    phase = last.phase if last else ""
    return Outcome(phase, last.at_s if last else 0.0, service.bad), moments


def lines(manifest: Manifest, traffic: Traffic, runs: int) -> Iterator[str]:
    """What to print: the steps of a good release, then how often which kind is rolled back."""
    good = Traffic(requests=traffic.requests, errors=0.0)
    outcome, moments = release(manifest, good, 0)
    yield f"without trouble it takes {outcome.took_s:.0f}s and ends {outcome.phase}:"
    weight = -1
    for moment in moments:
        if moment.weight != weight:
            weight = moment.weight
            yield f"{moment.at_s:8.0f}s {moment.phase:<12} {weight:>3}%"
    if outcome.phase != "Succeeded":
        yield "because:"
        yield from (f"  {text}" for moment in moments[-REASONS:] for text in moment.texts)
    load = f"{traffic.requests:g} requests/s with {traffic.errors:.2%} errors"
    yield f"at {load}, of {runs} releases:"
    for ratio in (1.0, traffic.ratio):
        world = Traffic(requests=traffic.requests, errors=traffic.errors, ratio=ratio)
        found = [release(manifest, world, seed)[0] for seed in range(runs)]
        yield _told(found, ratio)


def _told(found: list[Outcome], ratio: float) -> str:
    back = [outcome for outcome in found if outcome.phase == "Failed"]
    open_ = sum(outcome.phase not in ("Failed", "Succeeded") for outcome in found)
    kind = "as good as the primary" if ratio == 1 else f"{ratio:g} times the errors"
    text = f"  {kind}: {len(back)} rolled back ({len(back) / len(found):.1%})"
    if back:
        seconds = statistics.median(outcome.took_s for outcome in back)
        bad = statistics.median(outcome.bad for outcome in back)
        text += f", in the median after {seconds:.0f}s and {bad:.0f} bad requests"
    return text + (f", {open_} not ended within a day" if open_ else "")


def run(canary: str, traffic: Traffic, runs: int) -> Iterator[str]:
    """The lines to print. Raises Unusable."""
    yield from lines(manifests.read(canary), traffic, runs)
