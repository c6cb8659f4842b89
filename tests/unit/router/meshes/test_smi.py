"""TrafficSplits in three versions; what is written is in golden/smi-*, linkerd and osm."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import an_exposure

from serinus.events import Routes
from serinus.events.canary import ExtraMetadata, ServiceSpec
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet
from serinus.router.meshes.catalog import find
from serinus.router.meshes.smi import GATEWAYS, V1ALPHA1, V1ALPHA2, V1ALPHA3, Smi

EXPOSURE = an_exposure("linkerd")
every_version = pytest.mark.parametrize("mesh", [V1ALPHA1, V1ALPHA2, V1ALPHA3])


def live(obj: Obj) -> Live:
    return Live({ref_of(obj): obj})


def rendered(mesh: Smi = V1ALPHA2, over: Live | None = None, **routes: Any) -> Obj:
    (found,) = mesh.render(EXPOSURE, Routes(**routes), over or Live())
    return found


def test_the_canary_comes_first_and_quantities_are_texts() -> None:
    backends = rendered(V1ALPHA1, primary=80, canary=20)["spec"]["backends"]

    assert [("web-canary", "20"), ("web-primary", "80")] == [
        (b["service"], b["weight"]) for b in backends
    ]
    later = rendered(V1ALPHA3, primary=80, canary=20)["spec"]["backends"]
    assert [20, 80] == [b["weight"] for b in later]


def test_the_first_host_is_the_service_that_is_split() -> None:
    exposure = an_exposure(service=ServiceSpec(port=80, hosts=("web.example.com", "web")))

    (found,) = V1ALPHA2.render(exposure, Routes(), Live())

    assert "web.example.com" == found["spec"]["service"]
    assert "web" == rendered()["spec"]["service"]


def test_a_split_has_no_apex_metadata() -> None:
    """TRACE of 4.2."""
    apex = ExtraMetadata(labels={"l": "apex"}, annotations={"a": "apex"})
    exposure = an_exposure(service=ServiceSpec(port=80, apex=apex))

    (found,) = V1ALPHA2.render(exposure, Routes(), Live())

    assert {"name": "web", "namespace": "shop"} == found["metadata"]


def test_istios_adapter_is_told_the_gateways() -> None:
    service = ServiceSpec(port=80, gateways=("a/b", "mesh"))

    (found,) = V1ALPHA1.render(an_exposure("smi:v1alpha1:istio", service=service), Routes(), Live())
    (other,) = V1ALPHA1.render(an_exposure("smi:v1alpha1", service=service), Routes(), Live())

    assert {GATEWAYS: '["a/b","mesh"]'} == found["metadata"]["annotations"]
    assert "annotations" not in other["metadata"]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("smi:v1alpha2", "smi:v1alpha2"),
        ("smi:v1alpha1:istio", "smi:v1alpha1"),
        ("smi:v1alpha9", None),
        ("smi:", None),
        ("traefik:istio", None),
    ],
)
def test_who_reads_the_splits_may_follow_the_name(name: str, row: str | None) -> None:
    found = find(name)

    assert row == (found.name if found else None)


def test_a_third_backend_loses_the_share_that_nobody_ordered() -> None:
    found = rendered(primary=80, canary=20)
    found["spec"]["backends"].append({"service": "other", "weight": 100})
    found["spec"]["matches"] = [{"kind": "HTTPRouteGroup", "name": "theirs"}]

    spec = rendered(V1ALPHA2, live(found), primary=80, canary=20)["spec"]

    assert ["web-canary", "web-primary"] == [b["service"] for b in spec["backends"]]
    assert [{"kind": "HTTPRouteGroup", "name": "theirs"}] == spec["matches"]


@pytest.mark.parametrize(
    ("canary", "primary", "share"),
    [("500m", "500m", 50), ("0", "1k", 0), ("1", "3", 25), (100, 100, 50), (0.5, 1.5, 25)],
)
def test_weights_are_shares_of_their_sum(canary: Any, primary: Any, share: int) -> None:
    found = rendered()
    found["spec"]["backends"] = [
        {"service": "web-canary", "weight": canary},
        {"service": "web-primary", "weight": primary},
    ]

    seen = V1ALPHA2.observe(EXPOSURE, Routes(), live(found))

    assert Routes(primary=100 - share, canary=share) == seen


@pytest.mark.parametrize("weight", ["0", "", "many", None])
def test_without_weights_it_routes_nothing_yet(weight: Any) -> None:
    found = rendered()
    for backend in found["spec"]["backends"]:
        backend["weight"] = weight

    seen = V1ALPHA2.observe(EXPOSURE, Routes(), live(found))

    text = "TrafficSplit web.shop does not contain backends for web-primary and web-canary"
    assert NotYet(text) == seen
    assert NotYet("TrafficSplit web.shop does not exist yet") == V1ALPHA2.observe(
        EXPOSURE, Routes(), Live()
    )


@every_version
def test_a_users_split_is_handed_back_and_ours_goes(mesh: Smi) -> None:
    theirs = {
        "apiVersion": mesh.api_version,
        "kind": "TrafficSplit",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"service": "web", "backends": [{"service": "web", "weight": 1}]},
    }

    taken = rendered(mesh, live(theirs), primary=80, canary=20)
    made = rendered(mesh)

    assert (theirs,) == tuple(mesh.release(EXPOSURE, live(taken)))
    assert (Gone(ref_of(made)),) == tuple(mesh.release(EXPOSURE, live(made)))
