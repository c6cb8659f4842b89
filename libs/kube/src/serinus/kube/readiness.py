"""Whether a workload can take traffic, in the reference's rules and words (2.12). Pure.

The clock stays outside: where a deadline is running, `stuck_at` says when waiting becomes stuck.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from serinus.events.snapshots import Readiness
from serinus.kube.partition import REVISION_LABEL, Part, parts
from serinus.kube.refs import Obj, is_knative
from serinus.kube.times import unix

# What a pod does not get out of by itself, or only by luck. ErrImagePull is not here because one
# failed pull says little: ImagePullBackOff follows when it repeats. CreateContainerConfigError is
# not, because the missing ConfigMap or Secret may just be a moment late.
CRASH_REASONS = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerError",
        "RunContainerError",
    }
)
_WAITING = "waiting for rollout to finish: "


def readiness(
    workload: Obj,
    *,
    threshold: int,
    deadline_s: int,
    pods: Sequence[Obj] = (),
    since: float | None = None,
    part: Part = "canary",
) -> Readiness:
    """How far a Deployment, DaemonSet, StatefulSet or Knative Service is; other kinds are ready.

    threshold   percent of updated replicas that must be available
    deadline_s  the Canary's progressDeadlineSeconds
    pods        pods of the workload; those of older revisions are passed over
    since       Unix seconds of the Canary's last transition: from when a DaemonSet is timed, and a
                StatefulSet until a younger pod comes
    part        which pods of a StatefulSet are meant
    """
    match workload.get("kind"):
        case "Deployment":
            state, text, stuck_at = _deployment(workload, threshold, deadline_s)
        case "DaemonSet":
            state, text, stuck_at = _daemon_set(workload, threshold, deadline_s, since)
        case "StatefulSet":
            state, text = _stateful_set(workload, threshold, part)
            pods = _of_part(workload, pods, part)
            stuck_at = _without_progress(pods, since, deadline_s)
            if state == "ready":
                return Readiness("ready")
            return Readiness(state, text, stuck_at, crash_of(pods))
        case _ if is_knative(workload):
            return _knative(workload)
        case _:
            return Readiness("ready")
    if state == "ready":
        return Readiness("ready")
    return Readiness(state, text, stuck_at, crash_of(current_pods(workload, pods)))


_Answer = tuple[Literal["ready", "waiting", "stuck"], str, float | None]
_READY: _Answer = ("ready", "", None)


def _knative(workload: Obj) -> Readiness:
    """By its newest revision; no deadline is applied (2.12)."""
    status = workload.get("status") or {}
    latest = status.get("latestCreatedRevisionName", "")
    if latest and _is_observed(workload) and status.get("latestReadyRevisionName") == latest:
        return Readiness("ready")
    return Readiness("waiting", f"revision {latest or 'of it'} is not ready")


def _deployment(workload: Obj, threshold: int, deadline_s: int) -> _Answer:
    status = workload.get("status") or {}
    if not _is_observed(workload):
        text = "observed deployment generation less than desired generation"
        return "waiting", _WAITING + text, None
    progressing = _condition(status, "Progressing")
    available = _condition(status, "Available")
    stuck_at = None
    if (
        progressing
        and available.get("status") == "False"
        and available.get("reason") == "MinimumReplicasUnavailable"
    ):
        stuck_at = _unix_s(available.get("lastUpdateTime", ""), plus=deadline_s)
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        name = workload["metadata"]["name"]
        return "stuck", f'deployment "{name}" exceeded its progress deadline', None
    wanted = (workload.get("spec") or {}).get("replicas", 1)
    updated = status.get("updatedReplicas", 0)
    running = status.get("replicas", 0)
    if updated < wanted:
        text = f"{updated} out of {wanted} new replicas have been updated"
    elif running > updated:
        text = f"{running - updated} old replicas are pending termination"
    elif status.get("availableReplicas", 0) < updated * threshold // 100:
        enough = updated * threshold // 100
        text = (
            f"{status.get('availableReplicas', 0)} of {enough} (readyThreshold {threshold}%) "
            "updated replicas are available"
        )
    else:
        return _READY
    return "waiting", _WAITING + text, stuck_at


def _daemon_set(workload: Obj, threshold: int, deadline_s: int, since: float | None) -> _Answer:
    status = workload.get("status") or {}
    if not _is_observed(workload):
        text = "observed daemonset generation less than desired generation"
        return "waiting", _WAITING + text, None
    wanted = status.get("desiredNumberScheduled", 0)
    updated = status.get("updatedNumberScheduled", 0)
    available = status.get("numberAvailable", 0)
    enough = wanted * threshold // 100
    if updated < wanted:
        text = f"{updated} out of {wanted} new pods have been scheduled"
    elif available < enough:
        text = f"{available} of {enough} (readyThreshold {threshold}%) updated pods are available"
    else:
        return _READY
    return "waiting", _WAITING + text, None if since is None else since + deadline_s


def _stateful_set(
    workload: Obj, threshold: int, part: Part
) -> tuple[Literal["ready", "waiting"], str]:
    found = parts(workload)
    if not found.is_observed:
        return "waiting", (
            _WAITING + "observed statefulset generation less than desired generation"
        )
    if part == "canary":
        wanted, updated = found.canary_wanted, found.newest_pods
        available = found.canary_available
    elif found.partition:
        wanted, updated = found.primary_wanted, found.current_pods
        available = found.primary_available
    else:
        wanted, updated = found.size, found.newest_pods
        available = wanted - found.missing
    enough = wanted * threshold // 100
    if updated < wanted:
        return "waiting", _WAITING + f"{updated} out of {wanted} new pods have been updated"
    if available < enough:
        text = f"{available} of {enough} (readyThreshold {threshold}%) updated pods are available"
        return "waiting", _WAITING + text
    if part == "primary" and not found.partition and found.current_pods < wanted:
        return "waiting", _WAITING + "not every new pod is available"
    return "ready", ""


def _of_part(workload: Obj, pods: Iterable[Obj], part: Part) -> list[Obj]:
    """The pods of one part of a StatefulSet that are not going away."""
    found = parts(workload)
    is_newest = part == "canary" or not found.partition
    revision = found.newest if is_newest else found.current
    return [
        pod
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp") and _revision(pod) == revision
    ]


def _without_progress(pods: Iterable[Obj], since: float | None, deadline_s: int) -> float | None:
    """When waiting becomes hopeless: pods of a StatefulSet come one after another, and each has
    the whole deadline for itself."""
    if since is None:
        return None
    created = [_unix_s(str(pod["metadata"].get("creationTimestamp", "")), 0.0) for pod in pods]
    return max([since, *(at for at in created if at is not None)]) + deadline_s


def daemon_set_deadline_text(deadline_s: int) -> str:
    """What is said of a DaemonSet once its deadline has passed."""
    return f"exceeded its progressDeadlineSeconds: {deadline_s}"


def current_pods(workload: Obj, pods: Iterable[Obj]) -> list[Obj]:
    """The pods of the newest revision that are not going away.

    The Deployment controller names the current ReplicaSet in the Progressing condition; where it
    does not, the revision of the youngest pod is taken. After a change that met no pods it may go
    on naming the one before as available: then nothing that is there can be of that one.
    """
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    if not alive or not _is_observed(workload):
        return []
    progressing = _condition(workload.get("status") or {}, "Progressing")
    message = progressing.get("message", "")
    named = [pod for pod in alive if (owner := _owner(pod)) and f'"{owner}"' in message]
    names_one = 'eplicaSet "' in message or 'eplica set "' in message
    if named or (names_one and progressing.get("reason") != "NewReplicaSetAvailable"):
        return named
    youngest = max(alive, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    return [pod for pod in alive if _revision(pod) == _revision(youngest)]


def crash_of(pods: Iterable[Obj]) -> str:
    """The first reason, in order of pod names, why a pod will not come up; "" where there is none.

    Example: `container web of pod web-5d9-x is in CrashLoopBackOff: back-off 10s restarting ...`
    """
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        status = pod.get("status") or {}
        for field in ("initContainerStatuses", "containerStatuses"):
            for container in status.get(field) or ():
                waiting = (container.get("state") or {}).get("waiting") or {}
                if waiting.get("reason") in CRASH_REASONS:
                    where = f"container {container['name']} of pod {pod['metadata']['name']}"
                    return f"{where} is in {waiting['reason']}"
    return ""


def available_s(workload: Obj, now: float) -> float:
    """For how many seconds at least enough pods have been available, at this Unix time.

    Zero where nothing says so: of conditions only a Deployment's do.
    """
    said = _condition(workload.get("status") or {}, "Available")
    if said.get("status") != "True":
        return 0.0
    # Kubernetes' times are whole seconds, of which a part had not passed.
    since = _unix_s(said.get("lastTransitionTime", ""), 1.0)
    return 0.0 if since is None else max(0.0, now - since)


def _is_observed(workload: Obj) -> bool:
    generation = workload["metadata"].get("generation", 0)
    observed = (workload.get("status") or {}).get("observedGeneration", 0)
    return bool(generation <= observed)


def _condition(status: Obj, kind: str) -> Obj:
    return next((c for c in status.get("conditions") or () if c.get("type") == kind), {})


def _owner(pod: Obj) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((str(o["name"]) for o in owners if o.get("controller")), "")


def _revision(pod: Obj) -> str:
    labels = pod["metadata"].get("labels") or {}
    revision = labels.get("pod-template-hash") or labels.get(REVISION_LABEL)
    return str(revision or _owner(pod))


def _unix_s(text: str, plus: float) -> float | None:
    """Unix seconds of an RFC 3339 time and some more; None where it is no time."""
    try:
        return unix(text) + plus
    except ValueError:
        return None
