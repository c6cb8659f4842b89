"""A live workload as the rest of the suite sees it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from serinus.events import CanarySpec, ObjectRef, Readiness, Selector, WorkloadSeen
from serinus.events.canary import (
    KNATIVE_GROUP,
    KNATIVE_SERVICE,
    STATEFUL_SET,
    progress_deadline_s,
    workload_kind,
)
from serinus.kube.partition import Part, parts
from serinus.kube.readiness import readiness
from serinus.kube.refs import DEFAULT_SELECTOR_LABELS, NoSelectorLabel, Obj, selector_of
from serinus.kube.revision import revised, template_hash
from serinus.watcher.core.origin import CHANGED_BY, origin

PROMOTED = "serinus.dev/promoted-revision"
SIDECARS = frozenset({"istio-proxy", "envoy"})
# kind, in the words of `workload_kind` -> the apiVersion it is watched under
RELEASABLE = {
    "Deployment": "apps/v1",
    "DaemonSet": "apps/v1",
    STATEFUL_SET: "apps/v1",
    "Service": "v1",
    KNATIVE_SERVICE: f"{KNATIVE_GROUP}/v1",
}
WITH_PODS = frozenset({"Deployment", "DaemonSet", STATEFUL_SET})
# Kinds whose primary is another workload, which can have configs of its own.
WITH_COPIES = WITH_PODS - {STATEFUL_SET}


class Policy(Struct, frozen=True, kw_only=True):
    """The operator's settings that a snapshot depends on."""

    selector_labels: tuple[str, ...] = DEFAULT_SELECTOR_LABELS
    config_tracking: bool = True


class Timing(Struct, frozen=True, kw_only=True):
    """What readiness is measured by: percent, seconds, and Unix seconds of the last transition."""

    threshold: int
    deadline_s: int
    since: float | None


def timing(spec: CanarySpec, threshold: int, transition_at: float | None) -> Timing:
    return Timing(threshold=threshold, deadline_s=progress_deadline_s(spec), since=transition_at)


def unreleasable(target: ObjectRef) -> str:
    """Why a target of this kind cannot be released; "" where it can."""
    if not target.kind:
        return ""
    wanted = RELEASABLE.get(workload_kind(target))
    if wanted is None:
        return f"{target.kind} cannot be released; known kinds: {', '.join(RELEASABLE)}"
    if target.api_version not in ("", wanted):
        return f"{target.kind} of {target.api_version} cannot be released; use {wanted}"
    return ""


def workload_seen(
    name: str,
    kind: str,
    found: Obj | None,
    *,
    pods: Sequence[Obj],
    timing: Timing,
    policy: Policy,
    part: Part = "canary",
    error: str = "",
) -> WorkloadSeen:
    """One workload; `found` is None where it does not exist. `part` is of a StatefulSet."""
    api_version = RELEASABLE.get(kind, "")
    if found is None:
        return WorkloadSeen(
            api_version=api_version,
            kind=kind,
            name=name,
            readiness=Readiness("waiting", f"{kind.lower()} {name} not found"),
            error=error,
        )
    meta = found["metadata"]
    spec = found.get("spec") or {}
    selector, refusal = _selector(found, policy)
    return WorkloadSeen(
        api_version=api_version,
        kind=kind,
        name=name,
        found=True,
        resource_version=meta.get("resourceVersion", ""),
        revision=template_hash(revised(found), kind=found["kind"]),
        promoted=(meta.get("annotations") or {}).get(PROMOTED, ""),
        replicas=_replicas(found, part),
        ordinal=_first_ordinal(found) if kind == STATEFUL_SET and part == "canary" else None,
        images=_images(spec),
        selector=selector,
        ports=_ports(spec),
        readiness=readiness(
            found,
            threshold=timing.threshold,
            deadline_s=timing.deadline_s,
            pods=pods,
            since=timing.since,
            part=part,
        ),
        latest=(found.get("status") or {}).get("latestCreatedRevisionName", ""),
        origin=origin(found),
        changed_by=meta.get(CHANGED_BY, ""),
        error=error or refusal,
    )


def template_of(workload: Obj | None) -> Obj:
    return ((workload or {}).get("spec") or {}).get("template") or {}


def _selector(found: Obj, policy: Policy) -> tuple[Selector | None, str]:
    """The label that tells primary from canary, or why there is none, in the reference's words."""
    kind, meta = found["kind"], found["metadata"]
    if kind not in WITH_PODS:
        return None, ""
    try:
        selector = selector_of(found, policy.selector_labels)
    except NoSelectorLabel as error:
        return None, str(error)
    strategy = ((found["spec"].get("updateStrategy")) or {}).get("type", "RollingUpdate")
    if kind in ("DaemonSet", STATEFUL_SET) and strategy != "RollingUpdate":
        what = f"{kind.lower()} {meta['name']}.{meta.get('namespace', '')}"
        return selector, f"{what} must have RollingUpdate strategy but have {strategy}"
    return selector, ""


def governs(found: Obj | None, service: str) -> str:
    """Why S must have another name than the Service that names a StatefulSet's pods; "" where it
    has: members find each other by that one, whatever they run."""
    if found is None or found["kind"] != STATEFUL_SET:
        return ""
    own = str((found.get("spec") or {}).get("serviceName") or "")
    if own not in (service, f"{service}-primary", f"{service}-canary"):
        return ""
    what = f"statefulset {found['metadata']['name']}.{found['metadata'].get('namespace', '')}"
    return f"{what} names its pods by service {own}, which the canary would point elsewhere"


def _replicas(found: Obj, part: Part) -> int | None:
    kind = found["kind"]
    if kind == STATEFUL_SET:
        seen = parts(found)
        return seen.canary_wanted if part == "canary" else seen.primary_wanted
    return (found.get("spec") or {}).get("replicas", 1) if kind == "Deployment" else None


def _first_ordinal(found: Obj) -> int:
    """The first of the pods that run the newest revision because of the partition."""
    start = int(((found.get("spec") or {}).get("ordinals") or {}).get("start") or 0)
    return start + parts(found).partition


# What Knative calls a container that has no name; nobody else takes one.
UNNAMED = "user-container"


def _images(spec: Obj) -> dict[str, str]:
    return {c.get("name") or UNNAMED: c.get("image", "") for c in _containers(spec)}


def _ports(spec: Obj) -> dict[str, int]:
    """Container ports by name, else `tcp-<container>-<index>`; sidecars left out (3.6)."""
    return {
        port.get("name") or f"tcp-{container.get('name')}-{index}": port["containerPort"]
        for container in _containers(spec)
        if container.get("name") not in SIDECARS
        for index, port in enumerate(container.get("ports") or ())
    }


def _containers(spec: Obj) -> Sequence[Obj]:
    pod_spec = (spec.get("template") or {}).get("spec") or {}
    return pod_spec.get("containers") or ()
