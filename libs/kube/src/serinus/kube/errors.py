"""What the API server can answer, by meaning, and what each means to a handler.

NotFound, NoKind   decided where it happens
Conflict, Gone     -> Stale    a newer truth exists
Denied, Invalid    -> Refuse   the request's fault
Unreachable        -> Retry    time may help
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from serinus.runtime.errors import Refuse, Retry, SerinusError, Stale


class NotFound(SerinusError):
    """There is no such object."""


class NoKind(NotFound):
    """The API server does not serve this kind: its CRD is not installed."""


class Conflict(Stale):
    """The object changed since it was read, exists already, or another manager owns the field."""


class Gone(Stale):
    """The resourceVersion is too old: list again."""


class Denied(Refuse):
    """401 or 403: our account may not do this."""


class Invalid(Refuse):
    """400, 422 and the like: the API server will not have this object."""


class Unreachable(Retry):
    """No answer, 429 or 5xx."""


def error_of(status: int, body: bytes, retry_after: str | None = None) -> SerinusError:
    """The error for an answer of 400 or more, with the API server's own words."""
    answer = _status(body)
    message = str(answer.get("message") or "") or _text(status, body)
    return _by_code(status, message, answer, retry_after)


def error_of_event(status: Mapping[str, Any]) -> SerinusError:
    """The error for an ERROR event of a watch, whose object is a Status."""
    code = status.get("code")
    message = str(status.get("message") or "the watch ended with an error")
    return _by_code(code if isinstance(code, int) else 500, message, status, None)


def _by_code(
    code: int, message: str, answer: Mapping[str, Any], retry_after: str | None
) -> SerinusError:
    match code:
        case 404:
            # An unknown kind is answered without the name of an object, or as plain text.
            named = bool((answer.get("details") or {}).get("name"))
            return NotFound(message) if named else NoKind(message)
        case 409:
            return Conflict(message)
        case 410:
            return Gone(message)
        case 401 | 403:
            return Denied(message)
        case 408 | 429:
            return Unreachable(message, _seconds(retry_after))
        case _ if 400 <= code < 500:
            return Invalid(message)
        case _:
            return Unreachable(message, _seconds(retry_after))


def _seconds(retry_after: str | None) -> float:
    """The server's wish for how long to stay away, between 1 and 30 s."""
    wish = int(retry_after) if retry_after and retry_after.isdigit() else 1
    return float(min(max(wish, 1), 30))


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _text(status: int, body: bytes) -> str:
    """Plain-text answers (proxies, unknown paths), cut: they may be whole web pages."""
    text = body[:200].decode("utf-8", "replace").strip()
    return f"HTTP {status}: {text}" if text else f"HTTP {status}"
