"""Secrets that manifests name for credentials."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.kube.credentials import READABLE, credentials
from serinus.kube.refs import Obj, Ref
from serinus.runtime.errors import Refuse


async def look(labels: dict[str, Any] | None, labelled_only: bool = True) -> dict[str, bytes]:
    async def get(ref: Ref) -> Obj:
        assert ref == Ref("v1", "Secret", "shop", "keys")
        return {"metadata": {"labels": labels}, "data": {"token": "eA==", "odd": "?"}}

    return await credentials(get, "shop", "keys", path="spec.x", labelled_only=labelled_only)


@pytest.mark.parametrize("labels", [None, {}, {READABLE: "false"}, {READABLE: ""}, {"x": "true"}])
async def test_only_the_label_with_true_makes_a_secret_readable(
    labels: dict[str, Any] | None,
) -> None:
    with pytest.raises(Refuse) as refused:
        await look(labels)

    assert refused.value.reason == (
        "spec.x: secret keys is not labelled to be read for this: "
        "kubectl --namespace shop label secret keys serinus.dev/readable=true"
    )
    assert await look(labels, labelled_only=False) == {"token": b"x"}


async def test_keys_that_are_no_base64_are_left_out() -> None:
    assert await look({READABLE: "true"}) == {"token": b"x"}
