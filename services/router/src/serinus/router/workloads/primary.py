"""What every kind of workload has in common: the primary's metadata and pod template.

All pure. A primary's pod template is the target's, exactly, but for the selector label, the copies
of tracked configs, anti-affinity, and an id that makes a promotion a rollout even where only a
config changed (reference 3.2, 3.3).
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from serinus.events import CanaryRef, Selector
from serinus.events.canary import Placement, placed_fields
from serinus.kube.configs import rename
from serinus.kube.refs import (
    DEFAULT_SELECTOR_LABELS,
    Obj,
    owner_reference,
    prefixed,
    rewrite_affinity,
)
from serinus.kube.revision import FLAGGER_ID, copied_annotations
from serinus.router.core.objects import (
    AUTOSCALER,
    PROMOTED_CONFIGS,
    PROMOTED_REVISION,
    STALE_CONFIGS,
    annotations_of,
    labels_of,
)

SUFFIX = "-primary"


class Making(Struct, frozen=True, kw_only=True):
    """What a primary is made from, besides its target.

    selector         None: the kind has no pods
    revision         hash of the target's pod template
    configs          checksums of the configs that have copies, by `configmap/<name>`
    label_prefixes   of labels and annotations that are copied to the primary; `*`: all
    autoscaler       `<kind>/<name>` of the one whose copy sets the number of replicas; "": none
    least            it is this at least
    placement        where its pods run, if not where the manifest says
    """

    canary: CanaryRef
    selector: Selector | None = None
    revision: str
    configs: Mapping[str, str] = {}
    label_prefixes: Sequence[str] = ()
    selector_labels: Sequence[str] = DEFAULT_SELECTOR_LABELS
    autoscaler: str = ""
    least: int = 0
    placement: Placement | None = None


def selects_primary(selector: Selector | None) -> dict[str, str]:
    """The one label that primary pods have and canary pods do not."""
    assert selector is not None
    return {selector.key: f"{selector.value}{SUFFIX}"}


def flagger_id(making: Making) -> str:
    """A UUID for the pod template: another one for every revision and every set of configs.

    Derived from what is promoted, so that promoting twice is promoting once.
    """
    what = f"{making.canary.uid}/{making.revision}/{configs_text(making.configs)}"
    return str(uuid.UUID(bytes=hashlib.sha256(what.encode()).digest()[:16], version=4))


def configs_text(configs: Mapping[str, str]) -> str:
    """Checksums as the text of an annotation: equal for equal configs."""
    return msgspec.json.encode(dict(configs), order="sorted").decode()


def promoted_configs(primary: Obj) -> dict[str, str] | None:
    """The checksums that the primary was last given; None where that is not known."""
    text = annotations_of(primary).get(PROMOTED_CONFIGS)
    try:
        return msgspec.json.decode(text, type=dict[str, str]) if text is not None else None
    except msgspec.MsgspecError:
        return None


def stale_configs(primary: Obj) -> tuple[str, ...]:
    """Keys of configs whose copies the primary uses no more; `configmap/<name>`, sorted."""
    text = annotations_of(primary).get(STALE_CONFIGS, "")
    return tuple(text.split()) if text else ()


def pruned(primary: Obj) -> Obj:
    """The primary without the note of what it once used."""
    whole = copy.deepcopy(primary)
    whole["metadata"]["annotations"].pop(STALE_CONFIGS, None)
    return whole


def _stale_note(primary: Obj, making: Making) -> dict[str, str]:
    before = {*stale_configs(primary), *(promoted_configs(primary) or {})}
    stale = sorted(before - making.configs.keys())
    return {STALE_CONFIGS: " ".join(stale)} if stale else {}


def promoted_note(making: Making) -> dict[str, str]:
    """The annotations by which the primary remembers what it was given."""
    scaled = {AUTOSCALER: making.autoscaler} if making.autoscaler else {}
    return {
        PROMOTED_REVISION: making.revision,
        PROMOTED_CONFIGS: configs_text(making.configs),
        **scaled,
    }


def template(target: Obj, making: Making) -> Obj:
    """The primary's pod template."""
    theirs = target["spec"]["template"]
    meta = theirs.get("metadata") or {}
    annotations = copied_annotations(meta.get("annotations") or {})
    pods = {**rename(theirs, making.configs.keys())["spec"], **placed(making.placement)}
    return {
        "metadata": {
            "labels": {**(meta.get("labels") or {}), **selects_primary(making.selector)},
            "annotations": {**annotations, FLAGGER_ID: flagger_id(making)},
        },
        "spec": pods,
    }


def placed(placement: Placement | None) -> Obj:
    """The fields of a pod spec that say where the primary's pods run."""
    if placement is None:
        return {}
    fields: Obj = msgspec.json.decode(msgspec.json.encode(placement))
    kept = {name: fields.get(name) or empty for name, empty in _EMPTY.items()}
    return {name: kept[name] for name in placed_fields(placement)}


_EMPTY: Mapping[str, object] = {"nodeSelector": {}, "tolerations": []}


def spread(pod_spec: Obj, target: Obj, making: Making) -> Obj:
    """The pod spec with anti-affinity and topology spread at the primary's own pods."""
    return rewrite_affinity(pod_spec, target["metadata"]["name"], making.selector_labels)


def created(target: Obj, making: Making, spec: Obj) -> Obj:
    """A new primary. It starts with all of the target's annotations (reference 3.3)."""
    meta = target["metadata"]
    labels = prefixed(labels_of(target), making.label_prefixes)
    return {
        "apiVersion": target["apiVersion"],
        "kind": target["kind"],
        "metadata": {
            "name": meta["name"] + SUFFIX,
            "namespace": meta["namespace"],
            "labels": {**labels, **selects_primary(making.selector)},
            "annotations": {
                **copied_annotations(annotations_of(target)),
                **promoted_note(making),
            },
            "ownerReferences": [owner_reference(making.canary)],
        },
        "spec": {"selector": {"matchLabels": selects_primary(making.selector)}, **spec},
    }


def promoted(primary: Obj, target: Obj, making: Making, spec: Mapping[str, object]) -> Obj:
    """The primary with `spec` in place of those fields, and its metadata made again.

    Labels and annotations that once came from the target go, unless a prefix keeps them; those
    that somebody else put on the primary stay.
    """
    whole = copy.deepcopy(primary)
    meta = whole["metadata"]
    kept = prefixed(labels_of(target), making.label_prefixes)
    meta["labels"] = {
        **_not_from(labels_of(primary), labels_of(target)),
        **kept,
        **selects_primary(making.selector),
    }
    theirs = _not_from(annotations_of(primary), annotations_of(target))
    theirs.pop(STALE_CONFIGS, None)
    meta["annotations"] = {
        **theirs,
        **prefixed(copied_annotations(annotations_of(target)), making.label_prefixes),
        **promoted_note(making),
        **_stale_note(primary, making),
    }
    for field, value in spec.items():
        if value is None:
            whole["spec"].pop(field, None)
        else:
            whole["spec"][field] = value
    return whole


def adopted(primary: Obj, making: Making, *, configs_known: bool) -> Obj:
    """A primary that somebody else promoted, with nothing but our note on it."""
    note = promoted_note(making)
    if not configs_known:
        del note[PROMOTED_CONFIGS]
    whole = copy.deepcopy(primary)
    whole["metadata"]["annotations"] = {**annotations_of(primary), **note}
    return whole


# Kept by controllers on every object of the kind; never a copy of the target's.
_CONTROLLERS = frozenset(
    {"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}
)


def _not_from(mine: Mapping[str, str], targets: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in mine.items() if k not in targets or k in _CONTROLLERS}
