"""What a status says about a route object."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.kube.refs import Obj
from serinus.router.core.reported import not_taken


def route(*conditions: Obj, **status: Any) -> Obj:
    return {
        "kind": "Route",
        "metadata": {"name": "web", "namespace": "shop", "generation": 2},
        "status": {"conditions": list(conditions), **status},
    }


TRUE: Obj = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    "found",
    [
        {"kind": "Route", "metadata": {"name": "web"}},
        route(),
        route(TRUE),
        route({**TRUE, "observedGeneration": 2}),
        route({**TRUE, "observedGeneration": 3}),
        route({**TRUE, "observedGeneration": 2}, observedGeneration=1),
        route({"type": "Other", "status": "False"}),
    ],
)
def test_what_is_true_or_not_said_is_not_waited_for(found: Obj) -> None:
    assert not not_taken(found, types=("Ready",))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            route({**TRUE, "status": "False", "message": "no such port"}),
            "(Ready: False, observed generation: 2, current generation: 2): no such port",
        ),
        (
            route({**TRUE, "observedGeneration": 1}),
            "(Ready: True, observed generation: 1, current generation: 2)",
        ),
        (
            route(TRUE, observedGeneration=1),
            "(Ready: True, observed generation: 1, current generation: 2)",
        ),
        (
            route({**TRUE, "status": "Unknown"}),
            "(Ready: Unknown, observed generation: 2, current generation: 2)",
        ),
    ],
)
def test_what_is_old_or_not_true_is_said(found: Obj, said: str) -> None:
    assert not_taken(found, types=("Ready",)) == f"Route web.shop is not ready {said}"
