"""What becomes of a write that the API server refuses."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import REF

from serinus.kube.errors import Denied, Invalid
from serinus.kube.refs import Obj, Ref
from serinus.router.core.steps import Write
from serinus.router.executor import Executor
from serinus.runtime.errors import Refuse

ROUTE = Ref("gateway.networking.k8s.io/v1", "HTTPRoute", "shop", "web")
LIVE: Obj = {"metadata": {"resourceVersion": "7"}}


class Refusing:
    """An API server that wants nothing of ours."""

    async def apply(self, obj: Obj, **_: Any) -> Obj:
        raise Invalid('"web" is invalid')

    async def patch(self, ref: Ref, patch: Any, **_: Any) -> Obj:
        raise Denied("forbidden")


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (
            Write(verb="apply", ref=ROUTE, why="routes 100/0"),
            'HTTPRoute web.shop create error: "web" is invalid',
        ),
        (
            Write(
                verb="patch", ref=ROUTE, why="routes 90/10", whole={**LIVE, "spec": {}}, live=LIVE
            ),
            "HTTPRoute web.shop update error: forbidden",
        ),
    ],
)
async def test_a_refusal_says_which_object_and_what_was_tried(step: Write, text: str) -> None:
    """Reference 4.4: people look for these words."""
    cluster: Any = Refusing()
    executor = Executor(cluster, watch=lambda *_: None, on_change=lambda _: None)

    with pytest.raises(Refuse) as refused:
        await executor.write(step, REF)

    assert refused.value.reason == text
