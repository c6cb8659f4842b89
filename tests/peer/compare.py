"""Two stories side by side, and the differences that are meant. Pure."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import yaml
from tests.peer.scenario import When
from tests.peer.story import UNREADY_TEXT, Event, Story, distinct

ASPECTS = (
    "phases",
    "weights",
    "iterations",
    "failed_checks",
    "events",
    "hooks",
    "alerts",
    "queries",
    "objects",
    "script",
)
SCALARS = ("phases", "weights", "iterations", "failed_checks")
# What is said while something takes its time. A route that is refused (status False) is not late.
LATE = re.compile(
    f"{UNREADY_TEXT}$"
    r"|is not ready \(status: True, observed generation"
    r"|waiting for the router: it has not answered"
    r"|has no available pod; the canary is kept"
    # Kinds are watched one by one: the Canary may be seen before the target it names.
    r"|get query error: \w+\.apps \"\w+\" not found$"
)
SHOWN = 160
TABLE = Path(__file__).with_name("differences.yaml")


class Deliberate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of differences.yaml: in these scenarios (name patterns) something is meant to differ.

    Lines of one `aspect` that match `flagger`, a regular expression: with `serinus` they are
    rewritten before they are compared, with `once` only the first of each text counts, with neither
    they are left out on both sides. `sometimes`: how fast things go decides whether it shows.

    Or another course of the whole run: `here` has all our lines of an aspect, those in `apart` are
    not compared, and `waits` says what the steps of the script (from 1) wait for instead.
    """

    scenarios: tuple[str, ...]
    reason: str
    aspect: str = ""
    flagger: str = ""
    serinus: str = ""
    once: bool = False
    sometimes: bool = False
    here: dict[str, tuple[str | int, ...]] = {}
    apart: tuple[str, ...] = ()
    waits: dict[int, When] = {}

    def __post_init__(self) -> None:
        named = [*self.here, *self.apart, *([self.aspect] if self.aspect else [])]
        for aspect in named:
            if aspect not in ASPECTS:
                raise ValueError(f"unknown aspect {aspect!r}; known: {', '.join(ASPECTS)}")
        if not named or bool(self.aspect) != bool(self.flagger):
            raise ValueError("a row names an aspect with a pattern of lines, or whole aspects")

    def concerns(self, scenario: str) -> bool:
        return any(fnmatch.fnmatchcase(scenario, pattern) for pattern in self.scenarios)


class Verdict(msgspec.Struct, frozen=True):
    """`differences` that nobody declared, as text; `used` are the rows that explained some."""

    differences: tuple[str, ...]
    used: frozenset[int]


def deliberate(table: Path = TABLE) -> tuple[Deliberate, ...]:
    """The declared differences. Raises msgspec.ValidationError."""
    rows = yaml.safe_load(table.read_text()) or []
    return msgspec.convert(rows, tuple[Deliberate, ...])


def compare(
    scenario: str,
    flagger: Story,
    serinus: Story,
    rows: Sequence[Deliberate] = (),
    stuck: str = "",
) -> Verdict:
    """What differs between Flagger's run and ours, except for what the rows declare.

    `stuck` is the step of the script that never came about in ours.
    """
    differences: list[str] = []
    used: set[int] = set()
    concerned = [(number, row) for number, row in enumerate(rows) if row.concerns(scenario)]
    for aspect in ASPECTS:
        theirs, ours = _sides(aspect, flagger, serinus, stuck)
        for number, row in concerned:
            if theirs != ours:
                before = (theirs, ours)
                theirs, ours = explained(row, aspect, theirs, ours)
                if before != (theirs, ours):
                    used.add(number)
        if theirs != ours:
            differences.append(_as_text(aspect, theirs, ours))
    return Verdict(tuple(differences), frozenset(used))


def _sides(aspect: str, flagger: Story, serinus: Story, stuck: str) -> tuple[list[str], list[str]]:
    match aspect:
        case "script":
            return [], [stuck] if stuck else []
        case "queries":
            return _by_tick(flagger, serinus)
        case "events" | "hooks":
            return _with_same_waits(lines_of(flagger, aspect), lines_of(serinus, aspect))
        case _:
            return lines_of(flagger, aspect), lines_of(serinus, aspect)


