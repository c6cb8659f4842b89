"""What every mesh must obey (one law a test, over all rows of the catalog)."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.given import SHAPES, beginning
from tests.laws.strategies import PLAIN, routes_for, service_specs

from serinus.events import Routes
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet, Refusal
from serinus.router.meshes.catalog import MESHES, Ability, Row, check_abilities

every_row = pytest.mark.parametrize("row", MESHES.values(), ids=lambda row: row.name)
# Where a release can start from: each mesh, and other shapes of some.
STARTS = dict(MESHES) | {
    name: msgspec.structs.replace(MESHES[mesh], can=can) for name, (mesh, _, can) in SHAPES.items()
}
every_start = pytest.mark.parametrize("start", STARTS)


def live(*objects: Obj) -> Live:
    return Live({ref_of(obj): obj for obj in objects})


class Case:
    """A row with any service, the objects it starts from, and any routes of the row."""

    def __init__(self, start: str, data: st.DataObject) -> None:
        self.row = STARTS[start]
        self._data = data
        self.exposure, self.sources = beginning(start, data.draw(service_specs))
        self.routes = self.any_routes()

    def any_routes(self) -> Routes:
        return self._data.draw(routes_for(self.row))

    def live(self, *objects: Obj) -> Live:
        """The user's objects with these put over them."""
        return live(*self.sources, *objects)

    def render(self, routes: Routes | None = None, *over: Obj) -> list[Obj]:
        """What is written where `over` is there already."""
        routes = self.routes if routes is None else routes
        return list(self.row.mesh.render(self.exposure, routes, self.live(*over)))

    def observe(self, *objects: Obj, routes: Routes | None = None) -> Routes | NotYet:
        routes = self.routes if routes is None else routes
        return self.row.mesh.observe(self.exposure, routes, self.live(*objects))

    def is_referred_to(self, obj: Obj) -> bool:
        """Whether a written object is the user's own route."""
        return self.exposure.is_route(obj["kind"], obj["metadata"]["name"])


def every(test: Any) -> Any:
    """From all starts, with any service and any routes of the row."""

    @every_start
    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def run(start: str, data: st.DataObject) -> None:
        test(Case(start, data))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@every
def test_what_is_rendered_is_what_is_observed(case: Case) -> None:
    """Round trip; and everything that is written or started from is read."""
    objects = case.render()

    assert case.routes == case.observe(*objects)
    known = {ref_of(obj) for obj in (*case.sources, *objects)}
    assert known == set(case.row.mesh.needs(case.exposure))


@every_start
def test_every_single_weight_can_be_made_and_found(start: str) -> None:
    """Round trip once more: 0 to 100, none left to chance."""
    row = STARTS[start]
    exposure, sources = beginning(start, PLAIN)
    for weight in range(101):
        routes = Routes(primary=100 - weight, canary=weight)
        objects = row.mesh.render(exposure, routes, live(*sources))
        assert routes == row.mesh.observe(exposure, routes, live(*sources, *objects))


@every
def test_rendering_over_the_rendered_changes_nothing(case: Case) -> None:
    """Idempotence, also over what comes back from the API server: JSON knows no tuples."""
    objects = case.render()
    stored = msgspec.json.decode(msgspec.json.encode(objects))

    assert objects == stored
    assert stored == case.render(case.routes, *stored)


@every
def test_live_objects_are_never_changed_in_place(case: Case) -> None:
    """A store holds them; whoever wants another state makes a copy."""
    before = case.render()
    kept = copy.deepcopy([*case.sources, *before])

    case.render(case.any_routes(), *before)
    case.observe(*before)
    case.row.mesh.release(case.exposure, case.live(*before))

    assert kept == [*case.sources, *before]


@every
def test_what_is_not_ours_survives(case: Case) -> None:
    """Courtesy: labels, annotations, finalizers, unknown fields of the spec and of the object."""
    foreign = copy.deepcopy(case.render())
    for obj in foreign:
        obj["metadata"].setdefault("labels", {})["team"] = "theirs"
        obj["metadata"].setdefault("annotations", {})["cloud.test/arn"] = "x"
        obj["metadata"]["finalizers"] = ["theirs"]
        obj["spec"]["unknown"] = {"a": [1]}
        obj["extra"] = 1

    for before, after in zip(foreign, case.render(case.any_routes(), *foreign), strict=True):
        assert "theirs" == after["metadata"]["labels"]["team"]
        assert "x" == after["metadata"]["annotations"]["cloud.test/arn"]
        assert (["theirs"], {"a": [1]}, 1) == (
            after["metadata"]["finalizers"],
            after["spec"]["unknown"],
            after["extra"],
        )
        assert before is not after


@every
def test_weights_are_explicit_whatever_was_there(case: Case) -> None:
    """Explicitness: from any state to any other, what is observed is what was asked for."""
    before = case.render(case.any_routes())

    after = case.render(case.routes, *before)

    assert case.routes == case.observe(*after)
    assert [obj["spec"] for obj in case.render()] == [obj["spec"] for obj in after]


@every
def test_releasing_gives_everything_back(case: Case) -> None:
    """Return: what was made for us goes, what was the user's is as it was."""
    made = case.render()
    theirs = {ref_of(obj): obj for obj in case.sources if case.is_referred_to(obj)}
    wanted = [theirs.get(ref_of(obj), ref_of(obj)) for obj in made]
    released = case.row.mesh.release(case.exposure, case.live(*made))
    assert wanted == [one.ref if isinstance(one, Gone) else one for one in released]

    before = [
        theirs.get(ref_of(obj))
        or {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "metadata": {
                **{k: v for k, v in obj["metadata"].items() if k in ("name", "namespace")},
                "labels": {"team": "theirs"},
            },
            "spec": {"theirs": [1, 2]},
        }
        for obj in made
    ]
    taken = case.render(case.any_routes(), *before)
    again = case.render(case.routes, *taken)
    assert before == list(case.row.mesh.release(case.exposure, case.live(*again)))


@every_row
@pytest.mark.parametrize("ability", list(Ability))
def test_an_ability_that_is_not_claimed_is_refused(row: Row, ability: Ability) -> None:
    """Honesty: and the refusal names who can. Where nothing can be split no weight is refused:
    steps become iterations there, as the reference has it."""
    if ability in row.can or (ability is Ability.WEIGHT and not row.kinds):
        check_abilities(row, [ability])
        return
    with pytest.raises(Refusal) as refused:
        check_abilities(row, [ability])

    assert "Unsupported" == refused.value.reason
    able = [other.name for other in MESHES.values() if ability in other.can]
    assert all(name in refused.value.text for name in able)
    assert f"{ability} is not supported by {row.name}" in refused.value.text


@every_row
def test_the_right_to_delete_is_claimed_where_it_is_needed(row: Row) -> None:
    """By those whose objects lie over the user's, or would be left over."""
    shadows = set()
    for start in (name for name, one in STARTS.items() if one.name == row.name):
        exposure, sources = beginning(start, PLAIN)
        made = row.mesh.render(exposure, Routes(), live(*sources))
        released = row.mesh.release(exposure, live(*sources, *made))
        shadows |= {one.shadows for one in released if isinstance(one, Gone)}

    assert row.deletes == (True in shadows)


@every_row
def test_nothing_there_is_not_yet_or_nothing_needed(row: Row) -> None:
    """An absent object is never taken for 100/0."""
    exposure, _ = beginning(row.name, PLAIN)

    seen = row.mesh.observe(exposure, Routes(), Live())

    assert isinstance(seen, NotYet) == bool(row.kinds)
