"""What every mesh must obey (one law a test, over all rows of the catalog)."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import APP, an_exposure

from serinus.events import Cookies, Exposure, Routes
from serinus.events.canary import (
    CorsPolicy,
    ExtraMetadata,
    GatewayRef,
    HeaderOperations,
    Headers,
    HttpMatch,
    Rewrite,
    ServiceSpec,
    SessionAffinity,
    StringMatch,
)
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet, Refusal
from serinus.router.meshes.catalog import MESHES, Ability, Row, check_abilities

every_row = pytest.mark.parametrize("row", MESHES.values(), ids=lambda row: row.name)

names = st.text("abcdefghij-", min_size=1, max_size=8).map(lambda text: f"x{text}x")
texts = st.text("abc/1", min_size=1, max_size=5)
string_matches = st.one_of(
    texts.map(lambda text: StringMatch(exact=text)), texts.map(lambda text: StringMatch(regex=text))
)
conditions = st.builds(
    HttpMatch,
    headers=st.dictionaries(names, string_matches, min_size=1, max_size=3),
    query_params=st.dictionaries(names, string_matches, max_size=2),
)
operations = st.builds(
    HeaderOperations,
    add=st.dictionaries(names, texts, max_size=3),
    set=st.dictionaries(names, texts, max_size=3),
    remove=st.lists(names, max_size=2, unique=True).map(tuple),
)
service_specs = st.builds(
    ServiceSpec,
    port=st.integers(1, 65535),
    hosts=st.lists(names, max_size=2).map(tuple),
    gateway_refs=st.lists(st.builds(GatewayRef, name=names), min_size=1, max_size=2).map(tuple),
    match=st.lists(conditions, max_size=2).map(tuple),
    timeout=st.sampled_from(["", "12s"]),
    headers=st.none() | st.builds(Headers, request=operations, response=operations),
    rewrite=st.none() | st.builds(Rewrite, uri=texts),
    cors_policy=st.none()
    | st.builds(CorsPolicy, allow_origin=st.just(("https://a.test",)), max_age=st.just("1h")),
    apex=st.none()
    | st.builds(
        ExtraMetadata,
        labels=st.dictionaries(names, texts, max_size=2),
        annotations=st.dictionaries(names, texts, max_size=2),
    ),
)


@st.composite
def routes_for(draw: Any, row: Row) -> Routes:
    """Any routes that the mesh claims to be able to make."""
    weight = draw(st.integers(0, 100)) if row.kinds else 0
    routes = Routes(primary=100 - weight, canary=weight)
    extra = draw(st.sampled_from(sorted({None, *row.can - {Ability.WEIGHT}}, key=str)))
    match extra:
        case Ability.MATCH:
            match = draw(st.lists(conditions, min_size=1, max_size=2).map(tuple))
            return msgspec.structs.replace(routes, match=match)
        case Ability.MIRROR:
            return msgspec.structs.replace(routes, mirror=True)
        case Ability.STICKY:
            sticky = SessionAffinity(cookie_name="c", primary_cookie_name=draw(st.just("") | names))
            given = {"canary": "c=abc", "primary": "p=def"} if weight else {"previous": "c=old"}
            return msgspec.structs.replace(routes, cookies=Cookies(settings=sticky, **given))
    return routes


def exposure_of(row: Row, service: ServiceSpec) -> Exposure:
    return an_exposure(row.name, service=service, selector=APP)


def live(*objects: Obj) -> Live:
    return Live({ref_of(obj): obj for obj in objects})


def every(test: Any) -> Any:
    """Over all rows, any service and any routes of the row."""

    @every_row
    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def run(row: Row, data: st.DataObject) -> None:
        exposure = exposure_of(row, data.draw(service_specs))
        test(row, exposure, data.draw(routes_for(row)), data)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@every
def test_what_is_rendered_is_what_is_observed(
    row: Row, exposure: Exposure, routes: Routes, data: st.DataObject
) -> None:
    """Round trip."""
    objects = row.mesh.render(exposure, routes, Live())

    assert routes == row.mesh.observe(exposure, routes, live(*objects))
    assert {ref_of(obj) for obj in objects} == set(row.mesh.needs(exposure))


@every_row
def test_every_single_weight_can_be_made_and_found(row: Row) -> None:
    """Round trip once more: 0 to 100, none left to chance."""
    exposure = exposure_of(row, ServiceSpec(port=80, gateway_refs=(GatewayRef(name="g"),)))
    for weight in range(101):
        routes = Routes(primary=100 - weight, canary=weight)
        objects = row.mesh.render(exposure, routes, Live())
        assert routes == row.mesh.observe(exposure, routes, live(*objects))


@every
def test_rendering_over_the_rendered_changes_nothing(
    row: Row, exposure: Exposure, routes: Routes, data: st.DataObject
) -> None:
    """Idempotence."""
    objects = row.mesh.render(exposure, routes, Live())

    assert list(objects) == list(row.mesh.render(exposure, routes, live(*objects)))


@every
def test_what_is_not_ours_survives(
    row: Row, exposure: Exposure, routes: Routes, data: st.DataObject
) -> None:
    """Courtesy: labels, annotations, finalizers, unknown fields of the spec and of the object."""
    foreign = copy.deepcopy(row.mesh.render(exposure, routes, Live()))
    for obj in foreign:
        obj["metadata"].setdefault("labels", {})["team"] = "theirs"
        obj["metadata"].setdefault("annotations", {})["cloud.test/arn"] = "x"
        obj["metadata"]["finalizers"] = ["theirs"]
        obj["spec"]["unknown"] = {"a": [1]}
        obj["extra"] = 1
    other = data.draw(routes_for(row))

    for before, after in zip(
        foreign, row.mesh.render(exposure, other, live(*foreign)), strict=True
    ):
        assert "theirs" == after["metadata"]["labels"]["team"]
        assert "x" == after["metadata"]["annotations"]["cloud.test/arn"]
        assert (["theirs"], {"a": [1]}, 1) == (
            after["metadata"]["finalizers"],
            after["spec"]["unknown"],
            after["extra"],
        )
        assert before is not after


@every
def test_weights_are_explicit_whatever_was_there(
    row: Row, exposure: Exposure, routes: Routes, data: st.DataObject
) -> None:
    """Explicitness: from any state to any other, what is observed is what was asked for."""
    before = row.mesh.render(exposure, data.draw(routes_for(row)), Live())

    after = row.mesh.render(exposure, routes, live(*before))

    assert routes == row.mesh.observe(exposure, routes, live(*after))
    fresh = row.mesh.render(exposure, routes, Live())
    assert [obj["spec"] for obj in fresh] == [obj["spec"] for obj in after]


@every
def test_releasing_gives_everything_back(
    row: Row, exposure: Exposure, routes: Routes, data: st.DataObject
) -> None:
    """Return: what was made for us goes, what was the user's is as it was."""
    made = row.mesh.render(exposure, routes, Live())
    assert [Gone(ref_of(obj)) for obj in made] == list(row.mesh.release(exposure, live(*made)))

    theirs = [
        {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "metadata": {"name": "web", "namespace": "shop", "labels": {"team": "theirs"}},
            "spec": {"theirs": [1, 2]},
        }
        for obj in made
    ]
    taken = row.mesh.render(exposure, data.draw(routes_for(row)), live(*theirs))
    again = row.mesh.render(exposure, routes, live(*taken))
    assert theirs == list(row.mesh.release(exposure, live(*again)))


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
def test_nothing_there_is_not_yet_or_nothing_needed(row: Row) -> None:
    """An absent object is never taken for 100/0."""
    service = ServiceSpec(port=80, gateway_refs=(GatewayRef(name="g"),))
    exposure = exposure_of(row, service)

    seen = row.mesh.observe(exposure, Routes(), Live())

    assert isinstance(seen, NotYet) == bool(row.kinds)
