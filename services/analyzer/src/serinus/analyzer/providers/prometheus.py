"""Prometheus and whatever speaks its HTTP API: one instant query (reference 5.5).

Secret keys, optional: `token`, else `username` and `password`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from serinus.analyzer.core.checks import NO_SERIES, NOT_A_NUMBER
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.source import Halves, Misconfigured, Question, Source, refusal
from serinus.runtime.http import HttpRequest, HttpResponse

TIMEOUT_S = 5.0
PROBE = "vector(1)"
MULTIPLE = "query returned multiple values"


class _Data(Struct, frozen=True, rename={"kind": "resultType"}):
    kind: str = ""
    result: Any = None


class _Answer(Struct, frozen=True, rename={"error_type": "errorType"}):
    status: str = ""
    data: _Data = _Data()
    error: str = ""
    error_type: str = ""


class _Series(Struct, frozen=True):
    value: tuple[float, str]


_answer = msgspec.json.Decoder(_Answer)


def request(source: Source, question: Question) -> HttpRequest:
    """The instant query for `question`, now by the server's clock, as Flagger asks it."""
    address = source.provider.address.rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise Misconfigured(f"address {address!r} is no http:// or https:// URL")
    return HttpRequest(
        url=f"{address}/api/v1/query?query={quote(question.query, safe='')}",
        headers=_headers(source),
        timeout_s=TIMEOUT_S,
        verify_tls=not source.provider.insecure_skip_verify,
    )


def _headers(source: Source) -> Mapping[str, str]:
    headers = {name: ", ".join(values) for name, values in source.provider.headers.items()}
    credentials = source.credentials
    if not credentials:
        return headers
    if token := credentials.get("token", b"").strip():
        return {**headers, "Authorization": f"Bearer {_text(token)}"}
    user, password = credentials.get("username"), credentials.get("password")
    if user is None or password is None:
        raise Misconfigured("the secret holds neither token nor username and password")
    pair = base64.b64encode(user + b":" + password).decode()
    return {**headers, "Authorization": f"Basic {pair}"}


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Misconfigured("the secret's token is no text") from None


def reading(answer: HttpResponse) -> Reading:
    """The one number in the answer.

    Several series are no answer to a yes-or-no question: Flagger silently takes the last one.
    """
    if (refused := refusal(answer)) is not None:
        return refused
    try:
        decoded = _answer.decode(answer.body)
    except msgspec.MsgspecError:
        return Unreachable(key="", why="the answer is not that of a Prometheus API")
    if decoded.status != "success":
        return Unreachable(key="", why=f"error response: {decoded.error_type}: {decoded.error}")
    match decoded.data.kind:
        case "vector":
            return _vector(decoded.data.result)
        case "scalar":
            return _number({"value": decoded.data.result})
        case "matrix":
            return Unreachable(key="", why=MULTIPLE)
        case kind:
            return Unreachable(key="", why=f"the answer is a {kind or 'nothing'}, not a number")


def _vector(result: Any) -> Reading:
    if not result:
        return NoData(key="", cause=NO_SERIES)
    if not isinstance(result, list) or len(result) > 1:
        return Unreachable(key="", why=MULTIPLE)
    return _number(result[0])


def _number(series: Any) -> Reading:
    try:
        value = float(msgspec.convert(series, _Series).value[1])
    except (msgspec.ValidationError, ValueError):
        return Unreachable(key="", why="the answer holds no number")
    if math.isnan(value):
        return NoData(key="", cause=NOT_A_NUMBER)
    return Value(key="", value=value)


def probe(source: Source, at: float) -> HttpRequest:
    """Asks for the number one."""
    return request(source, Question(query=PROBE, at=at, window_s=0.0))


def probed(answer: HttpResponse) -> Reading:
    """Online means that one is 1."""
    found = reading(answer)
    if isinstance(found, Value) and found.value != 1.0:
        return Unreachable(key="", why=f"{PROBE} is {found.value:g} there")
    if isinstance(found, NoData):
        return Unreachable(key="", why=f"{PROBE} has no value there")
    return found


PROMETHEUS = Halves(request=request, reading=reading, probe=probe, probed=probed)
