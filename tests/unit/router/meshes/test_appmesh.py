"""The objects of App Mesh, as its controller reads them and as Flagger wrote them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import an_exposure
from tests.unit.router.meshes.recorded import Recorded, recorded

from serinus.events import Exposure, Routes
from serinus.events.canary import HttpMatch, Retries, ServiceSpec, StringMatch
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.objects import Gone, Live, NotYet, Refusal
from serinus.router.meshes.appmesh import V1BETA1, V1BETA2, V1Beta1, V1Beta2

AppMesh = V1Beta1 | V1Beta2
both = pytest.mark.parametrize("mesh", [V1BETA1, V1BETA2], ids=["v1beta1", "v1beta2"])


def exposed(**service: Any) -> Exposure:
    return an_exposure(
        "appmesh", service=ServiceSpec(**{"port": 80, "mesh_name": "global", **service})
    )


EXPOSURE = exposed()


def live(*objects: Obj) -> Live:
    return Live({ref_of(obj): obj for obj in objects})


def rendered(mesh: AppMesh, routes: Routes, exposure: Exposure = EXPOSURE) -> dict[str, Obj]:
    """By kind and name."""
    found = mesh.render(exposure, routes, Live())
    return {f"{obj['kind']} {obj['metadata']['name']}": obj for obj in found}


def routes_of(objects: dict[str, Obj], name: str = "web") -> list[Obj]:
    for key in (f"VirtualRouter {name}", f"VirtualService {name}.shop"):
        if key in objects:
            return list(objects[key]["spec"]["routes"])
    raise AssertionError(name)


def http_of(route: Obj) -> Obj:
    found: Obj = route.get("http") or route["httpRoute"]
    return found


def ab(*match: HttpMatch) -> Routes:
    return Routes(primary=0, canary=100, match=match)


@pytest.mark.parametrize("case", recorded("appmesh.yaml"), ids=lambda case: case.name)
def test_it_writes_what_flagger_wrote(case: Recorded) -> None:
    mesh = {"appmesh": V1BETA1, "appmesh:v1beta2": V1BETA2}[case.mesh]

    assert case.object in mesh.render(case.exposure, case.routes, case.live)


def test_the_first_api_needs_the_meshs_name() -> None:
    with pytest.raises(Refusal, match="mesh name cannot be empty"):
        rendered(V1BETA1, Routes(), exposed(mesh_name=""))


@both
def test_direct_calls_to_the_canary_do_not_follow_the_weights(mesh: AppMesh) -> None:
    (route,) = routes_of(rendered(mesh, Routes()), "web-canary")

    weights = [t["weight"] for t in http_of(route)["action"]["weightedTargets"]]
    assert [100, 0] == weights


@both
def test_alternatives_have_a_route_each_before_the_primarys(mesh: AppMesh) -> None:
    """Flagger puts the headers of all of them into one route, where all must match."""
    one = HttpMatch(headers={"a": StringMatch(suffix="1"), "b": StringMatch(regex="^2$")})
    two = HttpMatch(headers={"c": StringMatch(prefix="3")})

    first, second, rest = routes_of(rendered(mesh, ab(one, two)))

    assert [("web-a", 10), ("web-a2", 11), ("web-b", 20)] == [
        (route["name"], route["priority"]) for route in (first, second, rest)
    ]
    assert [
        {"name": "a", "match": {"suffix": "1"}},
        {"name": "b", "match": {"regex": "^2$"}},
    ] == http_of(first)["match"]["headers"]
    assert {"prefix": "/"} == http_of(rest)["match"]


def test_more_alternatives_than_priorities_are_refused() -> None:
    match = [HttpMatch(headers={"a": StringMatch(exact=str(i))}) for i in range(11)]

    with pytest.raises(Refusal, match="at most 10 entries"):
        rendered(V1BETA2, ab(*match))


def test_retries_have_the_references_defaults() -> None:
    exposure = exposed(retries=Retries())

    (first,) = routes_of(rendered(V1BETA1, Routes(), exposure))
    (second,) = routes_of(rendered(V1BETA2, Routes(), exposure))

    asked = {"maxRetries": 1, "httpRetryEvents": ["gateway-error"]}
    assert {"perRetryTimeoutMillis": 250, **asked} == first["http"]["retryPolicy"]
    timeout = {"unit": "ms", "value": 250}
    assert {"perRetryTimeout": timeout, **asked} == second["httpRoute"]["retryPolicy"]


def test_retries_are_asked_for_in_app_meshs_words_or_refused() -> None:
    """Its API server would refuse others, at every look."""
    envoys = exposed(retries=Retries(attempts=2, retry_on="5xx, reset,refused-stream"))
    unknown = exposed(retries=Retries(retry_on="gateway-error,http3-post-connect-failure"))

    (route,) = routes_of(rendered(V1BETA1, Routes(), envoys))

    assert ["server-error", "stream-error"] == route["http"]["retryPolicy"]["httpRetryEvents"]
    with pytest.raises(Refusal, match="App Mesh cannot retry on http3-post-connect-failure; use"):
        rendered(V1BETA2, Routes(), unknown)


@both
def test_hosts_are_for_the_gateway(mesh: AppMesh) -> None:
    exposure = exposed(hosts=("a.test", "b.test"), timeout="15s", retries=Retries(attempts=3))

    objects = rendered(mesh, Routes(), exposure)

    annotated = [k for k, obj in objects.items() if "gateway" in str(obj["metadata"])]
    (key,) = annotated
    assert key in ("VirtualService web", "VirtualService web.shop")
    assert {
        "gateway.appmesh.k8s.aws/expose": "true",
        "gateway.appmesh.k8s.aws/domain": "a.test,b.test,",
        "gateway.appmesh.k8s.aws/timeout": "15s",
        "gateway.appmesh.k8s.aws/retries": "3",
    } == objects[key]["metadata"]["annotations"]


@both
def test_the_access_log_is_switched_on_by_the_canarys_annotation(mesh: AppMesh) -> None:
    annotated = msgspec.structs.replace(
        EXPOSURE, annotations={"appmesh.flagger.app/accesslog": "enabled"}
    )

    node = rendered(mesh, Routes(), annotated)["VirtualNode web-canary"]

    assert {"accessLog": {"file": {"path": "/dev/stdout"}}} == node["spec"]["logging"]


def test_a_backend_may_be_named_by_its_arn() -> None:
    arn = "arn:aws:appmesh:x"

    node = rendered(V1BETA2, Routes(), exposed(backends=(arn,)))["VirtualNode web-canary"]

    assert [{"virtualService": {"virtualServiceARN": arn}}] == node["spec"]["backends"]


@pytest.mark.parametrize(("target", "port"), [(9898, 9898), ("9898", 9898), ("http", 80)])
def test_the_second_api_listens_where_the_pods_do(target: int | str, port: int) -> None:
    node = rendered(V1BETA2, Routes(), exposed(target_port=target))["VirtualNode web-primary"]

    assert port == node["spec"]["listeners"][0]["portMapping"]["port"]


def test_a_port_named_after_grpc_speaks_it() -> None:
    node = rendered(V1BETA1, Routes(), exposed(port_name="grpc-web"))["VirtualNode web"]

    assert "grpc" == node["spec"]["listeners"][0]["portMapping"]["protocol"]


@both
def test_a_router_counts_only_when_app_mesh_has_it(mesh: AppMesh) -> None:
    objects = mesh.render(EXPOSURE, Routes(primary=60, canary=40), Live())
    for obj in objects:
        obj["metadata"]["generation"] = 2
        active = {"type": f"{obj['kind']}Active", "status": "True"}
        obj["status"] = {"conditions": [active], "observedGeneration": 2}
    assert Routes(primary=60, canary=40) == mesh.observe(EXPOSURE, Routes(), live(*objects))

    for obj in objects:
        obj["status"]["observedGeneration"] = 1

    seen = mesh.observe(EXPOSURE, Routes(), live(*objects))
    assert isinstance(seen, NotYet)
    assert Routes(primary=60, canary=40) == seen.routes


@both
@pytest.mark.parametrize("routes", [[], [{}], [{"tcpRoute": {}}]])
def test_a_router_without_our_nodes_routes_nothing_yet(mesh: AppMesh, routes: list[Obj]) -> None:
    objects = mesh.render(EXPOSURE, Routes(), Live())
    for obj in objects:
        obj["spec"]["routes"] = routes

    assert isinstance(mesh.observe(EXPOSURE, Routes(), live(*objects)), NotYet)


@both
def test_everything_of_ours_is_left_to_the_end(mesh: AppMesh) -> None:
    made = mesh.render(EXPOSURE, Routes(), Live())

    assert {Gone(ref_of(obj)) for obj in made} == set(mesh.release(EXPOSURE, live(*made)))
