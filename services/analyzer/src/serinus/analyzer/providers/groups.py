"""One question for many: built-in checks of many canaries on one Prometheus, asked together.

A canary alone is asked about in Flagger's words, which people look for in query logs. Where many
share a server, a check and an interval, that is one query each at every interval; then they are
gathered for a moment, asked in one query per hundred canaries, `by` the labels that tell them
apart, and split on arrival with the very matchers of the single query. The result is the same.
"""

from __future__ import annotations

import asyncio
import math
import re
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from serinus.analyzer.core.checks import NO_SERIES, NOT_A_NUMBER
from serinus.analyzer.core.observers import OBSERVERS, Matcher
from serinus.analyzer.core.queries import DURATION, QUANTILE, Names, selection
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.judge.histograms import quantile
from serinus.analyzer.providers.source import (
    Misread,
    Question,
    Source,
    address,
    document,
    post,
    told,
)
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http

GATHER_S = 0.1
CHUNK = 100
REMEMBERED_WINDOWS = 3.0
KEYS_MAX = 256

Ask = Callable[[], Awaitable[Reading]]


class Key(Struct, frozen=True):
    """What questions must share to be asked together."""

    address: str
    observer: str
    check: str
    window_s: float
    labels: tuple[str, ...]


class Sample(Struct, frozen=True):
    """One series of a grouped answer."""

    labels: dict[str, str]
    value: float


class _Group:
    """The canaries of one key: when each was last asked about, and who waits for an answer."""

    def __init__(self) -> None:
        self.seen: dict[Names, float] = {}
        self.waiting: list[tuple[Question, asyncio.Future[Reading]]] = []


class Groups:
    """All groups of one analyzer.

    at_least  so many canaries must share a key before they are asked about together; 0: never
    """

    def __init__(self, http: Http, clock: Clock, at_least: int) -> None:
        self._http = http
        self._clock = clock
        self._at_least = at_least
        self._groups: dict[Key, _Group] = {}
        self._flushing: set[asyncio.Task[None]] = set()

    async def value(self, source: Source, question: Question, alone: Ask) -> Reading:
        """The answer to a built-in check: with others, or `alone` where there are too few."""
        if not self._at_least or source.credentials or question.names is None:
            return await alone()
        labels = tuple(m.label for m in _matchers(question))
        key = Key(
            source.provider.address, question.observer, question.check, question.window_s, labels
        )
        group = self._group(key)
        if not self._many(group, question, question.names):
            return await alone()
        future: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
        group.waiting.append((question, future))
        if len(group.waiting) == 1:
            task = asyncio.create_task(self._gather(source, group), name="grouped question")
            self._flushing.add(task)
            task.add_done_callback(self._flushing.discard)
        return await future

    def _group(self, key: Key) -> _Group:
        if key not in self._groups and len(self._groups) >= KEYS_MAX:
            self._groups = {k: g for k, g in self._groups.items() if g.waiting}
        return self._groups.setdefault(key, _Group())

    def _many(self, group: _Group, question: Question, names: Names) -> bool:
        now = self._clock.now()
        group.seen[names] = now
        if len(group.seen) < self._at_least:
            return False
        oldest = now - REMEMBERED_WINDOWS * max(question.window_s, 60.0)
        group.seen = {known: at for known, at in group.seen.items() if at >= oldest}
        return len(group.seen) >= self._at_least

    async def _gather(self, source: Source, group: _Group) -> None:
        await self._clock.sleep(GATHER_S)
        waiting, group.waiting = group.waiting, []
        chunks = [waiting[i : i + CHUNK] for i in range(0, len(waiting), CHUNK)]
        await asyncio.gather(*(self._asked(source, chunk) for chunk in chunks))

    async def _asked(
        self, source: Source, chunk: Sequence[tuple[Question, asyncio.Future[Reading]]]
    ) -> None:
        try:
            found = await self._samples(source, [question for question, _ in chunk])
            if isinstance(found, Unreachable):
                readings: Sequence[Reading] = [found] * len(chunk)
            else:
                readings = split([question for question, _ in chunk], found)
            for (_, future), reading in zip(chunk, readings, strict=True):
                if not future.done():
                    future.set_result(reading)
        finally:
            # A mistake of ours is an answer too, so that no rollout hangs.
            for _, future in chunk:
                if not future.done():
                    future.set_result(Unreachable(key="", why="internal error: grouped answer"))

    async def _samples(
        self, source: Source, questions: Sequence[Question]
    ) -> list[Sample] | Unreachable:
        samples: list[Sample] = []

        async def asking() -> Reading:
            body = urlencode({"query": grouped_query(questions)}).encode()
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            request = post(source, f"{address(source)}/api/v1/query", body, form)
            samples.extend(_vector(document(await self._http.send(request))))
            return NoData(key="")

        outcome = await told(asking())
        return outcome if isinstance(outcome, Unreachable) else samples


def _vector(answer: Any) -> Iterable[Sample]:
    data = answer["data"]
    if data["resultType"] != "vector":
        raise Misread(f"the answer is a {data['resultType']}, not a vector")
    for series in data["result"]:
        yield Sample(series["metric"], float(series["value"][1]))


# --- the query ----------------------------------------------------------------------------------

PART = "serinus_part"


def _matchers(question: Question) -> tuple[Matcher, ...]:
    """The conditions that tell this canary's series; not those on buckets and on good requests."""
    assert question.names is not None
    chosen = selection(question.observer, question.names)
    every = chosen.timed if question.check == DURATION else chosen.every
    return tuple(matcher for matcher in every if matcher.label != "le")


