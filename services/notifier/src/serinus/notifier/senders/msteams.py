"""Microsoft Teams: a MessageCard per notice."""

from __future__ import annotations

import msgspec

from serinus.notifier.core.alerts import Notice
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest


def render(notice: Notice, target: Target) -> HttpRequest:
    subject = str(notice.canary)
    card = {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": "FF0000" if notice.severity == "error" else "0076D7",
        "summary": subject,
        "sections": [
            {
                "activityTitle": notice.message,
                "activitySubtitle": subject,
                "facts": [{"name": f.name, "value": f.value} for f in notice.fields],
            }
        ],
    }
    return HttpRequest(
        url=target.address,
        method="POST",
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode(card),
        proxy=target.proxy,
    )
