"""An intent's id names the wish: equal wishes, equal ids."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import an_exposure, an_intent

from serinus.events import Intent, Routes, decode, encode


@given(st.text(max_size=20), st.sampled_from(["", "Progressing", "Promoting", "Failed"]))
def test_the_status_it_was_derived_from_does_not_change_the_id(version: str, phase: str) -> None:
    assert an_intent(version=version, phase=phase).id == an_intent().id


def test_the_id_survives_the_wire() -> None:
    intent = an_intent(canary_weight=20, configs={"configmap/b": "2", "configmap/a": "1"})
    assert decode(encode(intent)).id == intent.id


def test_the_order_of_configs_does_not_change_the_id() -> None:
    one = an_intent(configs={"configmap/a": "1", "configmap/b": "2"})
    other = an_intent(configs={"configmap/b": "2", "configmap/a": "1"})
    assert one.id == other.id


@pytest.mark.parametrize(
    "changed",
    [
        an_intent(canary_weight=20),
        an_intent(revision="s1-other"),
        an_intent(configs={}),
        an_intent(hold=True),
        an_intent(release=True),
        an_intent(workload={"promote": True}),
        an_intent(workload={"canary": "parked"}),
        an_intent(exposure=an_exposure("istio")),
        an_intent(routes=Routes(primary=100, canary=0, mirror=True)),
    ],
)
def test_another_wish_has_another_id(changed: Intent) -> None:
    assert changed.id != an_intent().id


@given(st.integers(0, 100), st.integers(0, 100))
def test_ids_tell_weights_apart(one: int, other: int) -> None:
    ids = {an_intent(canary_weight=weight).id for weight in (one, other)}
    assert len(ids) == len({one, other})


def test_the_three_names_of_a_service() -> None:
    exposure = an_exposure(name="shop")
    assert (exposure.name, exposure.primary, exposure.canary) == (
        "shop",
        "shop-primary",
        "shop-canary",
    )


def test_weights_are_on_the_wire_even_where_they_are_the_default() -> None:
    body: dict[str, Any] = msgspec.json.decode(encode(an_intent()))
    assert body["routes"]["primary"] == 100
    assert body["routes"]["canary"] == 0
