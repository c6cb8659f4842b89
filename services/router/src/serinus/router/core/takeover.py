"""Route objects that the user made: what they were is kept in the object, and given back.

When a route object that belongs to no controller is changed for the first time, an annotation
remembers its spec and those labels and annotations that we put something else over. Releasing
makes it again what it was, later edits of fields that we never touched included.

One that Flagger took over before us has its original where Flagger puts it (reference 4.3).
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from serinus.kube.refs import Obj, controller_of
from serinus.router.core.objects import (
    KEEP_FLUX_AWAY,
    LAST_APPLIED,
    ORIGINAL,
    annotations_of,
    labels_of,
)

FLAGGER_ORIGINAL = "flagger.kubernetes.io/original-configuration"


def remembering(live: Obj | None, rendered: Obj, *, for_flagger: bool = False) -> Obj:
    """`rendered`, with what `live` was noted in it if `live` is the user's and not noted yet.

    for_flagger  note the spec where Flagger looks for it, too, so that users can switch back
    """
    if live is None or controller_of(live) is not None:
        return rendered
    notes = annotations_of(live)
    if ORIGINAL in notes or live == rendered:
        return rendered
    whole = copy.deepcopy(rendered)
    annotations = whole["metadata"].setdefault("annotations", {})
    if for_flagger and FLAGGER_ORIGINAL not in notes and LAST_APPLIED not in notes:
        annotations[FLAGGER_ORIGINAL] = _json(live.get("spec"))
    theirs = _before_flagger(live) or live
    original = {
        "labels": _replaced(labels_of(theirs), labels_of(rendered)),
        "annotations": _replaced(annotations_of(theirs), annotations),
        "spec": theirs.get("spec"),
    }
    annotations[ORIGINAL] = _json(original)
    return whole


def notes_of(obj: Obj) -> dict[str, str]:
    """The annotations that say what an object was."""
    return {k: v for k, v in annotations_of(obj).items() if k in (ORIGINAL, FLAGGER_ORIGINAL)}


def original_of(live: Obj) -> Obj | None:
    """The object as its user had it; None where nothing is remembered in it."""
    note = annotations_of(live).get(ORIGINAL)
    if note is None:
        return _before_flagger(live) if controller_of(live) is None else None
    try:
        original = msgspec.json.decode(note, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None  # somebody edited it
    whole = copy.deepcopy(live)
    del whole["metadata"]["annotations"][ORIGINAL]
    for field in ("labels", "annotations"):
        _put_back(whole["metadata"], field, original.get(field) or {})
    if original.get("spec") is None:
        whole.pop("spec", None)
    else:
        whole["spec"] = original["spec"]
    return whole


def _before_flagger(live: Obj) -> Obj | None:
    """What Flagger would restore; None where it never took the object over.

    It notes the spec, unless kubectl has done that already; labels and annotations are lost.
    """
    notes = annotations_of(live)
    try:
        if FLAGGER_ORIGINAL in notes:
            spec = msgspec.json.decode(notes[FLAGGER_ORIGINAL], type=dict[str, Any])
        elif LAST_APPLIED in notes and notes.items() >= KEEP_FLUX_AWAY.items():
            spec = msgspec.json.decode(notes[LAST_APPLIED], type=dict[str, Any])["spec"]
        else:
            return None
    except (msgspec.MsgspecError, KeyError):
        return None
    whole = copy.deepcopy(live)
    _put_back(whole["metadata"], "annotations", dict.fromkeys((FLAGGER_ORIGINAL, *KEEP_FLUX_AWAY)))
    return {**whole, "spec": spec}


def _put_back(meta: Obj, field: str, values: dict[str, str | None]) -> None:
    found = {**meta.get(field, {}), **values}
    meta[field] = {k: v for k, v in found.items() if v is not None}
    if not meta[field]:
        del meta[field]


def _replaced(before: dict[str, str], after: dict[str, str]) -> dict[str, str | None]:
    """What stood where we put something: the old value, or None where there was none."""
    return {k: before.get(k) for k, v in after.items() if before.get(k) != v}


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
