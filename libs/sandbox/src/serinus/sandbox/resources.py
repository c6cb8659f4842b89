"""One table of the kinds that are served, and the kinds that definitions add at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from serinus.sandbox.errors import Obj, no_such_path
from serinus.sandbox.store import ResourceId


class Column(Struct, frozen=True):
    """A column of `kubectl get`; `path` is a JSONPath into the object."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


class Resource(Struct, frozen=True):
    """A kind in one of its versions."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    status: bool = False
    scale: bool = False
    generation: bool = False
    custom: bool = False
    categories: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    schema: Mapping[str, Any] | None = None
    scale_paths: Mapping[str, str] | None = None

    @property
    def id(self) -> ResourceId:
        """What the store keeps the objects under."""
        return self.group, self.plural

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The kind in lower case."""
        return self.kind.lower()


def _core(plural: str, kind: str, *short: str, **more: Any) -> Resource:
    return Resource("", "v1", plural, kind, short=short, **more)


def _apps(plural: str, kind: str, short: str, *columns: Column) -> Resource:
    return Resource(
        "apps",
        "v1",
        plural,
        kind,
        short=(short,),
        status=True,
        scale=plural != "daemonsets",
        generation=True,
        categories=("all",),
        columns=columns,
    )


def _traefik(plural: str, kind: str) -> Resource:
    return Resource("traefik.io", "v1alpha1", plural, kind, generation=True, custom=True)


def _gateway(plural: str, kind: str, version: str = "v1", **more: Any) -> Resource:
    return Resource(
        "gateway.networking.k8s.io",
        version,
        plural,
        kind,
        generation=True,
        custom=True,
        status=plural != "referencegrants",
        categories=("gateway-api",),
        **more,
    )


_READY = Column("Ready", ".status.readyReplicas", "integer")
_DESIRED = Column("Desired", ".spec.replicas", "integer")

_CANARY_COLUMNS = (
    Column("Status", ".status.phase"),
    Column("Weight", ".status.canaryWeight"),
    Column("Suspended", ".spec.suspend", "boolean", 1),
    Column("FailedChecks", ".status.failedChecks", priority=1),
    Column("Interval", ".spec.analysis.interval", priority=1),
    Column("StepWeight", ".spec.analysis.stepWeight", priority=1),
    Column("MaxWeight", ".spec.analysis.maxWeight", priority=1),
    Column("LastTransitionTime", ".status.lastTransitionTime"),
)

