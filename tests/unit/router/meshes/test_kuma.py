"""TrafficRoutes, as Kuma reads them and as Flagger wrote them."""

from __future__ import annotations

import msgspec
import pytest
from tests.builders import an_exposure
from tests.unit.router.meshes.recorded import Recorded, recorded

from serinus.events import Exposure, Routes
from serinus.events.canary import HttpMatch, StringMatch
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet, Refusal
from serinus.router.meshes import kuma

EXPOSURE = an_exposure("kuma")
INSIDER = HttpMatch(headers={"x-canary": StringMatch(prefix="in"), "b": StringMatch(regex="^1$")})
AB = Routes(primary=0, canary=100, match=(INSIDER,))


def live(obj: Obj) -> Live:
    return Live({ref_of(obj): obj})


def rendered(routes: Routes, over: Obj | None = None, exposure: Exposure = EXPOSURE) -> Obj:
    (found,) = kuma.render(exposure, routes, live(over) if over else Live())
    return found


def weights(split: list[Obj]) -> list[int]:
    return [one["weight"] for one in split]


@pytest.mark.parametrize("case", recorded("kuma.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    (found,) = kuma.render(case.exposure, case.routes, case.live)

    assert case.object == found


def test_the_mesh_is_the_annotations() -> None:
    exposure = msgspec.structs.replace(EXPOSURE, annotations={"kuma.io/mesh": "blue"})

    assert "blue" == rendered(Routes(), exposure=exposure)["mesh"]


def test_requests_that_match_go_to_the_canary_and_the_rest_to_the_primary() -> None:
    conf = rendered(AB)["spec"]["conf"]

    (matched,) = conf["http"]
    assert {"x-canary": {"prefix": "in"}, "b": {"regex": "^1$"}} == matched["match"]["headers"]
    assert ([0, 100], [100, 0]) == (weights(matched["split"]), weights(conf["split"]))
    assert kuma.observe(EXPOSURE, AB, live(rendered(AB))) == AB


def test_an_ab_test_ends_with_the_routes_that_asked_for_it() -> None:
    again = rendered(Routes(), rendered(AB))

    assert {"split"} == again["spec"]["conf"].keys()


def test_a_name_that_another_namespace_has_is_not_taken() -> None:
    """TrafficRoutes have no namespace: with Flagger two canaries write one object by turns."""
    theirs = rendered(Routes(), exposure=msgspec.structs.replace(EXPOSURE, namespace="other"))

    with pytest.raises(Refusal) as refused:
        rendered(Routes(), theirs)

    assert "Foreign" == refused.value.reason
    assert "TrafficRoute web routes requests to web_other_svc_80" in refused.value.text
    assert isinstance(kuma.observe(EXPOSURE, Routes(), live(theirs)), NotYet)
    assert () == kuma.release(EXPOSURE, live(theirs))


def test_another_port_is_still_the_same_service() -> None:
    found = rendered(Routes())
    found["spec"]["destinations"][0]["match"]["kuma.io/service"] = "web_shop_svc_8080"

    again = rendered(Routes(), found)

    assert "web_shop_svc_80" == again["spec"]["destinations"][0]["match"]["kuma.io/service"]


@pytest.mark.parametrize("conf", [{}, {"destination": {"kuma.io/service": "*"}}, {"split": [{}]}])
def test_a_route_without_our_services_routes_nothing_yet(conf: Obj) -> None:
    found = rendered(Routes())
    found["spec"]["conf"] = conf

    assert isinstance(kuma.observe(EXPOSURE, Routes(), live(found)), NotYet)


def test_it_goes_before_the_canary_does() -> None:
    """Flagger leaves it for ever: nothing of a namespace can own it."""
    found = rendered(AB, rendered(Routes()))

    assert (Gone(ref_of(found), shadows=True),) == kuma.release(EXPOSURE, live(found))


def test_a_users_own_route_is_handed_back() -> None:
    mine = rendered(Routes())
    del mine["metadata"]["annotations"]
    mine["spec"]["conf"] = {"destination": {"kuma.io/service": "web_shop_svc_80"}}

    taken = rendered(AB, rendered(Routes(primary=50, canary=50), mine))

    assert (mine,) == kuma.release(EXPOSURE, live(taken))
