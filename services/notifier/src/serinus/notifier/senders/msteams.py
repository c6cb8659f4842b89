"""Microsoft Teams: an Adaptive Card for Workflows, a MessageCard for the older connectors.

Which of the two an address takes can be read off its host: Workflows (Power Automate) live under
two domains of Microsoft's, whatever else takes MessageCards is a connector or imitates one.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from serinus.notifier.core.alerts import Limits, Notice, limited
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest

WORKFLOWS = (".logic.azure.com", ".powerplatform.com", ".logic.azure.us", ".powerplatform.us")
COLOURS = {"info": "Good", "warn": "Warning", "error": "Attention"}
ADAPTIVE = "application/vnd.microsoft.card.adaptive"


# A message holds 28 KB, its own punctuation included.
LIMITS = Limits(text=3000, fields=40, value=1500, total=6000)


def render(notice: Notice, target: Target) -> HttpRequest:
    notice = limited(notice, LIMITS)
    host = urlsplit(target.address).hostname or ""
    card = _adaptive(notice) if host.endswith(WORKFLOWS) else _message_card(notice)
    return HttpRequest(
        url=target.address,
        method="POST",
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode(card),
        proxy=target.proxy,
    )


def _message_card(notice: Notice) -> dict[str, object]:
    """As Flagger sends it (reference 7.3)."""
    subject = notice.subject
    return {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": "FF0000" if notice.severity == "error" else "0076D7",
        "summary": subject,
        "sections": [
            {
                "activityTitle": notice.message,
                "activitySubtitle": subject,
                "facts": [{"name": f.name, "value": f.value} for f in notice.shown],
            }
        ],
    }


def _adaptive(notice: Notice) -> dict[str, object]:
    """The message that "When a Teams webhook request is received" expects: one card attached."""
    subject = notice.subject
    body: list[dict[str, object]] = [
        {
            "type": "TextBlock",
            "text": notice.message,
            "weight": "Bolder",
            "size": "Medium",
            "color": COLOURS[notice.severity],
            "wrap": True,
        },
        {"type": "TextBlock", "text": subject, "isSubtle": True, "spacing": "None", "wrap": True},
    ]
    lines = (*notice.fields, *notice.details)
    if lines:
        facts = [{"title": f.name, "value": f.value} for f in lines]
        body.append({"type": "FactSet", "facts": facts})
    card: dict[str, object] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": f"{subject}: {notice.message}",
        "msteams": {"width": "Full"},
        "body": body,
    }
    if notice.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Dashboard", "url": notice.link}]
    attachment = {"contentType": ADAPTIVE, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}
