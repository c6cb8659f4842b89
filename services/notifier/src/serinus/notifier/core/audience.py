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

    Address, token and signing key are secrets: they are in no repr, so they reach no log.
    """

    type: AlertProviderType
    address: str
    channel: str = DEFAULT_CHANNEL
    username: str = DEFAULT_USERNAME
    token: str = ""
    proxy: str = ""
    headers: Mapping[str, str] = {}
    signing_key: str = ""
    message_template: str = ""
    body_template: str = ""

    def __repr__(self) -> str:
        return f"Target({self.type}, channel={self.channel!r})"


def uninvited(
    severity: Severity, alerts: Sequence[AlertRef], namespace: str
) -> tuple[ProviderKey, ...]:
    """The canary's providers that a notice of this severity does not reach.

    Those among them that keep an incident open must hear that it is over all the same.
    """
    heard = audience(severity, alerts, namespace) or ()
    named = audience("error", alerts, namespace) or ()
    return tuple(key for key in named if key not in heard)


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


WEB = ("http", "https")


class Needs(Struct, frozen=True, kw_only=True):
    """What a kind of channel needs to know.

    address  where the service lives when nobody says so; "": somebody must
    schemes  of its addresses; none: any
    token    whether nothing goes without one
    token_address  where it lives for those who have a token and name no address
    """

    address: str = ""
    schemes: tuple[str, ...] = WEB
    token: bool = False
    token_address: str = ""


def target_of(
    spec: AlertProviderSpec, secret: Mapping[str, str], needs: Needs | None = None
) -> Target | str:
    """The channel that a provider describes, or why it cannot be used.

    secret  the decoded keys of its Secret; `address` and `token` there win over the spec
    """
    needs = needs or Needs()
    token = secret.get("token", "").strip()
    address = (
        secret.get("address", spec.address).strip()
        or (token and needs.token_address)
        or needs.address
    )
    if not address:
        return "it has no address: set spec.address, or the key `address` of its Secret"
    if needs.schemes and not is_url(address, needs.schemes):
        schemes = " or ".join(f"{scheme}://" for scheme in needs.schemes)
        return f"invalid {spec.type} hook URL: it must start with {schemes}"
    if needs.token and not token:
        return "it has no token: set spec.secretRef to a Secret with the key `token`"
    return Target(
        type=spec.type,
        address=address,
        channel=spec.channel or DEFAULT_CHANNEL,
        username=spec.username or DEFAULT_USERNAME,
        token=token,
        proxy=spec.proxy,
        headers=spec.headers,
        signing_key=secret.get("signingKey", "").strip(),
        message_template=spec.message_template,
        body_template=spec.body_template,
    )


def is_url(address: str, schemes: Sequence[str] = WEB) -> bool:
    """Whether it is an absolute URL of one of these schemes, with a host."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)
