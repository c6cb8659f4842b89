"""What every mesh must obey, over all rows of the catalog (see the catalog's docstring)."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import an_exposure

from serinus.events import Exposure, Routes
from serinus.events.canary import GatewayRef
from serinus.kube.refs import ref_of
from serinus.router.core.objects import Live, NotYet, Refusal
from serinus.router.meshes.catalog import MESHES, check_abilities, row_of

LAWS = settings(max_examples=60, deadline=None)
WEIGHTED = sorted(name for name in MESHES if name != "kubernetes")
weights = st.integers(0, 100)


def exposure_for(mesh: str) -> Exposure:
    exposure = an_exposure(mesh)
    if not mesh.startswith("gatewayapi"):
        return exposure

    assert exposure.service is not None
    service = msgspec.structs.replace(exposure.service, gateway_refs=(GatewayRef(name="gateway"),))
    return msgspec.structs.replace(exposure, service=service)


def stored(objects: Any) -> Live:
    """As an API server would keep them: with a version, a generation and no status yet."""
    kept = {}
    for obj in copy.deepcopy(list(objects)):
        obj["metadata"].setdefault("resourceVersion", "1")
        obj["metadata"].setdefault("generation", 1)
        kept[ref_of(obj)] = obj
    return Live(kept)


def split(canary: int) -> Routes:
    return Routes(primary=100 - canary, canary=canary)


@pytest.mark.parametrize("mesh", WEIGHTED)
@LAWS
@given(canary=weights)
def test_round_trip_what_is_rendered_is_observed(mesh: str, canary: int):
    exposure, row = exposure_for(mesh), row_of(mesh)
    live = stored(row.mesh.render(exposure, split(canary), Live()))
    observed = row.mesh.observe(exposure, split(canary), live)
    assert not isinstance(observed, NotYet)
    assert (100 - canary, canary) == (observed.primary, observed.canary)


@pytest.mark.parametrize("mesh", WEIGHTED)
@LAWS
@given(canary=weights)
def test_idempotence_rendering_over_the_rendered_changes_nothing(mesh: str, canary: int):
    exposure, row = exposure_for(mesh), row_of(mesh)
    live = stored(row.mesh.render(exposure, split(canary), Live()))
    again = row.mesh.render(exposure, split(canary), live)
    assert [live.get(ref_of(obj)) for obj in again] == list(again)


@pytest.mark.parametrize("mesh", WEIGHTED)
@LAWS
@given(before=weights, after=weights)
def test_courtesy_what_is_not_ours_survives(mesh: str, before: int, after: int):
    exposure, row = exposure_for(mesh), row_of(mesh)
    (obj,) = row.mesh.render(exposure, split(before), Live())
    theirs = copy.deepcopy(obj)
    theirs["metadata"].setdefault("annotations", {})["example.test/note"] = "kept"
    (rendered,) = row.mesh.render(exposure, split(after), stored([theirs]))
    assert "kept" == rendered["metadata"]["annotations"]["example.test/note"]


@pytest.mark.parametrize("mesh", WEIGHTED)
@LAWS
@given(canary=weights)
def test_explicitness_no_weight_is_left_to_a_default(mesh: str, canary: int):
    exposure, row = exposure_for(mesh), row_of(mesh)
    (obj,) = row.mesh.render(exposure, split(canary), Live())
    found = [value for key, value in _leaves(obj) if key == "weight"]
    assert found
    assert 100 == sum(found)


@pytest.mark.parametrize("mesh", sorted(MESHES))
def test_honesty_an_ability_that_is_not_claimed_is_refused(mesh: str):
    row = row_of(mesh)
    with pytest.raises(Refusal):
        check_abilities(row, ("teleport",))


def test_honesty_an_unknown_mesh_is_refused_with_the_known_ones():
    with pytest.raises(Refusal) as refusal:
        row_of("teleport")
    assert all(name in refusal.value.text for name in MESHES)


def _leaves(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in _leaves(v, k)]
    if isinstance(value, list):
        return [leaf for v in value for leaf in _leaves(v, key)]
    return [(key, value)]
