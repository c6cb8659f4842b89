"""HTTPProxies, as Contour reads them and as Flagger wrote them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import an_exposure
from tests.unit.router.meshes.recorded import Recorded, recorded

from serinus.events import Exposure, ObjectRef, Routes
from serinus.events.canary import HttpMatch, Retries, ServiceSpec, StringMatch
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet, Refusal
from serinus.router.meshes import contour


def exposed(**service: Any) -> Exposure:
    return an_exposure("contour", service=ServiceSpec(**{"port": 80, **service}))


EXPOSURE = exposed()


def live(obj: Obj) -> Live:
    return Live({ref_of(obj): obj})


def rendered(routes: Routes, exposure: Exposure = EXPOSURE) -> Obj:
    (found,) = contour.render(exposure, routes, Live())
    return found


@pytest.mark.parametrize("case", recorded("contour.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    (found,) = contour.render(case.exposure, case.routes, case.live)

    assert case.object == found


def test_the_class_is_written_where_it_is_set() -> None:
    exposure = msgspec.structs.replace(EXPOSURE, ingress_class="public")

    assert "ingressClassName" not in rendered(Routes())["spec"]
    assert "public" == rendered(Routes(), exposure)["spec"]["ingressClassName"]


def test_timeouts_retries_and_the_prefix_come_from_the_service() -> None:
    exposure = exposed(
        timeout="15s",
        retries=Retries(attempts=3, per_try_timeout="1s", retry_on="5xx,reset"),
        match=(HttpMatch(uri=StringMatch(prefix="/api")),),
    )

    (route,) = rendered(Routes(), exposure)["spec"]["routes"]

    assert [{"prefix": "/api"}] == route["conditions"]
    assert {"response": "15s", "idle": "5m"} == route["timeoutPolicy"]
    policy = {"count": 3, "perTryTimeout": "1s", "retryOn": ["5xx", "reset"]}
    assert policy == route["retryPolicy"]


def test_a_retry_without_a_number_is_one_as_the_api_has_it() -> None:
    """Left to the API's default, every read-back would differ."""
    (route,) = rendered(Routes(), exposed(retries=Retries()))["spec"]["routes"]

    assert {"count": 1} == route["retryPolicy"]


def test_headers_of_one_condition_must_all_match_and_conditions_are_alternatives() -> None:
    """Flagger writes every header into one route, with the prefix again in each: invalid."""
    both = HttpMatch(headers={"b": StringMatch(regex="^1$"), "a": StringMatch(prefix="in")})
    other = HttpMatch(headers={"c": StringMatch(exact="2")})

    first, second, rest = rendered(Routes(primary=0, canary=100, match=(both, other)))["spec"][
        "routes"
    ]

    assert [
        {"prefix": "/", "header": {"name": "a", "contains": "in"}},
        {"header": {"name": "b", "regex": "^1$"}},
    ] == first["conditions"]
    assert [{"prefix": "/", "header": {"name": "c", "exact": "2"}}] == second["conditions"]
    assert [{"prefix": "/"}] == rest["conditions"]
    assert [100, None] == [s.get("weight") for s in rest["services"]]


def reported(route: Obj, **condition: Any) -> Live:
    route["metadata"]["generation"] = 3
    valid = {"type": "Valid", "status": "True", "observedGeneration": 3, **condition}
    route["status"] = {"currentStatus": "valid", "conditions": [valid]}
    return live(route)


def test_a_valid_proxy_of_this_generation_counts() -> None:
    found = rendered(Routes(primary=80, canary=20))

    assert Routes(primary=80, canary=20) == contour.observe(EXPOSURE, Routes(), reported(found))


@pytest.mark.parametrize("condition", [{"status": "False"}, {"observedGeneration": 2}])
def test_a_proxy_that_contour_has_not_taken_does_not_count_yet(condition: Obj) -> None:
    found = reported(rendered(Routes(primary=80, canary=20)), **condition)

    seen = contour.observe(EXPOSURE, Routes(), found)

    assert isinstance(seen, NotYet)
    assert seen.why.startswith("HTTPProxy web.shop is not ready (Valid: ")
    assert Routes(primary=80, canary=20) == seen.routes


