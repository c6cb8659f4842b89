"""The stand-in: the target's pods on the nodes that the Canary names. Pure.

Its pod template is the target's but for where pods run, and one label more: selectors of the two
workloads never take each other's pods, while Services, policies and monitors that know the canary
by the target's labels know these pods, too.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from serinus.events import CanaryRef
from serinus.events.canary import Placement
from serinus.kube.refs import Obj, owner_reference
from serinus.kube.standin import ROLE, RUNS, SUFFIX
from serinus.router.core.objects import annotations_of
from serinus.router.workloads.primary import placed

# The target's own; all else of its spec is copied. One that is paused would never begin.
_OWN = frozenset({"template", "selector", "paused"})


def created(
    running: Obj,
    *,
    canary: CanaryRef,
    placement: Placement | None,
    revision: str,
    labels: Mapping[str, str],
) -> Obj:
    """A new stand-in.

    running   the target as it would be if it ran the canary itself
    revision  the target's
    labels    its own besides the role
    """
    meta, spec = running["metadata"], running["spec"]
    matches = {**(spec["selector"].get("matchLabels") or {}), **ROLE}
    return {
        "apiVersion": running["apiVersion"],
        "kind": running["kind"],
        "metadata": {
            "name": meta["name"] + SUFFIX,
            "namespace": meta["namespace"],
            "labels": {**labels, **ROLE},
            "annotations": {RUNS: revision},
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": {
            **copy.deepcopy({k: v for k, v in spec.items() if k not in _OWN}),
            "selector": {**copy.deepcopy(spec["selector"]), "matchLabels": matches},
            "template": _template(running, placement),
        },
    }


def renewed(live: Obj, running: Obj, *, placement: Placement | None, revision: str) -> Obj:
    """The stand-in with the target's pod template of now; its size stays."""
    whole = copy.deepcopy(live)
    whole["metadata"]["annotations"] = {**annotations_of(live), RUNS: revision}
    whole["spec"]["template"] = _template(running, placement)
    return whole


def _template(running: Obj, placement: Placement | None) -> Obj:
    template: Obj = copy.deepcopy(running["spec"]["template"])
    meta = template.setdefault("metadata", {})
    meta["labels"] = {**(meta.get("labels") or {}), **ROLE}
    template["spec"] = {**template["spec"], **placed(placement)}
    return template
