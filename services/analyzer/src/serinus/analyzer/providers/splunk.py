"""Splunk Observability: a SignalFlow program over a websocket (reference 5.5).

Secret key: `sf_token_key`. The address is that of the API, e.g. https://api.us1.signalfx.com; the
stream's follows from it. The vendor's Python client has rested since 2022 and needs threads, so
the dialogue is here: dev.splunk.com, "SignalFlow WebSocket messages".
"""

from __future__ import annotations

import re
import struct
from typing import Any

import msgspec

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Misread,
    Question,
    Source,
    address,
    credential,
    first_line,
    get,
    number,
    online,
    told,
)
from serinus.runtime.http import Dialogue, Frame, Http

CHANNEL = "serinus"
_HEADER = struct.Struct("!BBxx16s")
_DATA_BATCH = 5
_TIMES = {1: struct.Struct("!q"), 2: struct.Struct("!qq")}
_POINT = struct.Struct("!B8s8s")
_DOUBLE = 2


class Splunk:
    """One organisation in one realm."""

    def __init__(self, source: Source, http: Http) -> None:
        self._source = source
        self._http = http

    async def value(self, question: Question) -> Reading:
        return await told(self._value(question))

    async def probe(self, at: float) -> Reading:
        return await told(self._probe())

    async def _value(self, question: Question) -> Reading:
        (token,) = credential(self._source, "sf_token_key")
        stream = re.sub(r"^http", "ws", address(self._source)).replace("://api.", "://stream.", 1)
        request = get(self._source, f"{stream}/v2/signalflow")
        return await self._http.converse(request, dialogue(token, question))

    async def _probe(self) -> Reading:
        (token,) = credential(self._source, "sf_token_key")
        url = f"{address(self._source)}/v2/metric?limit=1"
        return online(await self._http.send(get(self._source, url, {"X-SF-Token": token})))


def dialogue(token: str, question: Question) -> Dialogue[Reading]:
    """Says who we are, asks, and listens until the channel ends."""
    frame = yield (_said(type="authenticate", token=token),)
    while (message := _heard(frame)).get("type") != "authenticated":
        if message.get("type") == "error" or message.get("error"):
            return Unreachable(key="", why=f"error response: {_error(message)}", away=True)
        frame = yield ()
    frame = yield (
        _said(
            type="execute",
            channel=CHANNEL,
            program=question.query,
            start=int(question.begin * 1000),
            stop=int(question.at * 1000),
            immediate=True,
        ),
    )
    last: dict[str, Any] = {}
    while True:
        message = _heard(frame)
        kind, event = message.get("type"), message.get("event")
        if kind == "error" or event == "ABORT_CHANNEL":
            return Unreachable(key="", why=f"error response: {_error(message)}")
        if kind == "data":
            last |= {p["tsId"]: p["value"] for p in message["data"] if p["value"] is not None}
        if event in ("END_OF_CHANNEL", "CHANNEL_END"):
            break
        frame = yield ()
    if len(last) > 1:
        return Unreachable(key="", why=MULTIPLE)
    return number(*last.values()) if last else NoData(key="", cause=NO_SERIES)


def _said(**message: Any) -> str:
    return msgspec.json.encode(message).decode()


def _error(message: dict[str, Any]) -> str:
    parts = [message.get("error"), message.get("errorType"), message.get("message")]
    parts.append((message.get("abortInfo") or {}).get("sf_job_abortReason"))
    return " ".join(str(part) for part in parts if part) or "the channel was aborted"


def _heard(frame: Frame) -> dict[str, Any]:
    """A message; data batches come in a form of their own."""
    if isinstance(frame, bytes):
        return _batch(frame)
    try:
        message = msgspec.json.decode(frame)
    except msgspec.DecodeError:
        raise Misread(f"not a message of SignalFlow: {first_line(frame)}") from None
    if not isinstance(message, dict):
        raise Misread(f"not a message of SignalFlow: {first_line(frame)}")
    return message


def _batch(frame: bytes) -> dict[str, Any]:
    """Header (version, type, channel), times, count, then points of type, id and value."""
    try:
        version, kind, _ = _HEADER.unpack_from(frame)
        if kind != _DATA_BATCH or version not in _TIMES:
            return {"type": "unknown"}
        offset = _HEADER.size + _TIMES[version].size
        (count,) = struct.unpack_from("!i", frame, offset)
        points = frame[offset + 4 : offset + 4 + count * _POINT.size]
        data = [
            {"tsId": series.hex(), "value": _point(type_, raw)}
            for type_, series, raw in _POINT.iter_unpack(points)
        ]
    except struct.error:
        raise Misread("a batch of SignalFlow's data was cut off") from None
    return {"type": "data", "data": data}


def _point(type_: int, raw: bytes) -> float | int | None:
    if type_ == 0:
        return None
    value: float | int = struct.unpack("!d" if type_ == _DOUBLE else "!q", raw)[0]
    return value
