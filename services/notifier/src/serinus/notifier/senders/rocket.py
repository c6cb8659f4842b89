"""Rocket.Chat: Slack's shape in its own colours."""

from __future__ import annotations

import msgspec

from serinus.notifier.core.alerts import Limits, Notice
from serinus.notifier.core.audience import Target
from serinus.notifier.senders import slack
from serinus.runtime.http import HttpRequest

# Rocket.Chat's setting Message_MaxAllowedSize is 5,000 unless somebody changed it.
LIMITS = Limits(text=3000, fields=30, value=1000, total=4500)


def render(notice: Notice, target: Target) -> HttpRequest:
    body = slack.payload(notice, target, good="#0076D7", bad="#FF0000", limits=LIMITS)
    return HttpRequest(
        url=target.address,
        method="POST",
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode(body),
        proxy=target.proxy,
    )
