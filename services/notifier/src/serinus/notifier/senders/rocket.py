"""Rocket.Chat: Slack's shape in its own colours."""

from __future__ import annotations

import msgspec

from serinus.notifier.core.alerts import Notice
from serinus.notifier.core.audience import Target
from serinus.notifier.senders import slack
from serinus.runtime.http import HttpRequest


def render(notice: Notice, target: Target) -> HttpRequest:
    body = slack.payload(notice, target, good="#0076D7", bad="#FF0000")
    return HttpRequest(
        url=target.address,
        method="POST",
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode(body),
        proxy=target.proxy,
    )
