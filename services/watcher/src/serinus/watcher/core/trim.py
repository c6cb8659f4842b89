"""What is kept of an object while it is watched. Contents of ConfigMaps and Secrets are not.

Memory is the watcher's budget: a cluster has many more pods and configs than canaries.
"""

from __future__ import annotations

from collections.abc import Sequence

from serinus.kube import configs
from serinus.kube.refs import Obj, controller_of
from serinus.watcher.core.origin import CHANGED_BY, template_writer

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OURS = "flagger.app/"
ANNOTATED_BY = "annotatedBy"
_POD_LABELS = ("pod-template-hash", "controller-revision-hash")


def slim(obj: Obj) -> Obj:
    """The object without the two large fields that are about other people's writes.

    Who wrote the annotations that ask something of us is kept, under `annotatedBy`, and who wrote
    the pod template, under `changedBy`.
    """
    meta = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    writer = template_writer(obj["metadata"].get("managedFields") or ())
    if writer:
        meta[CHANGED_BY] = writer
    annotations = meta.get("annotations")
    if annotations and any(key.startswith(OURS) for key in annotations):
        meta[ANNOTATED_BY] = _writers(obj["metadata"].get("managedFields") or ())
    if annotations and LAST_APPLIED in annotations:
        meta["annotations"] = {k: v for k, v in annotations.items() if k != LAST_APPLIED}
    return {**obj, "metadata": meta}


def _writers(managed: Sequence[Obj]) -> dict[str, str]:
    """Annotation key of ours -> `<field manager> at <time>`."""
    found = {}
    for entry in managed:
        fields = entry.get("fieldsV1") or {}
        written = (fields.get("f:metadata") or {}).get("f:annotations") or {}
        for key in written:
            name = key.removeprefix("f:")
            if name.startswith(OURS):
                found[name] = f"{entry.get('manager', '')} at {entry.get('time', '')}"
    return found


def pod(obj: Obj) -> Obj:
    """A pod's place and age, and of its state only why containers do not come up."""
    meta = obj["metadata"]
    labels = meta.get("labels") or {}
    kept = _identity(obj)
    kept["metadata"]["labels"] = {k: labels[k] for k in _POD_LABELS if k in labels}
    owner = controller_of(obj)
    if owner is not None:
        kept["metadata"]["ownerReferences"] = [
            {"kind": owner["kind"], "name": owner["name"], "controller": True}
        ]
    for field in ("creationTimestamp", "deletionTimestamp"):
        if meta.get(field):
            kept["metadata"][field] = meta[field]
    waiting = {
        field: found
        for field in ("initContainerStatuses", "containerStatuses")
        if (found := _waiting((obj.get("status") or {}).get(field) or ()))
    }
    if waiting:
        kept["status"] = waiting
    return kept


def config(obj: Obj) -> Obj:
    """A ConfigMap or Secret as a checksum."""
    seen = configs.seen(obj)
    return {**_identity(obj), "checksum": seen.checksum, "tracked": seen.tracked}


def config_seen(trimmed: Obj) -> configs.ConfigSeen:
    """What `config` kept, as the pure helpers take it."""
    return configs.ConfigSeen(trimmed["checksum"], trimmed["tracked"])


def name_only(obj: Obj) -> Obj:
    """That it is there: addresses of AlertProviders are secrets as often as not."""
    return _identity(obj)


def owner_of_pod(trimmed: Obj) -> tuple[str, str] | None:
    """(kind, name) of the workload that a pod belongs to; None for others' pods.

    A Deployment's pods belong to a ReplicaSet, whose name is the Deployment's and the hash of the
    pod template, which the pod carries as a label.
    """
    owner = controller_of(trimmed)
    if owner is None:
        return None
    kind, name = str(owner["kind"]), str(owner["name"])
    if kind != "ReplicaSet":
        return kind, name
    revision = (trimmed["metadata"].get("labels") or {}).get("pod-template-hash", "")
    suffix = f"-{revision}"
    return ("Deployment", name.removesuffix(suffix)) if revision and name.endswith(suffix) else None


def _identity(obj: Obj) -> Obj:
    meta = obj["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion")
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": {name: meta[name] for name in names if name in meta},
    }


def _waiting(statuses: list[Obj] | tuple[Obj, ...]) -> list[Obj]:
    return [
        {"name": status["name"], "state": {"waiting": {"reason": reason}}}
        for status in statuses
        if (reason := ((status.get("state") or {}).get("waiting") or {}).get("reason"))
    ]
