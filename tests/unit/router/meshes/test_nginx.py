"""Canary Ingresses, as ingress-nginx reads them and as Flagger wrote them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import an_exposure
from tests.unit.router.meshes.recorded import Recorded, recorded

from serinus.events import Exposure, ObjectRef, Routes
from serinus.events.canary import HttpMatch, StringMatch
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet, Refusal
from serinus.router.meshes import nginx

PREFIX = "nginx.ingress.kubernetes.io"
EXPOSURE = an_exposure(
    "nginx", ingress=ObjectRef(api_version="networking.k8s.io/v1", kind="Ingress", name="public")
)


def an_ingress(*rules: Obj, **metadata: Any) -> Obj:
    """The user's; by default one path to S."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "public", "namespace": "shop", **metadata},
        "spec": {"rules": list(rules) or [a_rule("web")]},
    }


def a_rule(*services: str) -> Obj:
    paths = [
        {"path": f"/{s}", "pathType": "Prefix", "backend": {"service": {"name": s}}}
        for s in services
    ]
    return {"host": "a.test", "http": {"paths": paths}}


def live(*objects: Obj) -> Live:
    return Live({ref_of(obj): obj for obj in objects})


def rendered(routes: Routes, *objects: Obj, exposure: Exposure = EXPOSURE) -> Obj:
    (found,) = nginx.render(exposure, routes, live(*(objects or [an_ingress()])))
    return found


def asked(ingress: Obj) -> dict[str, str]:
    """The canary annotations without their prefix."""
    annotations = ingress["metadata"]["annotations"]
    return {k.removeprefix(f"{PREFIX}/"): v for k, v in annotations.items() if k.startswith(PREFIX)}


def ab(*match: HttpMatch) -> Routes:
    return Routes(primary=0, canary=100, match=match)


def header(name: str, **form: str) -> HttpMatch:
    return HttpMatch(headers={name: StringMatch(**form)})


@pytest.mark.parametrize("case", recorded("nginx.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    (found,) = nginx.render(case.exposure, case.routes, case.live)

    assert case.object == found


def test_a_rule_with_a_host_only_is_no_reason_to_stop() -> None:
    """BUG 13: Flagger ends with a panic."""
    found = rendered(Routes(), an_ingress({"host": "b.test"}, a_rule("web")))

    assert {"host": "b.test"} == found["spec"]["rules"][0]


def test_only_paths_to_the_service_lead_to_the_canary() -> None:
    ingress = an_ingress(a_rule("other", "web"))
    ingress["spec"]["defaultBackend"] = {"resource": {"kind": "Bucket", "name": "static"}}

    spec = rendered(Routes(), ingress)["spec"]

    paths = spec["rules"][0]["http"]["paths"]
    assert ["other", "web-canary"] == [p["backend"]["service"]["name"] for p in paths]
    assert ingress["spec"]["defaultBackend"] == spec["defaultBackend"]


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ([], 'ingress public.shop get query error: ingresses.networking.k8s.io "public" not found'),
        ([an_ingress(a_rule("other"))], "backend web not found in ingress public"),
        ([an_ingress({"host": "a.test"})], "backend web not found in ingress public"),
    ],
)
def test_an_ingress_that_does_not_fit_is_named(objects: list[Obj], said: str) -> None:
    """Texts of the reference."""
    with pytest.raises(Refusal) as refused:
        nginx.render(EXPOSURE, Routes(), live(*objects))

    assert ("Route", said) == (refused.value.reason, refused.value.text)


def test_without_a_reference_it_says_what_is_missing() -> None:
    exposure = msgspec.structs.replace(EXPOSURE, ingress=None)

    assert () == nginx.needs(exposure)
    assert isinstance(nginx.observe(exposure, Routes(), Live()), NotYet)
    assert () == nginx.release(exposure, Live())
    with pytest.raises(Refusal, match=r"nginx needs spec\.ingressRef"):
        nginx.render(exposure, Routes(), Live())


