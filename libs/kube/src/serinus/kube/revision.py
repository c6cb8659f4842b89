"""What a workload runs, as a short hash; and whether target and primary run the same. Pure.

Flagger's own hashes come from a dump of Go structures and cannot be computed here. Ours open with
the name of their algorithm, so that others are told apart at sight (`is_foreign`) and adopted
(reference 11.5), and a better algorithm one day starts no rollout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from serinus.events.canary import REVISION_PREFIX
from serinus.events.snapshots import Selector
from serinus.kube.configs import references, undo_rename
from serinus.kube.refs import DEFAULT_SELECTOR_LABELS, Obj, is_knative, rewrite_affinity

FLAGGER_ID = "flagger-id"
TOOLKIT = "toolkit.fluxcd.io"
SCALE_TO_ZERO = "flagger.app/scale-to-zero"

# What the API server adds to a Service by itself, and keeps for that one Service.
ADDRESSES = frozenset({"clusterIP", "clusterIPs", "healthCheckNodePort"})
_LENGTH = 10
# Where empty and absent mean different things: an empty selector selects everything.
_EMPTY_MATTERS = frozenset({"labelSelector", "namespaceSelector", "emptyDir"})


def template_hash(template: Obj, *, kind: str = "Deployment") -> str:
    """A short text that changes when the pod template does, and only then.

    Absent, null and empty fields are the same; the order of keys does not matter. For a DaemonSet
    the node selector that parks it does not count.
    """
    canonical = msgspec.json.encode(_canonical(template, kind), order="sorted")
    return REVISION_PREFIX + hashlib.sha256(canonical).hexdigest()[:_LENGTH]


def revised(workload: Obj) -> Obj:
    """What a workload's revision is made of: the pod template.

    A Service has none: its spec, without the addresses that the API server gives it. A Knative
    Service has one.
    """
    spec: Obj = workload.get("spec") or {}
    if workload["kind"] != "Service" or is_knative(workload):
        template: Obj = spec.get("template") or {}
        return template
    return {"spec": {k: v for k, v in spec.items() if k not in ADDRESSES}}


def is_foreign(revision: str) -> bool:
    """Whether a recorded revision is not one of ours: Flagger's, to be adopted."""
    return bool(revision) and not revision.startswith(REVISION_PREFIX)


def same_template(
    target: Obj,
    primary: Obj,
    *,
    name: str,
    selector: Selector,
    selector_labels: Sequence[str] = DEFAULT_SELECTOR_LABELS,
    kind: str = "Deployment",
    placed: Collection[str] = (),
) -> bool:
    """Whether the primary's pod template is the target's once what we change is undone.

    target, primary  pod templates of live objects, so that the API server's defaults are in both
    name             the target's name, which affinity rules are rewritten for
    placed           fields of the pod spec that are the primary's own (spec.primaryPods)
    What we change: -primary suffixes of the configs that the target refers to, the selector
    label's value, `flagger-id`, annotations of the Flux toolkit, anti-affinity and topology spread.
    """
    expected = _pod_spec(target, kind)
    if kind == "Deployment":
        expected = rewrite_affinity(expected, name, selector_labels)
    found = undo_rename(primary, references(target))
    labels = dict(_meta(primary, "labels"))
    if labels.get(selector.key) != f"{selector.value}-primary":
        return False
    labels[selector.key] = selector.value
    given = {k: v for k, v in _pod_spec(found, kind).items() if k not in placed}
    expected = {k: v for k, v in expected.items() if k not in placed}
    theirs = {"labels": labels, "annotations": _own(primary), "spec": given}
    ours = {"labels": _meta(target, "labels"), "annotations": _own(target), "spec": expected}
    return bool(_canonical(theirs, kind) == _canonical(ours, kind))


def unparked(pod_spec: Obj) -> Obj:
    """A DaemonSet's pod spec without the node selector that parks it."""
    nodes = {k: v for k, v in (pod_spec.get("nodeSelector") or {}).items() if k != SCALE_TO_ZERO}
    return {**pod_spec, "nodeSelector": nodes}


def copied_annotations(annotations: Obj, *, drop: Collection[str] = ()) -> dict[str, str]:
    """The annotations that travel to a primary: all but Flux's own, so that Flux leaves it be."""
    return {k: v for k, v in annotations.items() if TOOLKIT not in k and k not in drop}


def _own(template: Obj) -> dict[str, str]:
    return copied_annotations(_meta(template, "annotations"), drop=(FLAGGER_ID,))


def _meta(template: Obj, field: str) -> Obj:
    return (template.get("metadata") or {}).get(field) or {}


def _pod_spec(template: Obj, kind: str) -> Obj:
    spec: Obj = template.get("spec") or {}
    return unparked(spec) if kind == "DaemonSet" else spec


def _canonical(template: Obj, kind: str) -> Any:
    if kind == "DaemonSet" and "spec" in template:
        template = {**template, "spec": _pod_spec(template, kind)}
    return _without_empty(template)


def _without_empty(value: Any) -> Any:
    """The value without null and empty members, but where emptiness says something.

    One pass and few calls: a snapshot of a canary goes through four templates here.
    """
    if isinstance(value, list):
        return [_without_empty(v) if isinstance(v, dict | list) else v for v in value]
    kept = {}
    for key, member in value.items():
        if member is None:
            continue
        if isinstance(member, dict | list):
            pruned = _without_empty(member)
            if pruned or key in _EMPTY_MATTERS:
                kept[key] = pruned
        else:
            kept[key] = member
    return kept
