"""Paths and page tokens."""

from __future__ import annotations

import pytest

from serinus.sandbox.errors import ApiError
from serinus.sandbox.requests import page_start, page_token, target_of
from serinus.sandbox.resources import Kinds

KINDS = Kinds()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("api/v1/pods", ("pods", "", "", "")),
        ("api/v1/namespaces", ("namespaces", "", "", "")),
        ("api/v1/namespaces/x", ("namespaces", "", "x", "")),
        ("api/v1/namespaces/x/status", ("namespaces", "", "x", "status")),
        ("api/v1/namespaces/x/pods", ("pods", "x", "", "")),
        ("api/v1/namespaces/x/pods/p/log", ("pods", "x", "p", "log")),
        ("apis/apps/v1/namespaces/x/deployments/d/scale", ("deployments", "x", "d", "scale")),
    ],
)
def test_a_path_names_a_target(path: str, expected: tuple[str, ...]) -> None:
    found = target_of(KINDS, path.split("/"))

    assert (found.resource.plural, found.namespace, found.name, found.subresource) == expected


@pytest.mark.parametrize(
    "path",
    [
        "api/v1/dragons",
        "api/v2/pods",
        "api/v1/pods/p",
        "api/v1/namespaces/x/nodes",
        "api/v1/namespaces/x/configmaps/c/status",
        "api/v1/namespaces/x/pods/p/log/more",
        "apis/apps/v1/namespaces/x/deployments/d/log",
    ],
)
def test_a_path_to_nowhere_is_a_404(path: str) -> None:
    with pytest.raises(ApiError) as refused:
        target_of(KINDS, path.split("/"))
    assert refused.value.code == 404


def test_a_page_starts_where_the_last_one_ended() -> None:
    obj = {"metadata": {"namespace": "n", "name": "x"}}

    assert page_start(page_token(obj, "7")) == ("n", "x", "7")
    assert page_start("") is None
    with pytest.raises(ApiError):
        page_start("garbage")
