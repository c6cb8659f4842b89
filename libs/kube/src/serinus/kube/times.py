"""Times as Kubernetes writes them: pure."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at: float) -> str:
    """Unix seconds as `metav1.Time` has them: whole seconds, UTC."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text: str) -> float:
    """The Unix seconds of a `metav1.Time`. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()
