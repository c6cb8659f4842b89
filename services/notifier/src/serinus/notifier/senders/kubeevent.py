"""Kubernetes Events on the Canary: what `kubectl describe canary` tells (reference 2.14).

Pure: which Event to write. A text that is repeated within ten minutes raises the count of the Event
that is there, so every sentence costs one request, and every sentence is written: nothing is
combined or dropped as client-go's correlator does.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from msgspec import Struct

from serinus.events import API_VERSION, Fact
from serinus.kube.refs import Obj, Ref
from serinus.kube.times import rfc3339

COMPONENT = "flagger"
REASON = "Synced"
WINDOW_S = 600.0
MESSAGE_LIMIT = 1024  # what the newer events.k8s.io API allows a note
_NAME_LIMIT = 253


class Key(NamedTuple):
    """What makes two sentences the same one."""

    namespace: str
    name: str
    uid: str
    type: str
    text: str


class Written(Struct, frozen=True):
    """An Event as we left it; `fact_id` is the fact that was written or counted last."""

    ref: Ref
    count: int
    first_at: float
    last_at: float
    fact_id: str


def key_of(fact: Fact) -> Key:
    ref = fact.canary
    return Key(ref.namespace, ref.name, ref.uid, fact.severity, fact.text)


def repeats(written: Written | None, at: float) -> bool:
    """Whether an Event is recent enough to be counted up rather than written anew."""
    return written is not None and at - written.last_at <= WINDOW_S


def new_event(fact: Fact, fact_id: str, uid: str, at: float) -> Obj:
    """The Event of a sentence said for the first time.

    Its name follows from the fact, so writing it twice after a crash meets itself. `uid` is the
    Canary's; without it kubectl does not show the Event with the object. `at` is Unix seconds.
    """
    ref = fact.canary
    digest = hashlib.sha256(fact_id.encode()).hexdigest()[:16]
    stamp = rfc3339(at)
    about: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "Canary",
        "namespace": ref.namespace,
        "name": ref.name,
    }
    if uid:
        about["uid"] = uid
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "namespace": ref.namespace,
            "name": f"{ref.name[: _NAME_LIMIT - 17]}.{digest}",
        },
        "involvedObject": about,
        "reason": REASON,
        "message": cut(fact.text),
        "type": fact.severity,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


def once_more(written: Written, fact_id: str, at: float) -> tuple[dict[str, Any], Written]:
    """The merge patch that counts an Event up, and the Event afterwards."""
    last_at = max(at, written.last_at)
    patch = {"count": written.count + 1, "lastTimestamp": rfc3339(last_at)}
    return patch, Written(written.ref, written.count + 1, written.first_at, last_at, fact_id)


def cut(text: str) -> str:
    """The text, shortened to what an Event may hold."""
    if len(text) <= MESSAGE_LIMIT:
        return text
    return text[: MESSAGE_LIMIT - 3] + "..."
