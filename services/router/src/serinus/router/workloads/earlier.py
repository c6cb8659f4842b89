"""What a primary ran before, as the controllers of its kind keep it. Pure.

ReplicaSets and ControllerRevisions hold pod templates of primaries; what made them a primary's is
undone here, so that their hash tells which revision of the target they were.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence

from serinus.events import Selector
from serinus.kube.configs import undo_rename
from serinus.kube.refs import Obj, restore_affinity
from serinus.kube.revision import FLAGGER_ID

# Of the Deployment controller, on the templates that it keeps.
TEMPLATE_HASH = "pod-template-hash"


def target(
    now: Obj,
    kept: Obj,
    selector: Selector,
    configs: Collection[str],
    selector_labels: Sequence[str],
    placed: Collection[str] = (),
) -> Obj:
    """The target as it was when `kept` was made of it, with nothing to say about its size.

    now      the target as it is
    kept     a ReplicaSet or ControllerRevision of the primary
    configs  that had copies, by `configmap/<name>`
    placed   fields of the pod spec that are the primary's own: they are taken for the target's now
    """
    template = undo_rename(_template(kept), configs)
    meta = template["metadata"]
    labels = {k: v for k, v in (meta.get("labels") or {}).items() if k != TEMPLATE_HASH}
    meta["labels"] = {**labels, selector.key: selector.value}
    notes = meta.get("annotations") or {}
    meta["annotations"] = {k: v for k, v in notes.items() if k != FLAGGER_ID}
    template["spec"] = with_fields_of(now["spec"]["template"]["spec"], template["spec"], placed)
    whole = copy.deepcopy(now)
    whole["spec"]["template"] = template
    if now["kind"] == "Deployment":
        name = now["metadata"]["name"]
        template["spec"] = restore_affinity(template["spec"], name, selector_labels)
        whole["spec"]["replicas"] = 0
    return whole


def with_fields_of(now: Obj, pods: Obj, placed: Collection[str]) -> Obj:
    """A pod spec with these fields as they are in another one, missing ones included."""
    kept = {field: value for field, value in pods.items() if field not in placed}
    return kept | {field: now[field] for field in placed if field in now}


def _template(kept: Obj) -> Obj:
    spec: Obj = (kept.get("data") or kept)["spec"]
    return {k: v for k, v in spec["template"].items() if k != "$patch"}
