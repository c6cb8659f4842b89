"""Parents of a route in the Gateway API: how they are written, which port of the Services they lead
to, and whether they have accepted the route (reference 4.4)."""

from __future__ import annotations

from msgspec import UNSET

from serinus.events import Exposure
from serinus.events.canary import GatewayRef, ServiceSpec
from serinus.kube.refs import Obj
from serinus.router.core.objects import Refusal

GROUP = "gateway.networking.k8s.io"


def by_port(service: ServiceSpec, name: str) -> list[tuple[int, tuple[GatewayRef, ...]]]:
    """Parents by the port of the Services that they lead to, the manifest's port first.

    name  of the Service S: what is sent to a port of it is for the same port of the others
    """
    found: dict[int, tuple[GatewayRef, ...]] = {}
    for parent in service.gateway_refs:
        port = parent.backend_port
        if port is UNSET and (parent.kind, parent.name) == ("Service", name):
            port = parent.port
        chosen = service.port if port is UNSET else port
        found[chosen] = (*found.get(chosen, ()), parent)
    return sorted(found.items(), key=lambda one: (one[0] != service.port, one[0]))


def check_ports(service: ServiceSpec, exposure: Exposure) -> None:
    """Raises Refusal for a port that the Services do not have."""
    known = {service.port, *exposure.ports.values()}
    for port, _ in by_port(service, exposure.name):
        if port not in known:
            raise Refusal(
                "Unsupported",
                f"gatewayRefs: {port} is no port of {exposure.name}: service.portDiscovery adds "
                "those of the pods",
            )


def written(ref: GatewayRef) -> Obj:
    """A parentRef with the API's defaults written out."""
    parent: Obj = {
        "group": GROUP if ref.group is UNSET else ref.group,
        "kind": "Gateway" if ref.kind is UNSET else ref.kind,
        "name": ref.name,
    }
    optional = {"namespace": ref.namespace, "sectionName": ref.section_name, "port": ref.port}
    return parent | {k: v for k, v in optional.items() if v is not UNSET}


def not_accepted(route: Obj, namespace: str) -> str:
    """The reference's text for the first parent that has not accepted this generation, or ""."""
    generation = route["metadata"].get("generation", 0)
    wanted = {_identity(p, namespace) for p in route["spec"].get("parentRefs") or ()}
    for parent in (route.get("status") or {}).get("parents") or ():
        reference = parent.get("parentRef") or {}
        if _identity(reference, namespace) not in wanted:
            continue
        conditions = {c.get("type"): c for c in parent.get("conditions") or ()}
        accepted = conditions.get("Accepted") or {}
        status, observed = accepted.get("status", ""), accepted.get("observedGeneration", 0)
        if status != "True" or observed < generation:
            name = f"{route['kind']} {route['metadata']['name']}.{namespace}"
            return (
                f"{name} parent {reference.get('name', '')} "
                f"is not ready (status: {status}, observed generation: {observed}, "
                f"current generation: {generation})"
            )
    return ""


def unresolved(route: Obj, namespace: str) -> str:
    """Why a parent answers requests of this generation with errors, or "".

    It says so in `ResolvedRefs` when a Service is missing or may not be used, though it has
    accepted the route.
    """
    generation = route["metadata"].get("generation", 0)
    for parent in (route.get("status") or {}).get("parents") or ():
        for condition in parent.get("conditions") or ():
            is_current = condition.get("observedGeneration", 0) >= generation
            is_bad = (condition.get("type"), condition.get("status")) == ("ResolvedRefs", "False")
            if is_current and is_bad:
                name = f"{route['kind']} {route['metadata']['name']}.{namespace}"
                whose = (parent.get("parentRef") or {}).get("name", "")
                said = condition.get("message") or condition.get("reason", "")
                return f"{name} parent {whose} cannot reach its backends: {said}"
    return ""


def _identity(parent: Obj, namespace: str) -> tuple[object, ...]:
    return (
        parent.get("group", GROUP),
        parent.get("kind", "Gateway"),
        parent.get("namespace") or namespace,
        parent.get("name"),
        parent.get("sectionName"),
        parent.get("port"),
    )
