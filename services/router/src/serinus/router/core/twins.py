"""What the autoscalers of primaries have in common, whatever their kind (reference 3.9). Pure."""

from __future__ import annotations

from collections.abc import Collection

from serinus.events import CanaryRef
from serinus.kube.refs import Obj, owner_reference
from serinus.kube.revision import copied_annotations
from serinus.router.core.objects import LAST_APPLIED, annotations_of, labels_of


def twin(
    source: Obj,
    spec: Obj,
    canary: CanaryRef,
    drop: Collection[str] = (),
    suffix: str = "-primary",
) -> Obj:
    """A new object for the primary, or a stand-in, beside the target's own. `drop` as in
    `metadata`."""
    meta = source["metadata"]
    return {
        "apiVersion": source["apiVersion"],
        "kind": source["kind"],
        "metadata": {
            "name": f"{meta['name']}{suffix}",
            "namespace": meta["namespace"],
            **metadata(source, drop),
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": spec,
    }


def metadata(source: Obj, drop: Collection[str] = ()) -> Obj:
    """The labels and annotations that are copied, where there are any.

    drop  annotations that are about the target's object alone, besides kubectl's
    """
    annotations = copied_annotations(annotations_of(source), drop=(LAST_APPLIED, *drop))
    found = {"labels": copied_annotations(labels_of(source)), "annotations": annotations}
    return {k: v for k, v in found.items() if v}