@pytest.mark.parametrize("spec", [{}, {"routes": []}, {"routes": [{"services": [{"name": "x"}]}]}])
def test_a_proxy_without_our_services_routes_nothing_yet(spec: Obj) -> None:
    found = rendered(Routes()) | {"spec": spec}

    assert isinstance(contour.observe(EXPOSURE, Routes(), live(found)), NotYet)


def test_a_proxy_routes_until_the_very_end() -> None:
    """The user's root proxy includes it."""
    found = rendered(Routes())

    assert (Gone(ref_of(found)),) == contour.release(EXPOSURE, live(found))


def test_a_mirror_is_the_canary_once_more_and_takes_no_share() -> None:
    found = rendered(Routes(mirror=True, mirror_weight=40))

    primary, canary, copied = found["spec"]["routes"][0]["services"]
    assert ("web-primary", 100) == (primary["name"], primary["weight"])
    assert "weight" not in canary
    assert ("web-canary", True, 40) == (copied["name"], copied["mirror"], copied["weight"])
    assert Routes(mirror=True) == contour.observe(EXPOSURE, Routes(), live(found))


THEIRS = an_exposure("contour", route=ObjectRef(kind="HTTPProxy", name="public"))


def a_proxy() -> Obj:
    """A root of the user's: a route to S with policies, one beside, one elsewhere, an include."""
    return {
        "apiVersion": contour.API_VERSION,
        "kind": contour.KIND,
        "metadata": {"name": "public", "namespace": "shop", "generation": 3},
        "spec": {
            "virtualhost": {"fqdn": "a.test", "tls": {"secretName": "tls"}},
            "includes": [{"name": "child", "conditions": [{"prefix": "/child"}]}],
            "routes": [
                {
                    "conditions": [{"prefix": "/"}],
                    "services": [{"name": "web", "port": 80, "protocol": "h2c"}],
                    "timeoutPolicy": {"response": "3s"},
                    "rateLimitPolicy": {"local": {"requests": 9, "unit": "second"}},
                },
                {
                    "conditions": [{"prefix": "/both"}],
                    "services": [{"name": "other", "port": 80}, {"name": "web", "port": 81}],
                },
                {"conditions": [{"prefix": "/old"}], "requestRedirectPolicy": {"hostname": "b"}},
            ],
        },
    }


def test_of_a_users_proxy_only_the_services_of_its_routes_to_the_service_change() -> None:
    source = a_proxy()

    (found,) = contour.render(THEIRS, Routes(primary=80, canary=20), live(source))

    first, both, last = found["spec"]["routes"]
    assert [("web-primary", 80, "h2c"), ("web-canary", 20, "h2c")] == [
        (s["name"], s["weight"], s["protocol"]) for s in first["services"]
    ]
    assert [("other", 80, 100), ("web-primary", 81, 80), ("web-canary", 81, 20)] == [
        (s["name"], s["port"], s["weight"]) for s in both["services"]
    ]
    theirs = source["spec"]["routes"]
    assert theirs[2] == last
    for ours, mine in ((first, theirs[0]), (both, theirs[1])):
        assert {**mine, "services": ours["services"]} == ours
    assert {**source["spec"], "routes": found["spec"]["routes"]} == found["spec"]
    wanted = Routes(primary=80, canary=20)
    assert wanted == contour.observe(THEIRS, Routes(), live(found))
    assert [source] == list(contour.release(THEIRS, live(found)))


def test_a_users_proxy_that_contour_has_not_taken_is_not_relied_on() -> None:
    (found,) = contour.render(THEIRS, Routes(primary=80, canary=20), live(a_proxy()))
    condition = {"type": "Valid", "status": "True", "observedGeneration": 2}
    found["status"] = {"conditions": [condition]}

    seen = contour.observe(THEIRS, Routes(), live(found))

    assert isinstance(seen, NotYet)
    assert Routes(primary=80, canary=20) == seen.routes


def test_another_kind_or_a_proxy_that_is_away_is_refused() -> None:
    other = an_exposure("contour", route=ObjectRef(kind="Ingress", name="public"))
    with pytest.raises(Refusal, match="names a HTTPProxy, not a Ingress"):
        contour.render(other, Routes(), Live())
    with pytest.raises(Refusal, match=r"HTTPProxy public\.shop not found"):
        contour.render(THEIRS, Routes(), Live())
    assert () == contour.release(THEIRS, Live())
