"""RouteTables and Upstreams, as Gloo reads them and as Flagger wrote them."""

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
from serinus.router.meshes import gloo

EXPOSURE = an_exposure("gloo")


def lent(namespace: str = "") -> Exposure:
    """With an Upstream to take settings from."""
    ref = ObjectRef(
        api_version=gloo.UPSTREAM_API_VERSION, kind="Upstream", name="lender", namespace=namespace
    )
    return msgspec.structs.replace(EXPOSURE, upstream=ref)


def a_lender(namespace: str, **spec: Any) -> Obj:
    return {
        "apiVersion": gloo.UPSTREAM_API_VERSION,
        "kind": gloo.UPSTREAM,
        "metadata": {"name": "lender", "namespace": namespace, "labels": {"team": "shop"}},
        "spec": {"kube": {"serviceName": "other"}, **spec},
    }


def live(*objects: Obj) -> Live:
    return Live({ref_of(obj): obj for obj in objects})


def rendered(routes: Routes, *objects: Obj, exposure: Exposure = EXPOSURE) -> list[Obj]:
    return list(gloo.render(exposure, routes, live(*objects)))


def ab(*match: HttpMatch) -> Routes:
    return Routes(primary=0, canary=100, match=match)


@pytest.mark.parametrize("case", recorded("gloo.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    found = {ref_of(obj): obj for obj in gloo.render(case.exposure, case.routes, case.live)}

    same = found[ref_of(case.object)]
    if case.exposure.match:
        # Flagger has no route for requests that do not match.
        same["spec"].get("routes", [])[1:] = []
    assert case.object == same


def test_requests_that_do_not_match_stay_on_the_primary() -> None:
    """BUG 10: with Flagger nothing routes them at all."""
    condition = HttpMatch(
        headers={"x-canary": StringMatch(regex="^in")}, method=StringMatch(exact="GET")
    )

    *_, table = rendered(ab(condition))

    matched, rest = table["spec"]["routes"]
    header = {"name": "x-canary", "value": "^in", "regex": True}
    assert [{"headers": [header], "methods": ["GET"]}] == matched["matchers"]
    assert "matchers" not in rest
    weights = [d.get("weight") for d in rest["routeAction"]["multi"]["destinations"]]
    assert [100, None] == weights


def test_alternatives_are_matchers_of_one_route() -> None:
    both = [HttpMatch(headers={name: StringMatch(exact="1")}) for name in "ab"]

    *_, table = rendered(ab(*both))

    names = [m["headers"][0]["name"] for m in table["spec"]["routes"][0]["matchers"]]
    assert ["a", "b"] == names


@pytest.mark.parametrize(
    "condition",
    [
        HttpMatch(uri=StringMatch(prefix="/")),
        HttpMatch(headers={"a": StringMatch(prefix="1")}),
        HttpMatch(headers={"a": StringMatch(exact="1")}, method=StringMatch(regex="G.*")),
    ],
)
def test_conditions_that_gloo_cannot_test_are_refused(condition: HttpMatch) -> None:
    with pytest.raises(Refusal) as refused:
        rendered(ab(condition))

    assert "Unsupported" == refused.value.reason


@pytest.mark.parametrize(("named", "namespace"), [("", "shop"), ("gloo-system", "gloo-system")])
def test_an_upstream_lends_its_settings_to_both(named: str, namespace: str) -> None:
    """Without a namespace it is the canary's own; Flagger looks in none and fails for ever."""
    lender = a_lender(namespace, useHttp2=True, sslConfig={"sni": "x"}, dnsRefreshRate="1s")

    primary, canary, _ = rendered(Routes(), lender, exposure=lent(named))

    for upstream in (primary, canary):
        assert {"kube", "useHttp2", "sslConfig"} == upstream["spec"].keys()
        assert {"team": "shop"} == upstream["metadata"]["labels"]
    assert "web-canary" == canary["spec"]["kube"]["serviceName"]
    assert ref_of(lender) in gloo.needs(lent(named))


def test_settings_that_change_are_lent_again() -> None:
    before = rendered(Routes(), a_lender("shop", connectionConfig={"a": 1}), exposure=lent())
    lender = a_lender("shop", connectionConfig={"a": 2})

    after = rendered(Routes(), lender, *before, exposure=lent())

    assert {"a": 2} == after[0]["spec"]["connectionConfig"]


def test_a_lender_that_is_missing_is_named() -> None:
    with pytest.raises(Refusal) as refused:
        rendered(Routes(), exposure=lent("gloo-system"))

    assert "Route" == refused.value.reason
    assert "config upstream lender.gloo-system get query error" in refused.value.text


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"routes": []},
        {"routes": [{}]},
        {"routes": [{"routeAction": {"single": {}}}]},
        {"routes": [{"routeAction": {"multi": {"destinations": [{}]}}}]},
    ],
)
def test_a_table_without_our_upstreams_routes_nothing_yet(spec: Obj) -> None:
    """BUG 13: Flagger ends with a panic where there are no routes."""
    *_, table = rendered(Routes())

    assert isinstance(gloo.observe(EXPOSURE, Routes(), live(table | {"spec": spec})), NotYet)


@pytest.mark.parametrize("state", [2, "Rejected"])
def test_a_table_that_gloo_rejects_does_not_count(state: object) -> None:
    *_, table = rendered(Routes(primary=70, canary=30))
    table["status"] = {"statuses": {"gloo-system": {"state": state, "reason": "no such upstream"}}}

    seen = gloo.observe(EXPOSURE, Routes(), live(table))

    why = "RouteTable web.shop is rejected by Gloo: no such upstream"
    assert NotYet(why, Routes(primary=70, canary=30)) == seen


@pytest.mark.parametrize("state", [0, 1, "Accepted", 3])
def test_a_table_that_gloo_takes_counts(state: object) -> None:
    *_, table = rendered(Routes(primary=70, canary=30))
    table["status"] = {"statuses": {"gloo-system": {"state": state}}}

    assert Routes(primary=70, canary=30) == gloo.observe(EXPOSURE, Routes(), live(table))


def test_everything_of_ours_is_left_to_the_end() -> None:
    """The user's VirtualService delegates to the table."""
    made = rendered(Routes())

    assert [Gone(ref_of(obj)) for obj in made] == gloo.release(EXPOSURE, live(*made))


def test_a_mirror_is_a_shadow_with_the_clients_host() -> None:
    *_, table = rendered(Routes(mirror=True, mirror_weight=40))

    (route,) = table["spec"]["routes"]
    shadow = route["options"]["shadowing"]
    assert ("shop-web-canaryupstream-80", 40) == (
        shadow["upstream"]["name"],
        shadow["percentage"],
    )
    assert shadow["disableShadowHostSuffixAppend"]
    *_, plain = rendered(Routes(), table)
    assert "options" not in plain["spec"]["routes"][0]
