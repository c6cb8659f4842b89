"""Route objects that the user made: what they were is kept in the object, and given back.

When a route object that belongs to no controller is changed for the first time, an annotation
remembers its spec and those labels and annotations that we put something else over. Releasing
makes it again what it was, later edits of fields that we never touched included.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from serinus.kube.refs import Obj, controller_of
from serinus.router.core.objects import ORIGINAL, annotations_of, labels_of


def remembering(live: Obj | None, rendered: Obj) -> Obj:
    """`rendered`, with what `live` was noted in it if `live` is the user's and not noted yet."""
    if live is None or controller_of(live) is not None:
        return rendered
    if ORIGINAL in annotations_of(live) or live == rendered:
        return rendered
    original = {
        "labels": _replaced(labels_of(live), labels_of(rendered)),
        "annotations": _replaced(annotations_of(live), annotations_of(rendered)),
        "spec": live.get("spec"),
    }
    whole = copy.deepcopy(rendered)
    note = msgspec.json.encode(original, order="sorted").decode()
    whole["metadata"].setdefault("annotations", {})[ORIGINAL] = note
    return whole


def original_of(live: Obj) -> Obj | None:
    """The object as its user had it; None where nothing is remembered in it."""
    note = annotations_of(live).get(ORIGINAL)
    if note is None:
        return None
    original: dict[str, Any] = msgspec.json.decode(note)
    whole = copy.deepcopy(live)
    meta = whole["metadata"]
    del meta["annotations"][ORIGINAL]
    for field in ("labels", "annotations"):
        values = meta.get(field, {})
        for key, value in original[field].items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        if not values:
            meta.pop(field, None)
    if original["spec"] is None:
        whole.pop("spec", None)
    else:
        whole["spec"] = original["spec"]
    return whole


def _replaced(before: dict[str, str], after: dict[str, str]) -> dict[str, str | None]:
    """What stood where we put something: the old value, or None where there was none."""
    return {k: before.get(k) for k, v in after.items() if before.get(k) != v}
