"""Random manifests of every strategy that the brain knows, as small as they can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace
from tests.builders import an_analysis

from serinus.events.canary import (
    Analysis,
    HttpMatch,
    SessionAffinity,
    StringMatch,
    Webhook,
)

MATCH = (HttpMatch(headers={"x-canary": StringMatch(exact="insider")}),)
GATE = Webhook(name="gate", type="confirm-promotion", url="http://hooks.test/gate")
ROLLBACK = Webhook(name="back", type="rollback", url="http://hooks.test/back")
AFFINITY = SessionAffinity(cookie_name="c", primary_cookie_name="p")
HOOKS = ((), (), (GATE,), (ROLLBACK,), (GATE, ROLLBACK))
ISTIO = frozenset({"mirror", "match", "session_affinity"})


@st.composite
def set_manifests(draw: st.DrawFn) -> tuple[str, Analysis]:
    """Those for a StatefulSet: without a baseline, and some without a mesh."""
    mesh, analysis = draw(manifests())
    if mesh == "traefik" and draw(st.booleans()):
        mesh = "kubernetes"
    return mesh, replace(analysis, baseline=False)


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, Analysis]:
    """(mesh, analysis)."""
    fields: dict[str, Any] = draw(st.sampled_from(STRATEGIES).flatmap(lambda make: make()))
    mesh = "istio" if ISTIO & fields.keys() else draw(st.sampled_from(["traefik", "istio"]))
    hooks = draw(st.sampled_from(HOOKS))
    fields = {**fields, "baseline": draw(st.booleans())}
    return mesh, an_analysis(threshold=draw(st.integers(1, 3)), webhooks=hooks, **fields)


def _steps() -> st.SearchStrategy[Mapping[str, Any]]:
    return st.fixed_dictionaries(
        {
            "step_weight": st.sampled_from([10, 20, 30, 50, 100]),
            "max_weight": st.sampled_from([20, 50, 60, 100]),
            "step_weight_promotion": st.sampled_from([0, 0, 30]),
        }
    )


def _lists() -> st.SearchStrategy[Mapping[str, Any]]:
    return st.sampled_from([(10, 40, 60), (1, 2, 10, 80), (50,)]).map(
        lambda steps: {"step_weights": steps}
    )


def _blue_green() -> st.SearchStrategy[Mapping[str, Any]]:
    return st.integers(1, 3).map(lambda n: {"iterations": n})


def _ab() -> st.SearchStrategy[Mapping[str, Any]]:
    return st.integers(1, 3).map(lambda n: {"iterations": n, "match": MATCH})


def _mirrored() -> st.SearchStrategy[Mapping[str, Any]]:
    growing = {"mirror_weight": 20, "step_mirror_weight": 40, "max_mirror_weight": 60}
    return st.sampled_from(
        [
            {"step_weight": 50, "max_weight": 50, "mirror": True},
            {"step_weight": 50, "max_weight": 50, "mirror": True, **growing},
            {"iterations": 2, "mirror": True, **growing},
        ]
    )


def _sticky() -> st.SearchStrategy[Mapping[str, Any]]:
    return _steps().map(lambda fields: {**fields, "session_affinity": AFFINITY})


STRATEGIES = (_steps, _steps, _lists, _blue_green, _ab, _mirrored, _sticky)
