"""What the API fills in when a manifest leaves it out, and the few rules of built-in kinds. Pure.

Only fields that somebody here or in a client reads are filled in.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from serinus.sandbox.errors import Obj

Cause = tuple[str, str, str]

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")


def _fill(target: Obj, **values: Any) -> Obj:
    for name, value in values.items():
        target.setdefault(name, value)
    return target


def _probe(probe: Obj) -> None:
    _fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if "httpGet" in probe:
        _fill(probe["httpGet"], path="/", scheme="HTTP")


def _container(container: Obj) -> None:
    image = str(container.get("image", ""))
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    _fill(
        container,
        imagePullPolicy="Always" if tag in {"", "latest"} else "IfNotPresent",
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    for port in container.get("ports") or ():
        _fill(port, protocol="TCP")
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        if container.get(kind):
            _probe(container[kind])


def _pod_spec(spec: Obj) -> None:
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        _container(container)
    _fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
    )


def _template(obj: Obj) -> Obj:
    spec: Obj = obj.setdefault("spec", {})
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    _pod_spec(template.setdefault("spec", {}))
    return spec


def _deployment(obj: Obj) -> None:
    spec = _fill(
        _template(obj),
        replicas=1,
        strategy={},
        revisionHistoryLimit=10,
        progressDeadlineSeconds=600,
    )
    strategy = _fill(spec["strategy"], type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {}) or {}
        strategy["rollingUpdate"] = _fill(rolling, maxUnavailable="25%", maxSurge="25%")


def _replicas(obj: Obj) -> None:
    _fill(_template(obj), replicas=1)


def _daemon_set(obj: Obj) -> None:
    _fill(
        _template(obj),
        revisionHistoryLimit=10,
        updateStrategy={
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
        },
    )


def _pod(obj: Obj) -> None:
    _pod_spec(obj.setdefault("spec", {}))


def _service(obj: Obj) -> None:
    spec = _fill(
        obj.setdefault("spec", {}),
        type="ClusterIP",
        sessionAffinity="None",
        internalTrafficPolicy="Cluster",
        ipFamilies=["IPv4"],
        ipFamilyPolicy="SingleStack",
    )
    for port in spec.get("ports") or ():
        _fill(port, protocol="TCP", targetPort=port.get("port"))


def _namespace(obj: Obj) -> None:
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"][
        "name"
    ]
    _fill(obj.setdefault("spec", {}), finalizers=["kubernetes"])
    _fill(obj.setdefault("status", {}), phase="Active")


def _secret(obj: Obj) -> None:
    _fill(obj, type="Opaque")
    for name, text in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[name] = base64.b64encode(str(text).encode()).decode()


def _autoscaler(obj: Obj) -> None:
    _fill(obj.setdefault("spec", {}), minReplicas=1)


_DEFAULTS: Mapping[str, Callable[[Obj], None]] = {
    "deployments": _deployment,
    "replicasets": _replicas,
    "statefulsets": _replicas,
    "daemonsets": _daemon_set,
    "pods": _pod,
    "services": _service,
    "namespaces": _namespace,
    "secrets": _secret,
    "horizontalpodautoscalers": _autoscaler,
}


def fill(plural: str, obj: Obj) -> None:
    """Fills the defaults of a built-in kind into `obj`, in place."""
    if plural in _DEFAULTS:
        _DEFAULTS[plural](obj)


def mistakes(plural: str, obj: Obj, live: Obj | None) -> Iterator[Cause]:
    """What a built-in kind must not look like; `live` is the object that it would replace."""
    name = obj["metadata"].get("name", "")
    if not _NAME.match(name) or len(name) > 253:
        yield (
            "metadata.name",
            "FieldValueInvalid",
            f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case '
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric "
            "character",
        )
    if plural in {"deployments", "replicasets", "daemonsets", "statefulsets"}:
        yield from _workload(obj, live)
    if plural in {"pods", "deployments"}:
        yield from _containers(obj["spec"] if plural == "pods" else obj["spec"]["template"]["spec"])
    if plural == "services":
        yield from _ports(obj["spec"])
    if plural in {"configmaps", "secrets"} and _frozen(obj, live):
        text = "Forbidden: field is immutable when `immutable` is set"
        yield "data", "FieldValueForbidden", text


def _frozen(obj: Obj, live: Obj | None) -> bool:
    if not live or not live.get("immutable"):
        return False
    return obj.get("data") != live.get("data") or not obj.get("immutable")


def _workload(obj: Obj, live: Obj | None) -> Iterator[Cause]:
    spec = obj["spec"]
    selector = spec.get("selector")
    if not selector:
        yield "spec.selector", "FieldValueRequired", "Required value"
        return
    if live and live["spec"].get("selector") != selector:
        yield "spec.selector", "FieldValueInvalid", "Invalid value: field is immutable"
    labels = spec["template"]["metadata"].get("labels") or {}
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        yield (
            "spec.template.metadata.labels",
            "FieldValueInvalid",
            f"Invalid value: {labels}: `selector` does not match template `labels`",
        )
    replicas = spec.get("replicas", 0)
    if isinstance(replicas, int) and replicas < 0:
        yield (
            "spec.replicas",
            "FieldValueInvalid",
            f"Invalid value: {replicas}: must be greater than or equal to 0",
        )


def _containers(spec: Obj) -> Iterator[Cause]:
    containers = spec.get("containers") or []
    if not containers:
        yield "spec.containers", "FieldValueRequired", "Required value"
    for index, container in enumerate(containers):
        for needed in ("name", "image"):
            if not container.get(needed):
                yield f"spec.containers[{index}].{needed}", "FieldValueRequired", "Required value"


def _ports(spec: Obj) -> Iterator[Cause]:
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec["type"] != "ExternalName":
        yield "spec.ports", "FieldValueRequired", "Required value"
    for index, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield f"spec.ports[{index}].name", "FieldValueRequired", "Required value"
