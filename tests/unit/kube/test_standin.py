"""Which workload stands in for a target, and what it runs."""

from __future__ import annotations

import pytest
from tests.builders import REF, a_deployment

from serinus.kube.refs import owner_reference
from serinus.kube.standin import in_place, runs


@pytest.mark.parametrize(
    ("fields", "is_there"),
    [
        ({"ownerReferences": [owner_reference(REF)]}, True),
        ({"ownerReferences": [owner_reference(REF)], "deletionTimestamp": "2026-01-01"}, False),
        ({"ownerReferences": [{**owner_reference(REF), "uid": "of-another-canary"}]}, False),
        ({}, False),
    ],
)
def test_only_what_this_canary_owns_and_keeps_stands_in(
    fields: dict[str, object], is_there: bool
) -> None:
    live = a_deployment("web-canary", metadata=fields)

    assert in_place(live, REF) == (live if is_there else None)


def test_it_says_what_it_runs() -> None:
    annotations = {"serinus.dev/canary-of": "s1-1111111111"}

    assert runs(a_deployment(metadata={"annotations": annotations})) == "s1-1111111111"
    assert runs(a_deployment()) == ""
