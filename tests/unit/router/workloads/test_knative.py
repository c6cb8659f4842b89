"""Knative Services as targets and their own primaries."""

from __future__ import annotations

import pytest
from tests.builders import REF

from serinus.kube.refs import Obj
from serinus.router.core.objects import LIVE_REVISION, PROMOTED_REVISION
from serinus.router.workloads import knative
from serinus.router.workloads.primary import Making

MAKING = Making(canary=REF, selector=None, revision="s1-2222222222")


def a_service(live: str = "", latest: str = "web-00002") -> Obj:
    annotations = {LIVE_REVISION: live} if live else {}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
        "spec": {"template": {}, "traffic": [1]},
        "status": {"latestCreatedRevisionName": latest},
    }


def test_promotion_names_the_newest_revision_and_changes_nothing_else() -> None:
    service = a_service("web-00001")

    found = knative.promoted(service, service, MAKING)

    annotations = found["metadata"]["annotations"]
    assert "web-00002" == annotations[LIVE_REVISION]
    assert MAKING.revision == annotations[PROMOTED_REVISION]
    assert service["spec"] == found["spec"]
    assert "web-00001" == service["metadata"]["annotations"][LIVE_REVISION]


@pytest.mark.parametrize(
    ("live", "is_live"), [("", True), ("web-00001", False), ("web-00002", True)]
)
def test_the_newest_revision_is_live_when_it_is_the_named_one(live: str, is_live: bool) -> None:
    """Before the first there is none to be preferred."""
    assert is_live == knative.is_live(a_service(live))


def test_pods_are_knatives_business() -> None:
    service = a_service()

    assert not knative.is_parked(service)
    assert knative.available(service) > 0
    for same in (knative.parked(service), knative.running(service, None, None)):
        assert service == same
