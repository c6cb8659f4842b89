"""The primary's copies of ConfigMaps and Secrets: `<name>-primary` (reference 3.8). Pure.

A copy holds the data, the binary data and, of a Secret, the type; labels by prefix, no annotations.
A copy that several canaries share keeps all of them as owners; the last to write controls it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from serinus.events import CanaryRef
from serinus.kube.configs import KINDS, SUFFIX
from serinus.kube.refs import Obj, Ref, owner_reference, prefixed
from serinus.router.core.objects import labels_of

CONTENT = ("data", "binaryData", "immutable")
_KIND_OF: Mapping[str, str] = {word: kind for kind, word in KINDS.items()}


def ref_of_key(key: str, namespace: str) -> Ref:
    """`configmap/<name>` as a reference."""
    word, _, name = key.partition("/")
    return Ref("v1", _KIND_OF[word], namespace, name)


def copy_ref(key: str, namespace: str) -> Ref:
    """The primary's copy of `configmap/<name>`."""
    return ref_of_key(f"{key}{SUFFIX}", namespace)


def copy_of(source: Obj, canary: CanaryRef, label_prefixes: Sequence[str]) -> Obj:
    """The copy of a live ConfigMap or Secret, owned by this canary alone."""
    meta = source["metadata"]
    copied: Obj = {
        "apiVersion": "v1",
        "kind": source["kind"],
        "metadata": {
            "name": meta["name"] + SUFFIX,
            "namespace": meta["namespace"],
            "ownerReferences": [owner_reference(canary)],
        },
    }
    labels = prefixed(labels_of(source), label_prefixes)
    if labels:
        copied["metadata"]["labels"] = labels
    copied |= {f: copy.deepcopy(source[f]) for f in CONTENT if f in source}
    if source["kind"] == "Secret":
        copied["type"] = source.get("type", "Opaque")
    return copied


def sole_owner_patch(wanted: Obj) -> list[dict[str, Any]]:
    """A JSON patch that replaces the content of a copy that this canary alone owns.

    The API server refuses it where the copy has other owners too, so that the common case costs
    no read: only a shared copy has to be read before it is written.
    """
    (owner,) = wanted["metadata"]["ownerReferences"]
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/ownerReferences", "value": [owner]},
        {"op": "add", "path": "/metadata/labels", "value": wanted["metadata"].get("labels", {})},
    ]
    fields = CONTENT[:2] if wanted["kind"] == "ConfigMap" else CONTENT[:1]
    operations += [{"op": "add", "path": f"/{f}", "value": wanted.get(f, {})} for f in fields]
    if wanted.get("immutable"):
        operations.append({"op": "add", "path": "/immutable", "value": True})
    return operations


def joined(live: Obj, wanted: Obj, canary: CanaryRef) -> Obj:
    """The copy over the live one: its content replaced, its other owners kept."""
    whole = {k: v for k, v in copy.deepcopy(live).items() if k not in CONTENT}
    whole |= {f: copy.deepcopy(wanted[f]) for f in CONTENT if f in wanted}
    if wanted["kind"] == "Secret":
        whole["type"] = wanted["type"]
    others = [
        {**owner, "controller": False}
        for owner in live["metadata"].get("ownerReferences") or ()
        if owner.get("uid") != canary.uid
    ]
    whole["metadata"]["ownerReferences"] = [*others, *wanted["metadata"]["ownerReferences"]]
    whole["metadata"]["labels"] = dict(wanted["metadata"].get("labels", {}))
    return whole


def must_be_remade(live: Obj, wanted: Obj) -> bool:
    """Whether the API server would not let the copy be changed: immutable, or of another type."""
    same = all(live.get(f) == wanted.get(f) for f in CONTENT)
    immutable = bool(live.get("immutable")) and not same
    return immutable or (wanted["kind"] == "Secret" and live.get("type") != wanted["type"])
