"""Which path of the API a kind lives under: a table of the common ones, and how to read the rest.

The table saves the question to the API server for every kind that the suite works with; kinds that
are not in it are asked for once per group and version (API discovery), by the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct


class Resource(Struct, frozen=True):
    """How the API server spells a kind in a path."""

    plural: str
    namespaced: bool = True


def _table(rows: Mapping[str, str], cluster: frozenset[str]) -> dict[tuple[str, str], Resource]:
    """`group/version` -> "Kind=plural Kind=plural" as (apiVersion, kind) -> Resource."""
    found: dict[tuple[str, str], Resource] = {}
    for api_version, kinds in rows.items():
        for pair in kinds.split():
            kind, plural = pair.split("=")
            found[api_version, kind] = Resource(plural, kind not in cluster)
    return found


KINDS: Mapping[tuple[str, str], Resource] = _table(
    {
        "v1": "Pod=pods Service=services ConfigMap=configmaps Secret=secrets Event=events "
        "Endpoints=endpoints ServiceAccount=serviceaccounts Namespace=namespaces Node=nodes",
        "apps/v1": "Deployment=deployments DaemonSet=daemonsets ReplicaSet=replicasets "
        "StatefulSet=statefulsets ControllerRevision=controllerrevisions",
        "autoscaling/v2": "HorizontalPodAutoscaler=horizontalpodautoscalers",
        "keda.sh/v1alpha1": "ScaledObject=scaledobjects",
        "flagger.app/v1beta1": "Canary=canaries MetricTemplate=metrictemplates "
        "AlertProvider=alertproviders",
        "traefik.io/v1alpha1": "TraefikService=traefikservices IngressRoute=ingressroutes "
        "Middleware=middlewares",
        "gateway.networking.k8s.io/v1": "HTTPRoute=httproutes Gateway=gateways "
        "GatewayClass=gatewayclasses GRPCRoute=grpcroutes",
        "gateway.networking.k8s.io/v1beta1": "HTTPRoute=httproutes Gateway=gateways "
        "GatewayClass=gatewayclasses ReferenceGrant=referencegrants",
        "serving.knative.dev/v1": "Service=services",
        "networking.k8s.io/v1": "Ingress=ingresses IngressClass=ingressclasses",
        "coordination.k8s.io/v1": "Lease=leases",
        "discovery.k8s.io/v1": "EndpointSlice=endpointslices",
        "events.k8s.io/v1": "Event=events",
        "apiextensions.k8s.io/v1": "CustomResourceDefinition=customresourcedefinitions",
    },
    cluster=frozenset(
        {"Namespace", "Node", "GatewayClass", "IngressClass", "CustomResourceDefinition"}
    ),
)


def base_path(api_version: str) -> str:
    """The path of a group and version; the core group has one of its own."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def path_of(
    api_version: str,
    resource: Resource,
    namespace: str = "",
    name: str = "",
    subresource: str = "",
) -> str:
    """The path of a collection (no name), of one object, or of its subresource."""
    parts = [base_path(api_version)]
    if resource.namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def discovered(answer: Mapping[str, Any]) -> dict[str, Resource]:
    """Kind -> Resource from an APIResourceList; subresources are left out."""
    return {
        row["kind"]: Resource(row["name"], bool(row.get("namespaced")))
        for row in answer.get("resources") or ()
        if "/" not in row["name"]
    }
