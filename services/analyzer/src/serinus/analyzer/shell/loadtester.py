"""What hooks at our own load tester are sent with, so that nobody has to write it into manifests.

It goes to the addresses of the settings and nowhere else: the origin decides, not how an address
begins. A hook with a body of its own goes without, for that body could name another's namespace;
one that does not verify certificates, too, for then nobody knows who answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from serinus.analyzer.settings import Settings
from serinus.events import Webhook
from serinus.runtime.http import Identity
from serinus.runtime.settings import SettingsError

_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]
"""Scheme, host and port."""


class Credentials(Struct, frozen=True, kw_only=True):
    """A token, a certificate, and the origins that may see them."""

    origins: frozenset[Origin] = frozenset()
    token: str = ""
    identity: Identity | None = None

    def fit(self, hook: Webhook) -> bool:
        """Whether this hook goes with them."""
        if hook.body or hook.disable_tls or not self.origins:
            return False
        if any(name.lower() == "authorization" for name in hook.headers):
            return False
        return _origin(hook.url) in self.origins


def credentials(settings: Settings) -> Credentials:
    """Those of the settings. Raises SettingsError."""
    return Credentials(
        origins=_origins(settings.loadtester_urls),
        token=settings.loadtester_token.reveal(),
        identity=_identity(settings),
    )


def _origins(urls: Iterable[str]) -> frozenset[Origin]:
    found = set()
    for url in urls:
        origin = _origin(url)
        if origin is None:
            raise SettingsError(f"SERINUS_LOADTESTER_URLS: {url!r} is no http or https address")
        found.add(origin)
    return frozenset(found)


def _origin(url: str) -> Origin | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    host = (parts.hostname or "").rstrip(".")
    return (parts.scheme, host, port) if host else None


def _identity(settings: Settings) -> Identity | None:
    ca, cert, key = (
        _pem(path)
        for path in (settings.loadtester_ca, settings.loadtester_cert, settings.loadtester_key)
    )
    return Identity(ca=ca, cert=cert, key=key) if ca or cert else None


def _pem(path: str) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as error:
        raise SettingsError(f"SERINUS_LOADTESTER_CA, _CERT or _KEY: {path}: {error}") from None
