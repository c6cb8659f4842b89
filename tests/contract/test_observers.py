"""Meshes and their metrics are two tables of two services; their names agree (reference 4.1)."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from tests.builders import NAME, NAMESPACE, an_exposure
from tests.laws.given import GIVEN

from serinus.analyzer.core.observers import OBSERVERS
from serinus.analyzer.core.queries import names_of, observer_of, selection
from serinus.events import CanarySpec, Exposure, ObjectRef, Routes, ServiceSpec
from serinus.events.canary import Provider
from serinus.kube.refs import ref_of
from serinus.router.core.objects import Live
from serinus.router.meshes.catalog import MESHES

OWN = (
    "istio",
    "linkerd",
    "osm",
    "appmesh",
    "contour",
    "knative",
    "gloo",
    "nginx",
    "skipper",
    "traefik",
    "apisix",
    "kuma",
)
OBSERVED = {
    **{name: name for name in OWN},
    "appmesh:v1beta2": "appmesh",
    "gatewayapi:v1": "http",
    "gatewayapi:v1beta1": "http",
    "kubernetes": "http",
    "smi:v1alpha1": "istio",
    "smi:v1alpha2": "istio",
    "smi:v1alpha3": "istio",
}


@pytest.mark.parametrize("provider", get_args(Provider))
def test_every_provider_is_measured_as_flagger_measures_it(provider: str) -> None:
    assert OBSERVED[provider] == observer_of(provider)


def test_no_observer_is_without_a_mesh_and_no_mesh_without_an_observer() -> None:
    assert set(OBSERVERS) == set(OBSERVED.values())
    assert set(MESHES) <= set(get_args(Provider))


def rendered(mesh: str, name: str) -> tuple[Exposure, list[dict[str, Any]]]:
    """What the router writes for a Service of this name whose target has another one."""
    service = ServiceSpec(name=name, port=80, mesh_name="global")
    refs, sources = GIVEN[mesh](service) if mesh in GIVEN else ({}, [])
    exposure = an_exposure(mesh, name=name, service=service, **refs)
    text = json.dumps(sources).replace(f'"{NAME}"', f'"{name}"')
    live = Live({ref_of(obj): obj for obj in json.loads(text)})
    return exposure, list(MESHES[mesh].mesh.render(exposure, Routes(), live))


def backends_of(mesh: str) -> tuple[dict[str, str], dict[str, str]]:
    """The label by which the data plane's metrics tell the canary, for the canary and the primary.

    Made of the names that the router really writes, by the data plane's own rules.
    """
    exposure, objects = rendered(mesh, "shop-front")
    canary, primary = exposure.canary, exposure.primary
    last = objects[-1]
    match mesh:
        case "contour":
            # <namespace>/<service>/<port>/<hash>, written with _ in Prometheus' label.
            label, form = "envoy_cluster_name", "shop_{}_80"
            return {label: form.format(canary)}, {label: form.format(primary)}
        case "gloo":
            routes = last["spec"]["routes"][0]["routeAction"]["multi"]["destinations"]
            names = [route["destination"]["upstream"] for route in routes]
            mine, theirs = (f"{u['name']}_{u['namespace']}" for u in reversed(names))
            return {"envoy_cluster_name": mine}, {"envoy_cluster_name": theirs}
        case "kuma":
            split = last["spec"]["conf"]["split"]
            mine, theirs = (one["destination"]["kuma.io/service"] for one in reversed(split))
            return {"service": mine}, {"service": theirs}
        case "apisix":
            # <namespace>_<route>_<rule>; a route of the canary's own serves both.
            name = last["metadata"]["name"]
            return {"route": f"shop_{name}_rule"}, {"route": "shop_public_rule"}
        case "skipper":
            # kube_<namespace>__<ingress>__<host>__<path>__<service>, only word characters.
            name = last["metadata"]["name"]
            form = "kube_shop__{}__a_test____{}".format(name.replace("-", "_"), "{}")
            mine, theirs = (form.format(s.replace("-", "_")) for s in (canary, primary))
            return {"route": mine}, {"route": theirs}
        case "traefik":
            form = "shop-{}-80@kubernetescrd"
            return {"service": form.format(canary)}, {"service": form.format(primary)}
    raise AssertionError(mesh)


@pytest.mark.parametrize("mesh", ["apisix", "contour", "gloo", "kuma", "skipper", "traefik"])
def test_what_the_router_names_is_what_the_analyzer_asks_for(mesh: str) -> None:
    """Also where the Service has another name than the target; Flagger asks for the target's."""
    exposure, _ = rendered(mesh, "shop-front")
    spec = CanarySpec(
        target_ref=ObjectRef(api_version="apps/v1", kind="Deployment", name=NAME),
        service=exposure.service,
        ingress_ref=exposure.ingress,
        route_ref=exposure.route,
    )
    names = names_of(NAMESPACE, NAME, spec)
    tells_apart = selection(observer_of(mesh), names).every[0]

    canary, primary = backends_of(mesh)

    assert tells_apart.holds(canary)
    assert not tells_apart.holds(primary)
