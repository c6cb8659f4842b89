"""The same manifests and the same answers make our ring take the steps that Flagger took."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.peer import selection
from tests.peer.compare import Deliberate
from tests.peer.conftest import Result

# The first test waits until all runs are over.
pytestmark = pytest.mark.timeout(900)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", sorted(everything()))


def test_it_goes_as_it_went_with_flagger(name: str, results: dict[str, Result]) -> None:
    """Phases, weights, texts, hooks, queries, routes: all of it, except what is declared."""
    found = results[name]

    if found.verdict.differences:
        pytest.fail(found.report(), pytrace=False)


def test_the_numbers_of_a_canary_are_there_from_the_start(results: dict[str, Result]) -> None:
    """Zeroes too: kubectl's columns are never blank, and scripts need no default."""
    blank = {name: sorted(one.blank) for name, one in results.items() if one.blank}

    assert blank == {}


def test_no_difference_is_declared_in_vain(
    results: dict[str, Result], rows: Sequence[Deliberate]
) -> None:
    """A row of the table that explains nothing has to go."""
    used = frozenset[int]().union(*(one.verdict.used for one in results.values()))
    looked_for = [
        number
        for number, row in enumerate(rows)
        if set(results) == everything() and not row.sometimes and any(map(row.concerns, results))
    ]

    assert [rows[number] for number in looked_for if number not in used] == []


def everything() -> set[str]:
    return {one.name for one in selection.selected()}
