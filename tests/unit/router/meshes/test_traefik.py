"""TraefikServices, as Traefik reads them and as Flagger wrote them."""

from __future__ import annotations

import pytest
from tests.builders import an_exposure
from tests.unit.router.meshes.recorded import Recorded, recorded

from serinus.events import Routes
from serinus.events.canary import ExtraMetadata, ServiceSpec
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet
from serinus.router.meshes import traefik

EXPOSURE = an_exposure()


def live(obj: Obj) -> Live:
    return Live({ref_of(obj): obj})


def rendered(routes: Routes, over: Live | None = None) -> Obj:
    (found,) = traefik.render(EXPOSURE, routes, over or Live())
    return found


@pytest.mark.parametrize("case", recorded("traefik.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    (found,) = traefik.render(case.exposure, case.routes, Live())

    assert case.object == found


def test_a_canary_without_a_share_is_not_listed() -> None:
    services = rendered(Routes())["spec"]["weighted"]["services"]

    assert [("web-primary", 100)] == [(s["name"], s["weight"]) for s in services]


def test_a_third_backend_loses_the_share_that_nobody_ordered() -> None:
    found = rendered(Routes(primary=80, canary=20))
    found["spec"]["weighted"]["services"].append({"name": "other", "port": 80, "weight": 100})

    services = rendered(Routes(primary=80, canary=20), live(found))["spec"]["weighted"]["services"]

    assert ["web-primary", "web-canary"] == [s["name"] for s in services]


def test_sticky_settings_of_the_user_stay() -> None:
    found = rendered(Routes())
    found["spec"]["weighted"]["sticky"] = {"cookie": {"name": "mine"}}

    again = rendered(Routes(primary=50, canary=50), live(found))

    assert {"cookie": {"name": "mine"}} == again["spec"]["weighted"]["sticky"]


def test_weights_are_shares_of_their_sum() -> None:
    """100 and 100 is half and half to Traefik, whatever it was meant to be."""
    found = rendered(Routes(primary=80, canary=20))
    for service in found["spec"]["weighted"]["services"]:
        service["weight"] = 100

    seen = traefik.observe(EXPOSURE, Routes(), live(found))

    assert Routes(primary=50, canary=50) == seen


def test_a_missing_weight_is_one() -> None:
    found = rendered(Routes(primary=99, canary=1))
    del found["spec"]["weighted"]["services"][1]["weight"]

    assert Routes(primary=99, canary=1) == traefik.observe(EXPOSURE, Routes(), live(found))


def test_an_object_that_is_not_there_routes_nothing_yet() -> None:
    seen = traefik.observe(EXPOSURE, Routes(), Live())

    assert NotYet("TraefikService web.shop does not exist yet") == seen


@pytest.mark.parametrize("spec", [{}, {"weighted": {}}, {"mirroring": {"name": "x"}}])
def test_an_object_without_our_services_routes_nothing_yet(spec: Obj) -> None:
    found = rendered(Routes()) | {"spec": spec}

    seen = traefik.observe(EXPOSURE, Routes(), live(found))

    assert isinstance(seen, NotYet)
    assert "does not contain services for web-primary and web-canary" in seen.why


def test_apex_metadata_is_on_the_object() -> None:
    apex = ExtraMetadata(labels={"l": "apex"}, annotations={"a": "apex"})
    exposure = an_exposure(service=ServiceSpec(port=80, apex=apex))

    (found,) = traefik.render(exposure, Routes(), Live())

    assert {"l": "apex", "app": "web"} == found["metadata"]["labels"]
    assert "apex" == found["metadata"]["annotations"]["a"]


def test_a_users_own_object_is_handed_back_as_it_was() -> None:
    mine: Obj = {
        "apiVersion": traefik.API_VERSION,
        "kind": traefik.KIND,
        "metadata": {"name": "web", "namespace": "shop", "labels": {"mine": "1"}},
        "spec": {"weighted": {"services": [{"name": "web", "port": 80, "weight": 3}]}},
    }

    taken = rendered(Routes(primary=80, canary=20), live(mine))

    assert taken["spec"] != mine["spec"]
    assert (mine,) == tuple(traefik.release(EXPOSURE, live(taken)))


def test_an_object_of_ours_goes() -> None:
    found = rendered(Routes())

    assert (Gone(ref_of(found)),) == tuple(traefik.release(EXPOSURE, live(found)))
