"""Live objects as values: lookup, ownership, and the difference between two states of an object.

Nothing here knows a mesh or a kind of workload. Objects are plain dicts and are never changed in
place: whoever wants another state makes a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from serinus.events import CanaryRef, Exposure, Routes
from serinus.kube.refs import Obj, Ref, controller_of

MANAGER = "serinus-router"
PROMOTED_REVISION = "serinus.dev/promoted-revision"
PROMOTED_CONFIGS = "serinus.dev/promoted-configs"
STALE_CONFIGS = "serinus.dev/stale-configs"
# Of a primary: the autoscaler that its own was made from, as `<kind>/<name>`.
AUTOSCALER = "serinus.dev/autoscaler"
# Of a Knative Service: which of its revisions is the primary (reference 3.10).
LIVE_REVISION = "flagger.app/primary-revision"
ORIGINAL = "serinus.dev/original"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Flux would otherwise put generated objects back to what the repository says (reference 3.6).
KEEP_FLUX_AWAY = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}


class Refusal(Exception):
    """This intent will not be carried out while it and the objects in its way stay as they are.

    reason  a reason word of IntentRefused
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class Live:
    """Objects as they are, by reference."""

    def __init__(self, objects: Mapping[Ref, Obj] | None = None) -> None:
        self._objects = dict(objects or {})

    def get(self, ref: Ref) -> Obj | None:
        return self._objects.get(ref)

    def with_(self, ref: Ref, obj: Obj | None) -> Live:
        """The same but for one object; None removes it."""
        objects = {**self._objects}
        if obj is None:
            objects.pop(ref, None)
        else:
            objects[ref] = obj
        return Live(objects)

    def without(self, refs: Collection[Ref]) -> Live:
        """The same but for these objects."""
        return Live({ref: obj for ref, obj in self._objects.items() if ref not in refs})


class NotYet(Struct, frozen=True):
    """The routes cannot be relied on yet: `why` for people, and what they say where they exist."""

    why: str
    routes: Routes | None = None


class Gone(Struct, frozen=True):
    """This object shall not exist.

    shadows  it lies over something of the user's that serves again without it, or nothing would
             collect it: deleted before the Canary goes. Others route until the very end and are
             left to garbage collection
    """

    ref: Ref
    shadows: bool = False


def in_the_way(obj: Obj, canary: CanaryRef) -> str:
    """Whom an object belongs to if that is somebody else, "" if it may be used."""
    owner = controller_of(obj)
    if owner is None or owner.get("uid") == canary.uid:
        return ""
    return f"{owner.get('kind', '?')} {owner.get('name', '?')}"


def is_leftover(obj: Obj, canary: CanaryRef) -> bool:
    """Whether an object belongs to an earlier Canary of the same name and will be collected."""
    owner = controller_of(obj)
    return (
        owner is not None
        and owner.get("kind") == "Canary"
        and owner.get("name") == canary.name
        and owner.get("uid") != canary.uid
    )


def labels_of(obj: Obj) -> dict[str, str]:
    return dict(obj["metadata"].get("labels") or {})


def annotations_of(obj: Obj) -> dict[str, str]:
    return dict(obj["metadata"].get("annotations") or {})


def apex_metadata(exposure: Exposure) -> Obj:
    """Labels and annotations of the main route object (reference 4.2).

    The selector's label is there only when the manifest has `service.apex` (reference 3.6).
    """
    extra = exposure.service.apex if exposure.service else None
    labels: dict[str, str] = {}
    if extra is not None:
        labels = dict(extra.labels)
        if exposure.selector is not None:
            labels[exposure.selector.key] = exposure.name
    annotations = {**(extra.annotations if extra else {}), **KEEP_FLUX_AWAY}
    found: Obj = {"annotations": annotations}
    if labels:
        found["labels"] = labels
    return found


def overlaid(live: Obj | None, ours: Obj) -> Obj:
    """`live` with our fields put over it: maps are joined, everything else is replaced."""
    if live is None:
        return copy.deepcopy(ours)
    whole = copy.deepcopy(live)
    _overlay(whole, ours)
    return whole


def _overlay(whole: dict[str, Any], ours: Mapping[str, Any]) -> None:
    for key, value in ours.items():
        if isinstance(value, dict) and isinstance(whole.get(key), dict):
            _overlay(whole[key], value)
        else:
            whole[key] = copy.deepcopy(value)


def merge_patch(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that turns `live` into `wanted`; {} when they are equal."""
    patch: dict[str, Any] = {}
    for key, value in wanted.items():
        if key not in live:
            patch[key] = copy.deepcopy(value)
        elif isinstance(value, dict) and isinstance(live[key], dict):
            inner = merge_patch(live[key], value)
            if inner:
                patch[key] = inner
        elif value != live[key]:
            patch[key] = copy.deepcopy(value)
    for key in live.keys() - wanted.keys():
        patch[key] = None
    return patch
