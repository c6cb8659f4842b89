"""The JSONPath of printer columns."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.sandbox.jsonpath import find

OBJ = {
    "spec": {"l": [{"n": 1}, {"n": 2}]},
    "metadata": {"annotations": {"a.b/c": "x"}},
    "status": {"conditions": [{"type": "A", "status": "1"}, {"type": "B", "status": "2"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.l[0].n", [1]),
        (".spec.l[*].n", [1, 2]),
        (".spec.l[7].n", []),
        (".spec.none.n", []),
        (r".metadata.annotations.a\.b/c", ["x"]),
        (".metadata.annotations['a.b/c']", ["x"]),
        (".status.conditions[?(@.type=='B')].status", ["2"]),
        ('.status.conditions[?(@.type=="A")].status', ["1"]),
        (".status.conditions[?(@.type=='C')].status", []),
    ],
)
def test_a_path_finds(path: str, found: list[Any]) -> None:
    assert find(OBJ, path) == found