def test_annotations_of_the_source_follow_it() -> None:
    """Flagger copies them once; a rewrite that is added later would hold for the primary only."""
    before = rendered(Routes())
    rewrite = {f"{PREFIX}/rewrite-target": "/v2", f"{PREFIX}/canary-weight": "7"}

    again = rendered(Routes(), an_ingress(annotations=rewrite), before)

    assert {"rewrite-target": "/v2", "canary": "true", "canary-weight": "0"} == asked(again)


def test_the_prefix_of_annotations_can_be_set() -> None:
    exposure = msgspec.structs.replace(EXPOSURE, ingress_prefix="custom.test")

    found = rendered(Routes(primary=80, canary=20), exposure=exposure)

    assert "20" == found["metadata"]["annotations"]["custom.test/canary-weight"]
    seen = nginx.observe(exposure, Routes(), live(found))
    assert Routes(primary=80, canary=20) == seen


@pytest.mark.parametrize(
    ("match", "annotations"),
    [
        (
            [header("x-canary", exact="insider")],
            {"canary-by-header": "x-canary", "canary-by-header-value": "insider"},
        ),
        (
            [header("x-canary", regex="in.*")],
            {"canary-by-header": "x-canary", "canary-by-header-pattern": "in.*"},
        ),
        ([header("cookie", exact="canary")], {"canary-by-cookie": "canary"}),
        (
            [header("x-canary", exact="insider"), header("Cookie", exact="canary")],
            {
                "canary-by-header": "x-canary",
                "canary-by-header-value": "insider",
                "canary-by-cookie": "canary",
            },
        ),
    ],
)
def test_a_header_or_a_cookie_leads_to_the_canary(
    match: list[HttpMatch], annotations: dict[str, str]
) -> None:
    found = rendered(ab(*match))

    assert {"canary": "true", "canary-weight": "0", **annotations} == asked(found)
    assert ab(*match) == nginx.observe(EXPOSURE, ab(*match), live(found))


@pytest.mark.parametrize(
    "match",
    [
        [header("a", exact="1"), header("b", exact="1")],
        [HttpMatch(headers={"a": StringMatch(exact="1"), "b": StringMatch(exact="1")})],
        [header("cookie", regex="^canary$")],
        [header("a", prefix="1")],
        [HttpMatch(uri=StringMatch(prefix="/beta"))],
    ],
)
def test_conditions_that_nginx_cannot_test_are_refused(match: list[HttpMatch]) -> None:
    """Flagger keeps the last header of the list and forgets the others."""
    with pytest.raises(Refusal) as refused:
        rendered(ab(*match))

    assert "Unsupported" == refused.value.reason


def test_a_share_of_those_that_match_is_refused() -> None:
    routes = msgspec.structs.replace(ab(header("a", exact="1")), primary=70, canary=30)

    with pytest.raises(Refusal, match="all requests that match to the canary, or none"):
        rendered(routes)


def test_what_is_not_asked_for_any_more_is_taken_off() -> None:
    before = rendered(ab(header("a", exact="1")))

    again = rendered(Routes(primary=90, canary=10), an_ingress(), before)

    assert {"canary": "true", "canary-weight": "10"} == asked(again)


@pytest.mark.parametrize("annotations", [{}, {f"{PREFIX}/canary": "false"}])
def test_an_ingress_that_is_no_canary_routes_nothing_yet(annotations: dict[str, str]) -> None:
    found = rendered(Routes())
    found["metadata"]["annotations"] = annotations

    assert isinstance(nginx.observe(EXPOSURE, Routes(), live(found)), NotYet)


def test_the_canary_ingress_goes_before_the_canary_does() -> None:
    """The user's own Ingress serves without it."""
    found = rendered(Routes(primary=50, canary=50))

    assert (Gone(ref_of(found), shadows=True),) == nginx.release(EXPOSURE, live(found))


def test_another_kind_of_route_is_refused() -> None:
    exposure = msgspec.structs.replace(EXPOSURE, route=ObjectRef(kind="HTTPRoute", name="public"))

    with pytest.raises(Refusal, match="routeRef on nginx names a Ingress"):
        nginx.render(exposure, Routes(), live(an_ingress()))
