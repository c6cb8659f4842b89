"""Bytes and headers: JSON bodies, CloudEvents attributes, ids derived from content.

JSON, because a shell script with `nats sub` must be able to take part. Unknown fields are skipped,
so a newer publisher does not stop an older subscriber.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from serinus.events.facts import Fact, Parked
from serinus.events.snapshots import CanaryObserved
from serinus.events.subjects import BY_TYPE, TABLE, subject_of

SOURCE = "serinus"
MSG_ID = "Nats-Msg-Id"
CAUSE = "serinus-cause"
SCHEMAS = "https://serinus.dev/schema/"
"""What names of schemas begin with; CloudEvents wants them absolute. Nothing is fetched there."""

_encoder = msgspec.json.Encoder(order="deterministic")
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    row.tag: msgspec.json.Decoder(row.message) for row in TABLE
}


class _Tagged(msgspec.Struct, frozen=True):
    type: str = ""


_tag = msgspec.json.Decoder(_Tagged)


class Undecodable(ValueError):
    """These bytes are not a message of ours: foreign, damaged or of an unknown version."""


def encode(message: Any) -> bytes:
    """The message's body."""
    return _encoder.encode(message)


def decode(data: bytes) -> Any:
    """The message in `data`. Raises Undecodable with the reason."""
    try:
        tag = _tag.decode(data).type
    except msgspec.MsgspecError as error:
        raise Undecodable(f"not a message: {error}") from None
    decoder = _decoders.get(tag)
    if decoder is None:
        raise Undecodable(f"unknown message type {tag!r}")
    try:
        return decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise Undecodable(f"{tag}: {error}") from None


def message_id(message: Any) -> str:
    """An id that is equal for equal news, so that a repeat is recognised.

    Facts carry their own. Of snapshots the composing resourceVersions are part of the content, of
    intents the status version, so that a state seen again later is news again.
    """
    if isinstance(message, Fact) and message.id:
        return message.id
    if isinstance(message, CanaryObserved):
        message = msgspec.structs.replace(message, at=0.0)
    tag = str(type(message).__struct_config__.tag)
    return f"{tag}:{hashlib.sha256(_encoder.encode(message)).hexdigest()[:32]}"


def headers(
    message: Any, *, at: str, cause: str = "", trace: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Headers of a message: CloudEvents 1.0 attributes, the JetStream id, the W3C trace context.

    at     RFC 3339 time of publishing
    cause  id of the message that led to this one
    """
    found = {
        MSG_ID: message_id(message),
        "ce-specversion": "1.0",
        "ce-id": message_id(message),
        "ce-type": f"dev.serinus.{type(message).__struct_config__.tag}",
        "ce-time": at,
        "Content-Type": "application/json",
        **(trace or {}),
    }
    row = BY_TYPE.get(type(message))
    if row is not None:
        found["ce-source"] = f"/{SOURCE}/{row.publisher}"
        found["ce-subject"] = subject_of(message)
        found["ce-dataschema"] = f"{SCHEMAS}{row.tag}.json"
    elif isinstance(message, Parked):
        found["ce-source"] = f"/{SOURCE}/{message.service}"
    if cause:
        found[CAUSE] = cause
    return found


def is_last_value(message: Any) -> bool:
    """Whether a newer message of this kind makes this one worthless."""
    return not isinstance(message, Fact | Parked)
