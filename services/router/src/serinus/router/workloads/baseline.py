"""The baseline: pods of the primary's revision, as young and as many as the canary's.

An old process is not like a young one: caches are warm, connections are open, memory has grown. A
judge that compares the canary with pods of its own age sees what the new revision does and not what
starting does.

Where its requests come from: the pods carry the primary's selector label, so they are among the
endpoints of S-primary and get their share of the primary's requests, pod by pod. No route names
them, and no mesh has to know of them. Metrics that tell workloads or pods apart know them by their
name. A label of their own keeps the two Deployments' selectors apart; pods are owned, so that the
primary's ReplicaSets never adopt them.

How they go: a Deployment that is deleted takes its pods out of the endpoints at once and ends them
at the same time, while proxies still follow. So containers without a preStop hook of their own get
one that waits for as long as proxies take (the sleep action, Kubernetes 1.30).

Pure.
"""

from __future__ import annotations

import copy
import hashlib
import math

import msgspec

from serinus.events import CanaryRef, Selector
from serinus.kube.refs import Obj, owner_reference
from serinus.router.core.objects import annotations_of
from serinus.router.workloads.deployment import COPIED, with_replicas
from serinus.router.workloads.primary import selects_primary

SUFFIX = "-baseline"
ROLE = {"serinus.dev/role": "baseline"}
RUNS = "serinus.dev/baseline-of"
GRACE_S = 30
"""What Kubernetes gives a pod to end where nothing is said."""


def wanted(
    primary: Obj,
    live: Obj | None,
    *,
    canary: CanaryRef,
    selector: Selector,
    revision: str,
    replicas: int,
    linger_s: float,
) -> Obj:
    """The whole baseline as it shall be; equal to `live` when nothing is to be done.

    revision  of the canary: with another one the baseline starts anew, to be as young
    linger_s  for how long its pods serve on when they are to end
    """
    template = _template(primary, linger_s)
    runs = _digest(template, revision)
    if live is None:
        return _created(primary, template, runs, canary, selector, replicas)
    whole = with_replicas(live, replicas)
    if annotations_of(live).get(RUNS) != runs:
        whole["metadata"]["annotations"] = {**annotations_of(live), RUNS: runs}
        whole["spec"]["template"] = _aged(template, runs)
    return whole


def _template(primary: Obj, linger_s: float) -> Obj:
    """The primary's pod template with our label, and time for its pods to go."""
    template: Obj = copy.deepcopy(primary["spec"]["template"])
    meta = template.setdefault("metadata", {})
    meta["labels"] = {**(meta.get("labels") or {}), **ROLE}
    seconds = math.ceil(linger_s)
    if seconds > 0:
        pods = template["spec"]
        grace_s = pods.get("terminationGracePeriodSeconds")
        pods["terminationGracePeriodSeconds"] = seconds + (GRACE_S if grace_s is None else grace_s)
        for container in pods.get("containers") or ():
            lifecycle = container.setdefault("lifecycle", {})
            lifecycle.setdefault("preStop", {"sleep": {"seconds": seconds}})
    return template


def _digest(template: Obj, revision: str) -> str:
    text = msgspec.json.encode(template, order="sorted") + revision.encode()
    return hashlib.sha256(text).hexdigest()[:16]


def _aged(template: Obj, runs: str) -> Obj:
    """The template with a note, so that pods are made anew for every canary."""
    meta = template["metadata"]
    meta["annotations"] = {**(meta.get("annotations") or {}), RUNS: runs}
    return template


def _created(
    primary: Obj,
    template: Obj,
    runs: str,
    canary: CanaryRef,
    selector: Selector,
    replicas: int,
) -> Obj:
    meta, spec = primary["metadata"], primary["spec"]
    return {
        "apiVersion": primary["apiVersion"],
        "kind": primary["kind"],
        "metadata": {
            "name": meta["name"].removesuffix("-primary") + SUFFIX,
            "namespace": meta["namespace"],
            "labels": {**selects_primary(selector), **ROLE},
            "annotations": {RUNS: runs},
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": {
            **{f: copy.deepcopy(spec[f]) for f in COPIED if spec.get(f) is not None},
            "replicas": replicas,
            "selector": {"matchLabels": {**selects_primary(selector), **ROLE}},
            "template": _aged(template, runs),
        },
    }
