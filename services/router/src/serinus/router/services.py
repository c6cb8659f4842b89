"""The three ClusterIP Services: apex S, S-primary and S-canary (reference 3.6). Pure.

A Service that we made is ours in ports, selector, labels and annotations; keys that
`unmanagedMetadata` names are left as found. Of a Service that the user made we change the ports,
the selector and the two annotations that keep Flux away, and never adopt it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from serinus.events import CanaryRef, Exposure, Selector
from serinus.events.canary import ExtraMetadata, ServiceSpec
from serinus.kube.refs import Obj, Ref, is_owned_by, owner_reference
from serinus.router.core.objects import (
    KEEP_FLUX_AWAY,
    LAST_APPLIED,
    annotations_of,
    labels_of,
)

Role = Literal["apex", "primary", "canary"]
SIDECARS = frozenset({"istio-proxy", "envoy"})


def ref_for(exposure: Exposure, role: Role) -> Ref:
    """The Service that plays this role."""
    return Ref("v1", "Service", exposure.namespace, _name(exposure, role))


def wanted(
    live: Obj | None,
    exposure: Exposure,
    role: Role,
    selector: Selector,
    canary: CanaryRef,
    selecting: dict[str, str] | None = None,
) -> Obj:
    """The whole Service as it shall be; equal to `live` when nothing is to be done.

    selecting       which pods it selects; None: `selects(role, selector)`
    exposure.ports  the target's ports by name, for portDiscovery
    """
    service = exposure.service
    assert service is not None
    ports = _ports(service, exposure.ports)
    selecting = selects(role, selector) if selecting is None else selecting
    if live is None:
        return _created(service, exposure, role, selector, canary, ports, selecting)
    whole = _outline(live)
    if not _same_ports(live["spec"].get("ports") or [], ports):
        whole["spec"]["ports"] = _with_node_ports(live, ports)
    whole["spec"]["selector"] = selecting
    meta = whole["metadata"]
    if is_owned_by(live, canary):
        keep = service.unmanaged_metadata
        ours = _metadata(service, exposure, role, selector)
        kept = {
            "labels": keep.labels if keep else (),
            "annotations": keep.annotations if keep else (),
        }
        for field, before in (("labels", labels_of(live)), ("annotations", annotations_of(live))):
            meta[field] = {k: v for k, v in before.items() if k in kept[field]} | ours[field]
    elif whole != live:
        meta["annotations"] = {**annotations_of(live), **KEEP_FLUX_AWAY}
    return whole


def selects(role: Role, selector: Selector) -> dict[str, str]:
    """The pods behind a Service where the primary is a workload of its own."""
    suffix = "" if role == "canary" else "-primary"
    return {selector.key: f"{selector.value}{suffix}"}


def released(live: Obj, selector: Selector, canary: CanaryRef) -> Obj:
    """The apex Service as it was before: a Service of the user's selects what it selected.

    The selector comes from kubectl's last-applied annotation, else it is the target's label. A
    Service of ours is left to garbage collection (reference 2.17).
    """
    if is_owned_by(live, canary):
        return live
    whole = _outline(live)
    whole["spec"]["selector"] = _last_applied_selector(live) or {selector.key: selector.value}
    return whole


def discovered_ports(workload: Obj) -> dict[str, int]:
    """Every container port of the pods by name, sidecars left out (reference 3.6)."""
    found: dict[str, int] = {}
    for container in workload["spec"]["template"]["spec"].get("containers") or ():
        if container.get("name") in SIDECARS:
            continue
        for index, port in enumerate(container.get("ports") or ()):
            name = port.get("name") or f"tcp-{container['name']}-{index}"
            found[name] = port["containerPort"]
    return found


def _outline(live: Obj) -> Obj:
    """A copy whose fields of metadata and spec may be replaced; what they hold is shared."""
    return {**live, "metadata": {**live["metadata"]}, "spec": {**live["spec"]}}


def _name(exposure: Exposure, role: Role) -> str:
    return {"apex": exposure.name, "primary": exposure.primary, "canary": exposure.canary}[role]


def _created(
    service: ServiceSpec,
    exposure: Exposure,
    role: Role,
    selector: Selector,
    canary: CanaryRef,
    ports: list[Obj],
    selecting: dict[str, str],
) -> Obj:
    spec: Obj = {"type": "ClusterIP", "ports": ports, "selector": selecting}
    if service.headless:
        spec["clusterIP"] = "None"
    if service.traffic_distribution:
        spec["trafficDistribution"] = service.traffic_distribution
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": _name(exposure, role),
            "namespace": exposure.namespace,
            **_metadata(service, exposure, role, selector),
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": spec,
    }


def _metadata(
    service: ServiceSpec, exposure: Exposure, role: Role, selector: Selector
) -> dict[str, dict[str, str]]:
    extra: ExtraMetadata = getattr(service, role) or ExtraMetadata()
    return {
        "labels": {**extra.labels, selector.key: _name(exposure, role)},
        "annotations": {**extra.annotations, **KEEP_FLUX_AWAY},
    }


def _ports(service: ServiceSpec, discovered: Mapping[str, int]) -> list[Obj]:
    target = service.target_port
    if target in (None, "0", 0, ""):
        target = service.port
    if isinstance(target, str) and target.isdigit():
        target = int(target)
    first: Obj = {
        "name": service.port_name or "http",
        "protocol": "TCP",
        "port": service.port,
        "targetPort": target,
    }
    if service.app_protocol:
        first["appProtocol"] = service.app_protocol
    if not service.port_discovery:
        return [first]
    others = {k: v for k, v in sorted(discovered.items()) if target not in (k, v)}
    return [
        first,
        *(
            {"name": name, "protocol": "TCP", "port": port, "targetPort": port}
            for name, port in others.items()
        ),
    ]


def _same_ports(live: list[Obj], ports: list[Obj]) -> bool:
    """Whether the ports are the same, whatever their order and the node's ports."""

    def shown(rows: list[Obj]) -> list[tuple[int, list[tuple[str, Any]]]]:
        plain = ({k: v for k, v in row.items() if k != "nodePort"} for row in rows)
        return sorted((row.get("port", 0), sorted(row.items(), key=str)) for row in plain)

    return shown(live) == shown(ports)


def _with_node_ports(live: Obj, ports: list[Obj]) -> list[Obj]:
    node_ports = {
        p.get("name"): p["nodePort"] for p in live["spec"].get("ports") or () if p.get("nodePort")
    }
    return [
        {**port, "nodePort": node_ports[port["name"]]} if port["name"] in node_ports else port
        for port in ports
    ]


def _last_applied_selector(live: Obj) -> dict[str, str] | None:
    text = annotations_of(live).get(LAST_APPLIED, "")
    try:
        applied = msgspec.json.decode(text, type=dict[str, Any]) if text else {}
    except msgspec.MsgspecError:
        return None
    selector = (applied.get("spec") or {}).get("selector")
    return selector if isinstance(selector, dict) and selector else None
