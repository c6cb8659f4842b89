"""Refusals of the API, each a `Status` object as clients of Kubernetes know it.

The texts follow kube-apiserver's where programs are known to read them. Nothing here logs or
answers; raising is all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Obj = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON gives it."""


class ApiError(Exception):
    """A request that the API refuses; `status()` is the body to answer with."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def status(self) -> Obj:
        """The body: a `Status` with reason, code, message and details."""
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }
        return {name: part for name, part in body.items() if part or name == "metadata"}


def _details(plural: str, group: str, name: str) -> Obj:
    details = {"name": name, "kind": plural}
    if group:
        details["group"] = group
    return details


def _named(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> ApiError:
    """404: there is no such object."""
    text = f'{_named(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", text, _details(plural, group, name))


def no_such_path(path: str) -> ApiError:
    """404: nothing is served at this path."""
    return ApiError(
        404, "NotFound", "the server could not find the requested resource", {"path": path}
    )


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """409: create of a name that is taken."""
    text = f'{_named(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, _details(plural, group, name))


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    """409: the object has changed since it was read, or is another one by now."""
    text = f'Operation cannot be fulfilled on {_named(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", text, _details(plural, group, name))


STALE = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def invalid(kind: str, group: str, name: str, causes: Sequence[tuple[str, str, str]]) -> ApiError:
    """422: the object breaks its rules; `causes` are (field path, reason, text)."""
    texts = [f"{field}: {text}" for field, _, text in causes]
    listed = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    dotted = f"{kind}.{group}" if group else kind
    details = _details(kind, group, name) | {
        "causes": [
            {"reason": reason, "message": text, "field": field} for field, reason, text in causes
        ]
    }
    return ApiError(422, "Invalid", f'{dotted} "{name}" is invalid: {listed}', details)


def bad_request(message: str) -> ApiError:
    """400: the request itself makes no sense."""
    return ApiError(400, "BadRequest", message)


def gone(asked: int, oldest: int) -> ApiError:
    """410: the changes since `asked` are no longer known; list again."""
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def too_large(asked: int, current: int) -> ApiError:
    """504: a version from the future was asked for."""
    return ApiError(
        504,
        "Timeout",
        f"Too large resource version: {asked}, current: {current}",
        {
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
            "retryAfterSeconds": 1,
        },
    )


def not_allowed(method: str) -> ApiError:
    """405: the resource exists and cannot do this."""
    return ApiError(
        405, "MethodNotAllowed", f"the server does not allow {method} on the requested resource"
    )


def unsupported_media(content_type: str) -> ApiError:
    """415: a body in a language that is not spoken here."""
    return ApiError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml; got: " + content_type,
    )
