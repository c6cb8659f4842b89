"""What a mesh finds when it is first asked: the references it needs and the objects behind them.

Most need nothing. One that copies or changes an object of the user's gets a row here: the fields of
the Exposure that name it, and the object itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.builders import APP, NAME, NAMESPACE, an_exposure

from serinus.events import Exposure, ObjectRef
from serinus.events.canary import ServiceSpec
from serinus.kube.refs import Obj

# Mesh -> (fields of the Exposure, objects of the user's that are there before us).
Given = Callable[[ServiceSpec], tuple[Mapping[str, Any], list[Obj]]]


def _ingress(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    """An Ingress with a rule that has no paths, one path to S and one to somebody else."""
    ports = {"port": {"number": service.port}}
    paths = [
        {"path": path, "pathType": "Prefix", "backend": {"service": {"name": name, **ports}}}
        for path, name in (("/", NAME), ("/other", "other"))
    ]
    source: Obj = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "public", "namespace": NAMESPACE, "labels": {"part": "shop"}},
        "spec": {"rules": [{"host": "a.test"}, {"host": "b.test", "http": {"paths": paths}}]},
    }
    ref = ObjectRef(api_version="networking.k8s.io/v1", kind="Ingress", name="public")
    return {"ingress": ref}, [source]


def _apisix_route(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    """A route with a rule to S and one to somebody else."""
    rules = [
        {
            "name": f"to-{name}",
            "match": {"paths": [f"/{name}/*"]},
            "backends": [{"serviceName": name, "servicePort": service.port}],
        }
        for name in (NAME, "other")
    ]
    source: Obj = {
        "apiVersion": "apisix.apache.org/v2",
        "kind": "ApisixRoute",
        "metadata": {"name": "public", "namespace": NAMESPACE},
        "spec": {"http": rules},
    }
    ref = ObjectRef(api_version="apisix.apache.org/v2", kind="ApisixRoute", name="public")
    return {"route": ref}, [source]


def _upstream(service: ServiceSpec) -> tuple[Mapping[str, Any], list[Obj]]:
    """An Upstream in another namespace that lends its settings."""
    source: Obj = {
        "apiVersion": "gloo.solo.io/v1",
        "kind": "Upstream",
        "metadata": {"name": "lender", "namespace": "gloo-system", "labels": {"part": "shop"}},
        "spec": {"loadBalancerConfig": {"random": {}}, "useHttp2": True},
    }
    ref = ObjectRef(
        api_version="gloo.solo.io/v1", kind="Upstream", name="lender", namespace="gloo-system"
    )
    return {"upstream": ref}, [source]


GIVEN: dict[str, Given] = {
    "apisix": _apisix_route,
    "gloo": _upstream,
    "nginx": _ingress,
    "skipper": _ingress,
}


def beginning(mesh: str, service: ServiceSpec) -> tuple[Exposure, list[Obj]]:
    """An exposure on this mesh and the user's objects that it refers to."""
    fields, sources = GIVEN[mesh](service) if mesh in GIVEN else ({}, [])
    return an_exposure(mesh, service=service, selector=APP, **fields), sources