def grouped_query(questions: Sequence[Question]) -> str:
    """One query for all; each series says in `serinus_part` which part of the check it is."""
    first = questions[0]
    assert first.names is not None
    row = OBSERVERS[first.observer]
    chosen = selection(first.observer, first.names)
    rows = [_matchers(question) for question in questions]
    united = tuple(_united([matchers[i] for matchers in rows]) for i in range(len(rows[0])))
    labels = ", ".join(dict.fromkeys(matcher.label for matcher in united))
    window = f"[{first.window_s:g}s]"
    fixed = tuple(m for m in chosen.every if m.label == "le") if first.check != DURATION else ()
    every = (*united, *fixed)
    if first.check != DURATION:
        parts = {"all": (chosen.requests, every), "good": (chosen.requests, (*every, chosen.ok))}
    elif row.average:
        parts = {"all": (f"{row.latency}_count", every), "good": (f"{row.latency}_sum", every)}
    else:
        return f"sum(rate({chosen.latency}{_braces(every)}{window})) by ({labels}, le)"
    return " or ".join(
        f"label_replace(sum(rate({name}{_braces(matchers)}{window})) by ({labels}), "
        f'"{PART}", "{part}", "", "")'
        for part, (name, matchers) in parts.items()
    )


def _braces(matchers: tuple[Matcher, ...]) -> str:
    return "{" + ", ".join(str(matcher) for matcher in matchers) + "}"


def _united(matchers: Sequence[Matcher]) -> Matcher:
    """A condition that holds wherever one of these does. Names are harmless in expressions, but
    for their dots."""
    distinct = list(dict.fromkeys(matchers))
    if len(distinct) == 1:
        return distinct[0]
    values = [m.value.replace(".", "[.]") if m.op == "=" else f"(?:{m.value})" for m in distinct]
    return Matcher(distinct[0].label, "=~", "|".join(values))


# --- the split ----------------------------------------------------------------------------------

_PLAIN = re.compile(r"[\w@ -]*(?![?*+{])")


def split(questions: Sequence[Question], samples: Iterable[Sample]) -> list[Reading]:
    """What the single query of each would have answered. All are of one group."""
    rows = [_matchers(question) for question in questions]
    found = _Sorted(samples, [matcher.label for matcher in rows[0]])
    asked = zip(questions, rows, strict=True)
    return [_reading(question, found.of(row)) for question, row in asked]


class _Sorted:
    """Samples by the values of the labels that tell canaries apart.

    A hundred canaries are sought among the series of a hundred: each value is looked at once for
    all of its series, and only where it begins as the expression does.
    """

    def __init__(self, samples: Iterable[Sample], labels: Sequence[str]) -> None:
        self._samples: dict[tuple[str, ...], list[Sample]] = {}
        for sample in samples:
            face = tuple(sample.labels.get(label, "") for label in labels)
            self._samples.setdefault(face, []).append(sample)
        # For each label: its values in order, and the faces that have each.
        self._faces: list[dict[str, list[tuple[str, ...]]]] = [{} for _ in labels]
        for face in self._samples:
            for place, value in enumerate(face):
                self._faces[place].setdefault(value, []).append(face)
        self._values = [sorted(faces) for faces in self._faces]

    def of(self, matchers: Sequence[Matcher]) -> list[Sample]:
        """The samples that all of these select."""
        fit = [self._fitting(place, matcher) for place, matcher in enumerate(matchers)]
        least = min(range(len(fit)), key=lambda place: len(fit[place]))
        faces = [face for value in fit[least] for face in self._faces[least][value]]
        chosen = [f for f in faces if all(v in fits for v, fits in zip(f, fit, strict=True))]
        return [sample for face in chosen for sample in self._samples[face]]

    def _fitting(self, place: int, matcher: Matcher) -> list[str]:
        label = matcher.label
        values: Sequence[str] = self._values[place]
        if matcher.op == "=":
            return [matcher.value] if matcher.value in self._faces[place] else []
        if matcher.op == "=~":
            values = _beginning(values, _plain(matcher.value))
        return [value for value in values if matcher.holds({label: value})]


def _plain(expression: str) -> str:
    """How every text begins that the expression matches, as far as that is easily told."""
    if "|" in expression:
        return ""
    found = _PLAIN.match(expression)
    return found[0] if found else ""


def _beginning(values: Sequence[str], text: str) -> Sequence[str]:
    """Those of these sorted values that begin so."""
    first = bisect_left(values, text)
    last = bisect_left(values, text + "\U0010ffff", first)
    return values[first:last]


def _reading(question: Question, own: Sequence[Sample]) -> Reading:
    row = OBSERVERS[question.observer]
    if question.check == DURATION and not row.average:
        return _slow(own, row.scale)
    sums: dict[str, float] = {}
    for sample in own:
        part = sample.labels.get(PART, "")
        sums[part] = sums.get(part, 0.0) + sample.value
    if not {"all", "good"} <= sums.keys():
        return NoData(key="", cause=NO_SERIES)
    scale = row.scale if question.check == DURATION else 100
    return _number(sums["good"] / sums["all"] * scale if sums["all"] else math.nan)


def _slow(own: Sequence[Sample], scale: int) -> Reading:
    counts: dict[float, float] = {}
    for sample in own:
        try:
            bound = float(sample.labels["le"])
        except (KeyError, ValueError):
            continue
        counts[bound] = counts.get(bound, 0.0) + sample.value
    if not counts:
        return NoData(key="", cause=NO_SERIES)
    bounds = sorted(counts)
    return _number(quantile(QUANTILE, bounds, [counts[bound] for bound in bounds]) * scale)


def _number(value: float) -> Reading:
    if math.isnan(value):
        return NoData(key="", cause=NOT_A_NUMBER)
    return Value(key="", value=value)