BUILT_IN: tuple[Resource, ...] = (
    _core("namespaces", "Namespace", "ns", namespaced=False, status=True,
          columns=(Column("Status", ".status.phase"),)),
    _core("pods", "Pod", "po", status=True, categories=("all",), columns=(
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Status", ".status.phase"),
        Column("Restarts", ".status.containerStatuses[0].restartCount", "integer"),
        Column("IP", ".status.podIP"),
        Column("Image", ".spec.containers[0].image", priority=1),
    )),
    _core("services", "Service", "svc", status=True, categories=("all",), columns=(
        Column("Type", ".spec.type"),
        Column("Cluster-IP", ".spec.clusterIP"),
        Column("Port(s)", ".spec.ports[*].port"),
    )),
    _core("configmaps", "ConfigMap", "cm"),
    _core("secrets", "Secret", columns=(Column("Type", ".type"),)),
    _core("serviceaccounts", "ServiceAccount", "sa"),
    _core("events", "Event", "ev", columns=(
        Column("Last Seen", ".lastTimestamp", "date"),
        Column("Type", ".type"),
        Column("Reason", ".reason"),
        Column("Object", ".involvedObject.name"),
        Column("Message", ".message"),
    )),
    _core("nodes", "Node", "no", namespaced=False, status=True),
    _core("endpoints", "Endpoints", "ep"),
    _apps("deployments", "Deployment", "deploy", _READY, _DESIRED,
          Column("Up-to-date", ".status.updatedReplicas", "integer"),
          Column("Available", ".status.availableReplicas", "integer"),
          Column("Image", ".spec.template.spec.containers[*].image", priority=1)),
    _apps("daemonsets", "DaemonSet", "ds"),
    _apps("statefulsets", "StatefulSet", "sts", _READY, _DESIRED),
    _apps("replicasets", "ReplicaSet", "rs", _DESIRED,
          Column("Current", ".status.replicas", "integer"), _READY),
    Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler",
             short=("hpa",), status=True, categories=("all",), columns=(
                 Column("Reference", ".spec.scaleTargetRef.name"),
                 Column("Min", ".spec.minReplicas", "integer"),
                 Column("Max", ".spec.maxReplicas", "integer"),
             )),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", columns=(
        Column("Ports", ".ports[*].port"), Column("Endpoints", ".endpoints[*].addresses"))),
    Resource("coordination.k8s.io", "v1", "leases", "Lease",
             columns=(Column("Holder", ".spec.holderIdentity"),)),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress", short=("ing",), status=True,
             generation=True),
    Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False,
             generation=True),
    # Kept, so that ordinary manifests can be applied; nobody is refused anything by them.
    *(
        Resource("rbac.authorization.k8s.io", "v1", kind.lower() + "s", kind,
                 namespaced=not kind.startswith("Cluster"))
        for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    ),
    Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions",
             "CustomResourceDefinition", namespaced=False, short=("crd", "crds"), status=True,
             generation=True),
    Resource("flagger.app", "v1beta1", "canaries", "Canary", status=True, generation=True,
             custom=True, categories=("all",), columns=_CANARY_COLUMNS),
    Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate", status=True,
             generation=True, custom=True, categories=("all",),
             columns=(Column("Provider", ".spec.provider.type"),)),
    Resource("flagger.app", "v1beta1", "alertproviders", "AlertProvider", status=True,
             generation=True, custom=True, categories=("all",),
             columns=(Column("Type", ".spec.type"),)),
    _traefik("ingressroutes", "IngressRoute"),
    _traefik("ingressroutetcps", "IngressRouteTCP"),
    _traefik("ingressrouteudps", "IngressRouteUDP"),
    _traefik("middlewares", "Middleware"),
    _traefik("middlewaretcps", "MiddlewareTCP"),
    _traefik("serverstransports", "ServersTransport"),
    _traefik("serverstransporttcps", "ServersTransportTCP"),
    _traefik("tlsoptions", "TLSOption"),
    _traefik("tlsstores", "TLSStore"),
    _traefik("traefikservices", "TraefikService"),
    _gateway("gatewayclasses", "GatewayClass", namespaced=False, short=("gc",)),
    _gateway("gateways", "Gateway", short=("gtw",)),
    _gateway("httproutes", "HTTPRoute"),
    _gateway("grpcroutes", "GRPCRoute"),
    _gateway("referencegrants", "ReferenceGrant", "v1beta1", short=("refgrant",)),
)  # fmt: skip


class Kinds:
    """The kinds that are served now."""

    def __init__(self, table: tuple[Resource, ...] = BUILT_IN) -> None:
        self._served: dict[tuple[str, str, str], Resource] = {}
        for resource in table:
            self.add(resource)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._served.values())

    def add(self, resource: Resource) -> None:
        """Serves `resource` from now on, in place of an earlier row of the same name."""
        self._served[resource.group, resource.version, resource.plural] = resource

    def remove(self, group: str, plural: str) -> None:
        """Serves the kind no longer, in any version."""
        for key in [key for key in self._served if (key[0], key[2]) == (group, plural)]:
            del self._served[key]

    def at(self, group: str, version: str, plural: str) -> Resource:
        """The kind that a path names; raises ApiError 404 when there is none."""
        found = self._served.get((group, version, plural))
        if found is None:
            raise no_such_path(f"{group}/{version}/{plural}")
        return found

    def by_id(self, resource: ResourceId) -> Resource | None:
        """Any version of the kind with this group and plural."""
        return next((r for r in self if r.id == resource), None)

    def of(self, api_version: str, kind: str) -> Resource | None:
        """The kind of an object with this apiVersion and kind."""
        return next((r for r in self if r.kind == kind and r.api_version == api_version), None)


def custom_resources(definition: Obj) -> list[Resource]:
    """The rows that a CustomResourceDefinition adds, one per served version."""
    spec = definition["spec"]
    names = spec["names"]
    rows = []
    for version in spec["versions"]:
        if not version.get("served", True):
            continue
        subresources = version.get("subresources") or {}
        rows.append(
            Resource(
                group=spec["group"],
                version=version["name"],
                plural=names["plural"],
                kind=names["kind"],
                namespaced=spec.get("scope", "Namespaced") == "Namespaced",
                short=tuple(names.get("shortNames") or ()),
                status="status" in subresources,
                scale="scale" in subresources,
                generation=True,
                custom=True,
                categories=tuple(names.get("categories") or ()),
                columns=tuple(
                    Column(c["name"], c["jsonPath"], c["type"], c.get("priority", 0))
                    for c in version.get("additionalPrinterColumns") or ()
                ),
                schema=(version.get("schema") or {}).get("openAPIV3Schema"),
                scale_paths=subresources.get("scale"),
            )
        )
    return rows
