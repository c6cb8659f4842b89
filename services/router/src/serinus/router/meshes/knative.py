"""Knative: the target itself splits between its newest revision and the live one (reference 4.14).

Nothing is made. `spec.traffic` of the Knative Service is ours as a whole, and an annotation names
the revision that is live: the primary. A new revision gets nothing until it is given a share.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import msgspec

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj, Ref
from serinus.router.core.objects import (
    LIVE_REVISION,
    ORIGINAL,
    PROMOTED_CONFIGS,
    PROMOTED_REVISION,
    Gone,
    Live,
    NotYet,
    Refusal,
    annotations_of,
)
from serinus.router.core.reported import not_taken
from serinus.router.core.routes import seen

API_VERSION = "serving.knative.dev/v1"
KIND = "Service"
OURS = (ORIGINAL, LIVE_REVISION, PROMOTED_REVISION, PROMOTED_CONFIGS)


def needs(exposure: Exposure) -> Sequence[Ref]:
    """The Knative Service."""
    return (_ref(exposure),)


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """The Knative Service with both shares. Raises Refusal where it has no revision yet."""
    ref = _ref(exposure)
    found = live.get(ref)
    if found is None:
        text = f"knative service {ref.name}.{ref.namespace}"
        raise Refusal("", f'{text} get query error: "{ref.name}" not found')
    primary = live_revision(found)
    if not primary:
        raise Refusal("", f"knative service {ref.name}.{ref.namespace} has no revision yet")
    whole = copy.deepcopy(found)
    annotations = whole["metadata"].setdefault("annotations", {})
    if LIVE_REVISION not in annotations:
        before = {"traffic": (found.get("spec") or {}).get("traffic")}
        annotations[ORIGINAL] = msgspec.json.encode(before).decode()
    annotations[LIVE_REVISION] = primary
    whole.setdefault("spec", {})["traffic"] = [
        {"latestRevision": True, "percent": routes.canary},
        {"revisionName": primary, "percent": routes.primary},
    ]
    return (whole,)


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """The shares of the manifest; NotYet until Knative reports the same of this generation."""
    ref = _ref(exposure)
    found = live.get(ref)
    if found is None:
        return NotYet(f"{ref} does not exist yet")
    wanted = _shares((found.get("spec") or {}).get("traffic"), live_revision(found))
    if wanted is None:
        return NotYet(f"{ref} does not split between the newest and the live revision yet")
    now = seen(routes, primary=wanted[0], canary=wanted[1])
    reported = (found.get("status") or {}).get("traffic")
    why = not_taken(found, types=("RoutesReady",))
    if not why and reported is not None and _shares(reported, live_revision(found)) != wanted:
        why = f"{ref} has not taken its traffic yet"
    return NotYet(why, now) if why else now


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """The traffic that was there before us, the newest revision where nothing was said."""
    found = live.get(_ref(exposure))
    if found is None or LIVE_REVISION not in annotations_of(found):
        return ()
    whole = copy.deepcopy(found)
    annotations = annotations_of(found)
    before = _before(annotations.get(ORIGINAL, "{}"))
    spec = whole.setdefault("spec", {})
    spec.pop("traffic", None)
    if before is not None:
        spec["traffic"] = before
    whole["metadata"]["annotations"] = {k: v for k, v in annotations.items() if k not in OURS}
    if not whole["metadata"]["annotations"]:
        del whole["metadata"]["annotations"]
    return (whole,)


def _before(note: str) -> Any:
    """The traffic that was noted; None where there was none, or somebody edited the note."""
    try:
        return msgspec.json.decode(note, type=dict[str, Any]).get("traffic")
    except msgspec.MsgspecError:
        return None


def live_revision(service: Obj) -> str:
    """The revision that is the primary; before there is one, the newest."""
    newest: str = (service.get("status") or {}).get("latestCreatedRevisionName", "")
    return annotations_of(service).get(LIVE_REVISION) or newest


def _ref(exposure: Exposure) -> Ref:
    return Ref(API_VERSION, KIND, exposure.namespace, exposure.name)


def _shares(traffic: Sequence[Obj] | None, primary: str) -> tuple[int, int] | None:
    """Percent of the live and of the newest revision; None where one of them is not named."""
    newest = [one.get("percent") or 0 for one in traffic or () if one.get("latestRevision")]
    live = [
        one.get("percent") or 0
        for one in traffic or ()
        if not one.get("latestRevision") and one.get("revisionName") == primary
    ]
    return (sum(live), sum(newest)) if newest and live else None
