"""RFC 3339 texts and Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at: float) -> str:
    """`at` with milliseconds, as the API server and Flagger both can read it."""
    stamp = datetime.fromtimestamp(at, UTC)
    return stamp.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def unix_s(text: str) -> float:
    """Unix seconds of an RFC 3339 text; 0 where it is not one."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
