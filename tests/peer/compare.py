"""Two stories side by side, and the differences that are meant. Pure."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import yaml
from tests.peer.story import Event, Story

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
)
TABLE = Path(__file__).with_name("differences.yaml")


class Deliberate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of differences.yaml.

    `scenarios` is a list of name patterns. With `flagger` (a regular expression) and `serinus` the
    lines of that aspect are rewritten before they are compared, an empty `serinus` leaves them
    out on both sides; without them the whole aspect is left out.
    """

    scenarios: tuple[str, ...]
    aspect: str
    reason: str
    flagger: str = ""
    serinus: str = ""

    def __post_init__(self) -> None:
        if self.aspect not in ASPECTS:
            raise ValueError(f"unknown aspect {self.aspect!r}; known: {', '.join(ASPECTS)}")

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
    scenario: str, flagger: Story, serinus: Story, rows: Sequence[Deliberate] = ()
) -> Verdict:
    """What differs between Flagger's run and ours, except for what the rows declare."""
    differences: list[str] = []
    used: set[int] = set()
    for aspect in ASPECTS:
        theirs, ours = lines_of(flagger, aspect), lines_of(serinus, aspect)
        if aspect == "queries":
            theirs, ours = _by_tick(flagger, serinus)
        for number, row in enumerate(rows):
            if row.aspect == aspect and row.concerns(scenario) and theirs != ours:
                before = (theirs, ours)
                theirs, ours = _explained(row, theirs, ours)
                if before != (theirs, ours):
                    used.add(number)
        if theirs != ours:
            differences.append(_as_text(aspect, theirs, ours))
    return Verdict(tuple(differences), frozenset(used))


def lines_of(story: Story, aspect: str) -> list[str]:
    """One aspect of a story, a line for each thing that happened."""
    match aspect:
        case "events":
            return [_event(one) for one in story.events]
        case "hooks":
            return [f"{one.path} in {one.phase} {one.metadata}" for one in story.hooks]
        case "alerts":
            return [f"{one.path} {one.body}" for one in story.alerts]
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


def _explained(row: Deliberate, theirs: list[str], ours: list[str]) -> tuple[list[str], list[str]]:
    if not row.flagger:
        return [], []
    if not row.serinus:
        return _without(row.flagger, theirs), _without(row.flagger, ours)
    return [re.sub(row.flagger, row.serinus, line) for line in theirs], ours


def _without(pattern: str, lines: Iterable[str]) -> list[str]:
    return [line for line in lines if not re.search(pattern, line)]


def _as_text(aspect: str, theirs: list[str], ours: list[str]) -> str:
    changes = difflib.unified_diff(theirs, ours, "flagger", "serinus", lineterm="", n=2)
    return f"{aspect}:\n" + "\n".join(changes)
