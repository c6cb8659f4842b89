"""Addresses without what must not be read: user information, and values that look like keys."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MASK = "***"
_KEYS = re.compile(r"token|key|secret|passw|auth|sig|credential|access|code|session", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]*[^\s'\"<>,.;:)]", re.IGNORECASE)
_TOKEN_PATHS = re.compile(
    r"(/services/|/webhook/|/webhookb2/|/hooks/|/api/webhooks/|/v1/spaces/)(.+)$"
)


def url(address: str) -> str:
    """The address with user information, telling query values and chat tokens masked."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")
    except ValueError:
        return MASK
    netloc = f"{MASK}@{host[2]}" if host[1] else parts.netloc
    path = _TOKEN_PATHS.sub(rf"\1{MASK}", parts.path)
    query = parts.query
    if query:
        pairs = parse_qsl(query, keep_blank_values=True)
        query = urlencode([(k, MASK if _KEYS.search(k) else v) for k, v in pairs], safe="*/:,{}()")
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def text(words: str) -> str:
    """The words with every address in them masked like `url`."""
    return _URL.sub(lambda found: url(found.group()), words)