def _with_same_waits(theirs: list[str], ours: list[str]) -> tuple[list[str], list[str]]:
    """What is slower here than it was there, pods and gateways, is not the controller's doing."""
    found: list[str] = []
    matcher = difflib.SequenceMatcher(a=theirs, b=ours, autojunk=False)
    for tag, _, _, start, end in matcher.get_opcodes():
        here = ours[start:end]
        found += here if tag == "equal" else [one for one in here if not LATE.search(one)]
    return theirs, found


def lines_of(story: Story, aspect: str) -> list[str]:
    """One aspect of a story, a line for each thing that happened."""
    match aspect:
        case "events":
            return [_event(one) for one in story.events]
        case "hooks":
            asked = [f"{one.path} {one.body}" for one in story.hooks]
            # Like alerts: each receiver in order.
            told = [f"{path} {_event(one)}" for path, row in story.told.items() for one in row]
            return asked + told
        case "alerts":
            # Each receiver gets its own in order; who is told first is nobody's promise.
            by_receiver = sorted(story.alerts, key=lambda one: one.path)
            return [f"{one.path} {one.authorization} {one.body}" for one in by_receiver]
        case "queries":
            return [query for group in story.queries for query in group]
        case "objects":
            return [f"{key} {state}" for key, row in story.objects.items() for state in row]
        case _:
            return [str(value) for value in getattr(story, aspect)]


def _event(event: Event) -> str:
    return f"{event.type} {event.message}"


def _by_tick(flagger: Story, serinus: Story) -> tuple[list[str], list[str]]:
    """Measurements of one tick may be asked at the same time, so their order says nothing."""
    ours = lines_of(serinus, "queries")
    theirs: list[str] = []
    sorted_ours: list[str] = []
    for group in flagger.queries:
        theirs += sorted(group)
        sorted_ours += sorted(ours[: len(group)])
        ours = ours[len(group) :]
    return theirs, sorted_ours + ours


def explained(
    row: Deliberate, aspect: str, theirs: list[str], ours: list[str]
) -> tuple[list[str], list[str]]:
    if aspect in row.here:
        return [str(line) for line in row.here[aspect]], ours
    if aspect in row.apart:
        return [], []
    if row.aspect != aspect:
        return theirs, ours
    if row.once:
        return _once(row.flagger, theirs), _once(row.flagger, ours)
    if row.serinus:
        return [re.sub(row.flagger, row.serinus, line) for line in theirs], ours
    theirs, ours = _without(row.flagger, theirs), _without(row.flagger, ours)
    if aspect in SCALARS:  # these are changes: what is equal now is one value
        return list(distinct(theirs)), list(distinct(ours))
    return theirs, ours


def _without(pattern: str, lines: Iterable[str]) -> list[str]:
    return [line for line in lines if not re.search(pattern, line)]


def _once(pattern: str, lines: Iterable[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        if line not in found or not re.search(pattern, line):
            found.append(line)
    return found


def _as_text(aspect: str, theirs: list[str], ours: list[str]) -> str:
    changes = difflib.unified_diff(theirs, ours, "flagger", "serinus", lineterm="", n=2)
    return f"{aspect}: {_first(theirs, ours)}\n" + "\n".join(changes)


def _first(theirs: list[str], ours: list[str]) -> str:
    """The first difference in one line: all that a summary of failed tests shows."""
    pairs = itertools.zip_longest(theirs, ours, fillvalue="nothing")
    their, our = next(pair for pair in pairs if pair[0] != pair[1])
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(their, our, strict=False))
    place = sum(1 for _ in same)
    return f"{_near(place, our)} where Flagger has {_near(place, their)}"


def _near(place: int, line: str) -> str:
    """A line, or its name and what is around that place: documents are long."""
    if len(line) <= SHOWN:
        return line
    start = max(0, place - SHOWN // 4)
    name = f"{line.partition(' ')[0]} …" if start else ""
    return f"{name}{line[start : start + SHOWN]}…"
