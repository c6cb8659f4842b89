"""Paths into answers: those that people write, and those that would never end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serinus.analyzer.providers.paths import LENGTH_MAX, STEPS_MAX, JSONPathError, Unbounded, at

SHOP = {
    "rate": 1.5,
    "orders": [{"of": "web", "n": 3}, {"of": "api", "n": 4}],
    "by name": {"web": 2},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.rate", [1.5]),
        (" $.rate ", [1.5]),
        ("$['by name'].web", [2]),
        ("$.orders[-1].n", [4]),
        ("$.orders[0:1].n", [3]),
        ("$.orders[*].n", [3, 4]),
        ("$..n", [3, 4]),
        ('$.orders[?@.of == "api"].n', [4]),
        ('$.orders[?(@.n > $.rate && @.of != "api")].n', [3]),
        ("$.orders[?length(@.of) == 3].n", [3, 4]),
        ("$.orders[?!@.of].n", []),
        ("$.nobody", []),
    ],
)
def test_a_path_leads_to_its_places(path: str, found: list[Any]) -> None:
    assert at(path, SHOP) == found


@pytest.mark.parametrize("path", ["$[", "rate", "$.a | $.b", "$..[?@ =~ /x/]", "$.a~"])
def test_what_is_no_path_is_told(path: str) -> None:
    with pytest.raises(JSONPathError):
        at(path, SHOP)


NESTED = json.loads("[" * 50 + "1" + "]" * 50)
MANY = {"a": list(range(STEPS_MAX)), "b": list(range(STEPS_MAX))}
WORDS = {"a": ["y" * 100_000] * 1000}


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("$" + "[0,0]" * 40, NESTED),
        ("$..*..*..*..*..*", NESTED),
        ("$..[?$..[?$..x]]", MANY),
        ("$.a[?count($..*) > 0]", MANY),
        ("$..[?$.a == $.b]", MANY),
        ("$.a[?1 == 2]", MANY),
        ("$..*", MANY),
        ('$.a[?@ != "x"]', WORDS),
        ("$" + ".a" * LENGTH_MAX, {}),
    ],
)
def test_a_path_that_would_take_the_process_from_others_is_refused(
    path: str, document: object
) -> None:
    with pytest.raises(Unbounded):
        at(path, document)


@pytest.mark.parametrize("word", ["search", "match"])
def test_there_are_no_regular_expressions(word: str) -> None:
    """This one looks at forty letters for longer than anybody lives."""
    with pytest.raises(JSONPathError, match=f"function '{word}' is not defined"):
        at(f'$.a[?{word}(@, "(a+)+$")]', {"a": ["a" * 40 + "!"]})
