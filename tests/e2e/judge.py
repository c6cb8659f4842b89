"""Requests and weights in, verdict out. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

UNANSWERED = 0
SWITCH_S = 4.0
"""How long requests may still follow the weight before: the write, Traefik's throttle of 2 s."""

OUTCOME = re.compile("Initialization done|Advance|Promotion completed|Canary failed")
"""Told whatever happens; the rest of what a service was about to say may die with it."""
PATIENCE = re.compile(
    "not ready|waiting for|not found|no values|no answer|did not take|kept until|proxies know"
)
"""Said of what takes longer than an interval, or of a missed scrape, which is the machine's."""


@dataclass(frozen=True)
class Request:
    """When it was sent (Unix seconds), what came back, how long it took; `why` it has no answer."""

    at: float
    status: int
    version: str
    took_ms: float
    why: str

    @property
    def failed(self) -> bool:
        return not 200 <= self.status < 400


@dataclass(frozen=True)
class Moment:
    """What the status of the Canary said from `at` on."""

    at: float
    phase: str
    weight: int


@dataclass(frozen=True)
class Step:
    """One weight: the percentage ordered, the percentage seen, and of how many requests."""

    ordered: int
    seen: float
    requests: int


@dataclass(frozen=True)
class History:
    """What releases leave behind: phases with weights in their order, how often each sentence was
    told as an Event (with its reason)."""

    statuses: tuple[tuple[str, int], ...]
    told: Mapping[tuple[str, str], int]

    def after(self, before: History) -> History:
        """What came since; `before` is an earlier part of this history."""
        told = Counter(self.told)
        told.subtract(before.told)
        return History(self.statuses[len(before.statuses) :], told)

    def times(self, count: int) -> History:
        """The same so many times in a row."""
        told = {sentence: count * number for sentence, number in self.told.items()}
        return History(self.statuses * count, told)


def statuses(moments: Sequence[Moment]) -> tuple[tuple[str, int], ...]:
    """Phases and weights without repeats; a Canary that nobody has looked at yet has none."""
    return tuple((m.phase, m.weight) for m, _ in _pairs(moments) if m.phase)


def differences(wanted: History, seen: History, *, patient: bool = False) -> list[str]:
    """What came otherwise than in `wanted`: steps left out or doubled, sentences not told as often.

    patient  prose may be missing, but not the outcomes
    """
    found = []
    if seen.statuses != wanted.statuses:
        found.append(f"statuses {seen.statuses}, not {wanted.statuses}")
    for reason, text in sorted(wanted.told.keys() | seen.told.keys()):
        missing = wanted.told.get((reason, text), 0) - seen.told.get((reason, text), 0)
        allowed = patient and not OUTCOME.search(text)
        if missing and not PATIENCE.search(text) and not (missing > 0 and allowed):
            count = seen.told.get((reason, text), 0)
            found.append(f"{reason} {text!r} {count} times, not {missing + count}")
    return found


def gaps_s(moments: Sequence[Moment]) -> list[float]:
    """How long each weight of the analysis stood before the next one, or before promotion."""
    pairs = [(m, until) for m, until in _pairs(moments) if m.phase == "Progressing" and m.weight]
    return [until - m.at for m, until in pairs]


def failures(requests: Iterable[Request]) -> Counter[tuple[int, str, str]]:
    """Failed requests by status, version and reason."""
    return Counter((r.status, r.version, r.why) for r in requests if r.failed)


def when(moments: Sequence[Moment], requests: Iterable[Request]) -> list[str]:
    """Where in the story requests failed, for people: one line per second and kind of failure."""
    found: Counter[tuple[int, int, str, str]] = Counter()
    for request in requests:
        if request.failed:
            key = (int(request.at), request.status, request.version, request.why)
            found[key] += 1
    lines = [(key[0], f"{count} x {key[1:]}") for key, count in found.items()]
    lines += [(int(m.at), f"{m.phase} {m.weight}") for m in moments]
    return [f"{at % 1000} s: {text}" for at, text in sorted(lines)]


def steps(moments: Sequence[Moment], requests: Sequence[Request], version: str) -> list[Step]:
    """The share of `version` while each weight of the analysis stood, proxies given time."""
    by_weight: dict[int, list[Request]] = {}
    for moment, following in _pairs(moments):
        if moment.phase != "Progressing" or not moment.weight:
            continue
        since = moment.at + SWITCH_S
        stood = [r for r in requests if since <= r.at < following]
        by_weight.setdefault(moment.weight, []).extend(stood)
    return [
        Step(weight, 100 * sum(r.version == version for r in found) / len(found), len(found))
        for weight, found in by_weight.items()
        if found
    ]


def path(moments: Sequence[Moment]) -> list[int]:
    """The weights of an analysis in the order in which they were ordered, going back included."""
    return [m.weight for m, _ in _pairs(moments) if m.phase == "Progressing"]


def at_stake(moments: Sequence[Moment], requests: Iterable[Request]) -> float:
    """How many requests the canary was ordered to get, the time that proxies take included."""
    spans = [(m.at, until, m.weight / 100) for m, until in _pairs(moments)]

    def share(at: float) -> float:
        return max((w for since, until, w in spans if since <= at < until + SWITCH_S), default=0.0)

    return sum(share(r.at) for r in requests)


def allowed_failures(stake: float, error_rate: float) -> float:
    """The most of `stake` requests that may fail by chance: the mean and four deviations, as one
    run in thirty thousand has more."""
    mean = stake * error_rate
    return mean + 4 * math.sqrt(mean * (1 - error_rate))


def _pairs(moments: Sequence[Moment]) -> Iterable[tuple[Moment, float]]:
    """Each moment with the time until which it stood; the last stands for ever.

    A moment that changed nothing that counts here is part of the one before.
    """
    kept: list[Moment] = []
    for moment in moments:
        if not kept or (moment.phase, moment.weight) != (kept[-1].phase, kept[-1].weight):
            kept.append(moment)
    ends = [m.at for m in kept[1:]] + [math.inf]
    return zip(kept, ends, strict=True)
