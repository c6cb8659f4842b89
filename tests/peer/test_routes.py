"""Route objects as Flagger wrote them, step by step, come out of our meshes: no server needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import pytest
from tests.peer import routes, selection
from tests.peer.compare import deliberate, explained
from tests.peer.scenario import Scenario, trace

from serinus.router.meshes.catalog import MESHES

ROWS = [row for row in deliberate() if row.aspect == "objects"]


# A Knative Service is target, route and primary at once: Flagger's writes of one cannot be told
# from the user's and Knative's. Its traffic is compared in the unit test of the mesh.
ONE_FOR_ALL = ("knative",)


COMPARED = MESHES.keys() - ONE_FOR_ALL


@cache
def runs() -> Mapping[str, Scenario]:
    """The recorded runs on our meshes."""
    return {one.name: one for one in selection.everything() if one.provider in COMPARED}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", sorted(runs()))


def written(name: str) -> Iterator[routes.Written]:
    folder = selection.folder() / name
    yield from routes.written(runs()[name], trace(folder), folder)


def test_every_state_of_every_route_is_what_flagger_wrote(name: str) -> None:
    """Except for what is declared in differences.yaml."""
    rows = [row for row in ROWS if row.concerns(name)]
    states = list(written(name))
    if name.startswith("provider-") and MESHES[runs()[name].provider or ""].kinds:
        assert len(states) > 1
    for state in states:
        theirs, ours = state.lines("flagger"), state.lines("serinus")
        for row in rows:
            if theirs != ours:
                theirs, ours = explained(row, "objects", theirs, ours)
        assert theirs == ours, state.moment


def test_what_is_declared_about_routes_is_known_runs() -> None:
    """A pattern that no run has any more explains nothing."""
    names = {one.name for one in selection.everything()}

    assert [row for row in ROWS if not any(map(row.concerns, names))] == []
