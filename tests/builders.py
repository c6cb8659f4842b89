"""Readable beginnings for tests: everything has a good default, a test names only what it is about.

`a_canary`, `a_deployment`, `a_service`, `a_config_map` are plain documents as the API server gives
them; the others are Structs. Time is Unix seconds from `T0`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from serinus.analyzer.core.rollout import Policy, Rollout
from serinus.analyzer.core.status import reported
from serinus.events import (
    API_VERSION,
    Analysis,
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    CanaryStatus,
    Exposure,
    Intent,
    Metric,
    ObjectRef,
    Readiness,
    Routes,
    RoutesObserved,
    Selector,
    ServiceSpec,
    Webhook,
    Workload,
    WorkloadSeen,
)

Obj = dict[str, Any]

T0 = 1_800_000_000.0
"""A moment to start from: 2027-01-15T08:00:00Z."""

AT_T0 = "2027-01-15T08:00:00.000Z"
NAMESPACE = "shop"
NAME = "web"
UID = "5a1f0c66-0000-4000-8000-000000000001"
REF = CanaryRef(NAMESPACE, NAME, UID)
TARGET = ObjectRef(api_version="apps/v1", kind="Deployment", name=NAME)
APP = Selector("app", NAME)
OLD = "s1-1111111111"
NEW = "s1-2222222222"
READY = Readiness("ready")


# --- the custom resource -------------------------------------------------------------------------


def an_analysis(**fields: Any) -> Analysis:
    """Every 10 s a step of 20 up to 60, five failed checks allowed, nothing measured."""
    defaults: dict[str, Any] = {"interval": "10s", "threshold": 5}
    if not {"step_weight", "step_weights", "iterations"} & set(fields):
        defaults |= {"step_weight": 20, "max_weight": 60}
    return Analysis(**{**defaults, **fields})


def a_canary_spec(*, analysis: Analysis | None = None, **fields: Any) -> CanarySpec:
    """A Deployment `web` behind Traefik on port 80."""
    defaults: dict[str, Any] = {
        "provider": "traefik",
        "target_ref": TARGET,
        "service": ServiceSpec(port=80),
        "analysis": analysis or an_analysis(),
    }
    return CanarySpec(**{**defaults, **fields})


def a_status(phase: str = "Progressing", **fields: Any) -> CanaryStatus:
    """A status of that phase, written at T0.

    While something is released the new revision is applied and the old one promoted; at rest they
    are the same: the old one, after a success or a failure the new one.
    """
    applied, promoted = {
        "": ("", ""),
        "Initializing": ("", ""),
        "Initialized": (OLD, OLD),
        "Succeeded": (NEW, NEW),
    }.get(phase, (NEW, OLD))
    defaults: dict[str, Any] = {
        "phase": phase,
        "last_applied_spec": applied,
        "last_promoted_spec": promoted,
        "last_transition_time": AT_T0,
    }
    status = CanaryStatus(**{**defaults, **fields})
    if fields.get("conditions") is not None or not phase:
        return status
    return reported(status, T0, "Deployment", (), dry_run=False)


def a_hook(name: str = "gate", **fields: Any) -> Webhook:
    return Webhook(**{"name": name, "url": f"http://hooks.test/{name}", **fields})


def a_metric(name: str = "request-success-rate", **fields: Any) -> Metric:
    return Metric(**{"name": name, "interval": "1m", **fields})


# --- snapshots -----------------------------------------------------------------------------------


def a_workload_seen(revision: str = NEW, **fields: Any) -> WorkloadSeen:
    """The target, ready with two pods."""
    defaults: dict[str, Any] = {
        "name": NAME,
        "found": True,
        "resource_version": "100",
        "revision": revision,
        "replicas": 2,
        "images": {"web": "example.test/web:2"},
        "selector": APP,
        "ports": {"http": 8080},
        "readiness": READY,
    }
    return WorkloadSeen(**{**defaults, **fields})


def a_primary_seen(promoted: str = OLD, **fields: Any) -> WorkloadSeen:
    """The primary, ready, last given `promoted`."""
    defaults: dict[str, Any] = {
        "name": f"{NAME}-primary",
        "promoted": promoted,
        "images": {"web": "example.test/web:1"},
        "selector": Selector("app", f"{NAME}-primary"),
    }
    return a_workload_seen(promoted, **{**defaults, **fields})


def an_observed(
    *, spec: CanarySpec | None = None, status: CanaryStatus | None = None, **fields: Any
) -> CanaryObserved:
    """What the watcher sees of a canary in mid-analysis: both workloads ready."""
    defaults: dict[str, Any] = {
        "canary": REF,
        "resource_version": "1000",
        "generation": 1,
        "created": AT_T0,
        "spec": spec or a_canary_spec(),
        "status": status or a_status(),
        "target": a_workload_seen(),
        "primary": a_primary_seen(),
        "same_template": False,
        "versions": "v1",
        "at": T0,
    }
    return CanaryObserved(**{**defaults, **fields})


def a_routes_observed(intent: str = "", canary_weight: int = 0, **fields: Any) -> RoutesObserved:
    """What the router reports once routes are as ordered."""
    defaults: dict[str, Any] = {
        "canary": REF,
        "intent": intent,
        "revision": NEW,
        "settled": True,
        "primary_weight": 100 - canary_weight,
        "canary_weight": canary_weight,
        "primary_revision": OLD,
        "at": T0,
    }
    return RoutesObserved(**{**defaults, **fields})


def an_intent(
    *, workload: Mapping[str, Any] | None = None, canary_weight: int = 0, **fields: Any
) -> Intent:
    """`web` on Traefik with the canary running and `canary_weight` percent for it.

    `workload` holds fields of the Workload that differ from the default.
    """
    defaults: dict[str, Any] = {
        "canary": REF,
        "revision": NEW,
        "phase": "Progressing",
        "workload": Workload(
            **{"target": TARGET, "selector": APP, "canary": "running", **(workload or {})}
        ),
        "exposure": an_exposure(),
        "routes": Routes(primary=100 - canary_weight, canary=canary_weight),
        "version": "1000",
    }
    return Intent(**{**defaults, **fields})


def an_exposure(mesh: str = "traefik", **fields: Any) -> Exposure:
    defaults: dict[str, Any] = {
        "mesh": mesh,
        "namespace": NAMESPACE,
        "name": NAME,
        "service": ServiceSpec(port=80),
        "selector": APP,
    }
    return Exposure(**{**defaults, **fields})


# --- a decision's world --------------------------------------------------------------------------


def a_rollout(
    phase: str = "Progressing",
    *,
    spec: CanarySpec | None = None,
    status: CanaryStatus | None = None,
    seen: Mapping[str, Any] | None = None,
    routes: RoutesObserved | None = None,
    policy: Policy | None = None,
) -> Rollout:
    """Everything a decision may look at; `seen` holds fields of the snapshot that differ."""
    spec = spec or a_canary_spec()
    status = status or a_status(phase)
    observed = an_observed(spec=spec, status=status, **(seen or {}))
    return Rollout(
        spec=spec, status=status, seen=observed, routes=routes, policy=policy or Policy()
    )


# --- documents of the API server -----------------------------------------------------------------


def a_deployment(
    name: str = NAME,
    *,
    ready: int = 2,
    replicas: int = 2,
    image: str = "example.test/web:1",
    **fields: Any,
) -> Obj:
    """A Deployment whose controller has caught up, with `ready` of `replicas` pods available.

    `fields` are laid over the document, maps into maps: `spec={"progressDeadlineSeconds": 60}`.
    """
    labels = {"app": name}
    document: Obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(name, labels=labels, generation=1),
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "containers": [
                        {
                            "name": NAME,
                            "image": image,
                            "ports": [{"name": "http", "containerPort": 8080}],
                        }
                    ]
                },
            },
        },
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": ready,
            "availableReplicas": ready,
        },
    }
    return laid_over(document, fields)


def a_stateful_set(
    *,
    replicas: int = 3,
    partition: int = 0,
    newest: int | None = None,
    current: str = "",
    available: int | None = None,
    image: str = "example.test/web:1",
    **fields: Any,
) -> Obj:
    """A StatefulSet `web` whose controller has caught up.

    newest  pods of revision `web-2`, the others are of `web-1`; None: all are of `web-1`, and so is
            the template
    """
    found = a_deployment(image=image)
    labels = {"app": NAME, "tier": "data"}
    found["kind"] = "StatefulSet"
    found["metadata"]["labels"] = dict(labels)
    found["spec"] |= {
        "replicas": replicas,
        "serviceName": "web-peers",
        "selector": {"matchLabels": labels},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
    }
    del found["spec"]["progressDeadlineSeconds"]
    found["spec"]["template"]["metadata"]["labels"] = dict(labels)
    found["status"] = {
        "observedGeneration": 1,
        "replicas": replicas,
        "availableReplicas": replicas if available is None else available,
        "currentRevision": current or "web-1",
        "updateRevision": "web-1" if newest is None else "web-2",
        "currentReplicas": replicas - (newest or 0),
        "updatedReplicas": replicas if newest is None else newest,
    }
    return laid_over(found, fields)


def a_service(name: str = NAME, *, selects: str = NAME, port: int = 80, **fields: Any) -> Obj:
    """A ClusterIP Service that selects `app: <selects>`."""
    document: Obj = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(name),
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": selects},
            "ports": [{"name": "http", "protocol": "TCP", "port": port, "targetPort": port}],
        },
    }
    return laid_over(document, fields)


def a_config_map(name: str, data: Mapping[str, str], **fields: Any) -> Obj:
    document: Obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(name),
        "data": dict(data),
    }
    return laid_over(document, fields)


def a_canary(
    name: str = NAME,
    *,
    spec: CanarySpec | None = None,
    status: CanaryStatus | None = None,
    **fields: Any,
) -> Obj:
    """The Canary as the API server gives it; without `status` it was never touched."""
    document: Obj = {
        "apiVersion": API_VERSION,
        "kind": "Canary",
        "metadata": {**_metadata(name, generation=1), "uid": UID},
        "spec": as_json(spec or a_canary_spec()),
    }
    if status is not None:
        document["status"] = as_json(status)
    return laid_over(document, fields)


def as_json(struct: msgspec.Struct) -> Obj:
    """A Struct as the maps and lists of its JSON."""
    found: Obj = msgspec.json.decode(msgspec.json.encode(struct))
    return found


def laid_over(document: Mapping[str, Any], fields: Mapping[str, Any]) -> Obj:
    """A copy of `document` with `fields` over it: maps are merged, everything else replaced."""
    merged: Obj = dict(document)
    for name, value in fields.items():
        old = merged.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[name] = laid_over(old, value)
        else:
            merged[name] = value
    return merged


def _metadata(name: str, **fields: Any) -> Obj:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-of-{name}",
        "resourceVersion": "100",
        "creationTimestamp": "2027-01-15T08:00:00Z",
        **fields,
    }
