"""Route objects as nobody should write them: every mesh answers, or says what is wrong.

From all the starts of the other laws. Whatever is missing or empty in an object of the user's, or
in one of ours that somebody edited, nothing but a Refusal comes out. An API server lets through no
null, and nothing without the fields that its schemas require.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.builders import REF, an_intent
from tests.laws.given import beginning
from tests.laws.strategies import PLAIN
from tests.laws.test_mesh_laws import STARTS, every_start, live

from serinus.events import Routes
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.router.core.objects import Live, NotYet, Refusal
from serinus.router.core.plan import next_step
from serinus.router.core.scene import Scene
from serinus.router.core.steps import World
from serinus.router.meshes.catalog import Row

SPLIT = Routes(primary=80, canary=20)
IDENTITY = {(name,) for name in ("apiVersion", "kind", "metadata")} | {
    ("metadata", name) for name in ("name", "namespace")
}


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside a document."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    for key in keys:
        yield (*way, key)
        yield from places(value[key], (*way, key))


def with_holes(document: Obj) -> Iterator[Obj]:
    """The document with each of its parts left out, or empty: one at a time."""
    for way in places(document):
        if way in IDENTITY:
            continue
        for is_emptied in (False, True):
            whole = copy.deepcopy(document)
            *above, last = way
            place: Any = whole
            for key in above:
                place = place[key]
            if is_emptied and not isinstance(place[last], dict | list):
                continue
            if is_emptied:
                place[last] = type(place[last])()
            else:
                del place[last]
            yield whole


def answered(row: Row, exposure: Any, objects: Live, routes: Routes = SPLIT) -> Refusal | None:
    """Every question is answered; the refusal where rendering is refused, which says why."""
    row.mesh.observe(exposure, routes, objects)
    with contextlib.suppress(Refusal):
        row.mesh.release(exposure, objects)
    try:
        row.mesh.render(exposure, routes, objects)
    except Refusal as refusal:
        return refusal if refusal.text else None
    return None


@every_start
def test_a_hole_in_the_users_object_is_no_reason_to_stop(start: str) -> None:
    row = STARTS[start]
    exposure, sources = beginning(start, PLAIN)
    for index, source in enumerate(sources):
        for broken in with_holes(source):
            objects = [*sources[:index], broken, *sources[index + 1 :]]
            answered(row, exposure, live(*objects))


@every_start
def test_a_hole_in_an_object_of_ours_is_no_reason_to_stop_and_is_mended(start: str) -> None:
    row = STARTS[start]
    exposure, sources = beginning(start, PLAIN)
    made = list(row.mesh.render(exposure, SPLIT, live(*sources)))
    for index, ours in enumerate(made):
        if exposure.is_route(ours["kind"], ours["metadata"]["name"]):
            continue
        for broken in with_holes(ours):
            objects = live(*sources, *made[:index], broken, *made[index + 1 :])
            if answered(row, exposure, objects) is not None:
                continue
            mended = row.mesh.render(exposure, SPLIT, objects)
            seen = row.mesh.observe(exposure, SPLIT, live(*sources, *mended))
            assert SPLIT == seen


@every_start
def test_a_hole_in_a_shared_route_is_no_reason_to_stop(start: str) -> None:
    row = STARTS[start]
    exposure, sources = beginning(start, PLAIN)
    for ours in row.mesh.render(exposure, SPLIT, live(*sources)):
        if exposure.is_route(ours["kind"], ours["metadata"]["name"]):
            for broken in with_holes(ours):
                answered(row, exposure, live(*sources, broken))


@every_start
def test_without_the_users_object_it_is_named_and_nothing_is_released(start: str) -> None:
    row = STARTS[start]
    exposure, sources = beginning(start, PLAIN)
    if not sources:
        return
    refused = answered(row, exposure, Live())

    assert refused is not None
    assert sources[0]["metadata"]["name"] in refused.text
    assert isinstance(row.mesh.observe(exposure, SPLIT, Live()), NotYet)
    assert [] == list(row.mesh.release(exposure, Live()))


def written(row: Row, start: str) -> list[Ref]:
    exposure, _ = beginning(start, PLAIN)
    return [ref for ref in row.mesh.needs(exposure) if not row.only_reads(exposure, ref)]


@pytest.mark.parametrize(
    ("start", "ref"),
    [(start, ref) for start, row in STARTS.items() for ref in written(row, start)],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind}-{value.name}",
)
def test_an_object_of_another_canary_is_left_alone_and_its_owner_named(
    start: str, ref: Ref
) -> None:
    row = STARTS[start]
    exposure, sources = beginning(start, PLAIN)
    owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "other", "uid": "o"}
    made = [*sources, *row.mesh.render(exposure, Routes(), live(*sources))]
    objects = {ref_of(obj): obj for obj in made}
    taken = objects[ref]
    theirs = copy.deepcopy(taken)
    theirs["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    intent = msgspec.structs.replace(an_intent(), canary=REF, exposure=exposure)

    with pytest.raises(Refusal, match="belongs to Canary other") as refused:
        next_step(Scene(intent, World(live=Live({**objects, ref: theirs}))))

    assert "Foreign" == refused.value.reason
