"""Discord: its Slack-compatible door, which is the webhook's path with `/slack` behind it."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import msgspec

from serinus.notifier.core.alerts import Limits, Notice
from serinus.notifier.core.audience import Target
from serinus.notifier.senders import slack
from serinus.runtime.http import HttpRequest

# Discord's reference of embeds: description, fields, their values, all of it but the head.
LIMITS = Limits(text=4000, fields=25, value=1024, total=5500)


def render(notice: Notice, target: Target) -> HttpRequest:
    return HttpRequest(
        url=slack_door(target.address),
        method="POST",
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode(slack.payload(notice, target, limits=LIMITS)),
        proxy=target.proxy,
    )


def slack_door(address: str) -> str:
    """The address with `/slack` at the end of its path, unless it is there already."""
    parts = urlsplit(address)
    if parts.path.endswith("/slack"):
        return address
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/slack"))
