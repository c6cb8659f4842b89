"""Who hears a notice (reference 7.2): the canary's own alerts, else the global channel.

Two differences from Flagger: an omitted severity means `info` (there it matches nothing), and a
provider named by several alerts of one canary is told once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from serinus.events import AlertProviderSpec
from serinus.events.canary import AlertProviderType, AlertRef
from serinus.notifier.core.alerts import Severity

DEFAULT_CHANNEL = "general"
DEFAULT_USERNAME = "flagger"
GLOBAL = "global"
_RANK = {"info": 0, "warn": 1, "error": 2}


class ProviderKey(Struct, frozen=True, order=True):
    """An AlertProvider by name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


class Target(Struct, frozen=True, kw_only=True):
    """A channel with everything needed to post to it.

    Address and token are secrets: they are in no repr, so they reach no log.
    """

    type: AlertProviderType
    address: str
    channel: str = DEFAULT_CHANNEL
    username: str = DEFAULT_USERNAME
    token: str = ""
    proxy: str = ""

    def __repr__(self) -> str:
        return f"Target({self.type}, channel={self.channel!r})"


def audience(
    severity: Severity, alerts: Sequence[AlertRef], namespace: str
) -> tuple[ProviderKey, ...] | None:
    """The providers that hear a notice of this severity, each once, in the order of the manifest.

    None means that the canary names none at all and the global channel speaks for it.
    """
    if not alerts:
        return None
    keys = (
        ProviderKey(alert.provider_ref.namespace or namespace, alert.provider_ref.name)
        for alert in alerts
        if _RANK[severity] >= _RANK[alert.severity or "info"]
    )
    return tuple(dict.fromkeys(keys))


def target_of(spec: AlertProviderSpec, secret: Mapping[str, str]) -> Target | str:
    """The channel that a provider describes, or why it cannot be used.

    secret  the decoded keys of its Secret; `address` and `token` there win over the spec
    """
    address = secret.get("address", spec.address).strip()
    if not address:
        return "it has no address: set spec.address, or the key `address` of its Secret"
    if not is_url(address):
        return f"invalid {spec.type} hook URL: it must start with http:// or https://"
    return Target(
        type=spec.type,
        address=address,
        channel=spec.channel or DEFAULT_CHANNEL,
        username=spec.username or DEFAULT_USERNAME,
        token=secret.get("token", "").strip(),
        proxy=spec.proxy,
    )


def is_url(address: str) -> bool:
    """Whether it is an absolute http(s) URL with a host."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
