"""Teams' cards."""

from __future__ import annotations

import json

from tests.unit.notifier.helpers import WEB, a_notice

from serinus.notifier.core.alerts import Field, Notice
from serinus.notifier.core.audience import Target
from serinus.notifier.senders.msteams import render


def test_an_error_is_red_and_carries_its_facts() -> None:
    notice = Notice(
        id="f",
        canary=WEB,
        severity="error",
        message="Failed checks threshold reached 5",
        fields=(Field("Cluster", "east-1"),),
    )

    card = json.loads(render(notice, Target(type="msteams", address="http://x")).body)

    assert card["themeColor"] == "FF0000"
    assert card["sections"] == [
        {
            "activityTitle": "Failed checks threshold reached 5",
            "activitySubtitle": "web.prod",
            "facts": [{"name": "Cluster", "value": "east-1"}],
        }
    ]


WORKFLOW = "https://prod-1.westeurope.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke"


def test_a_workflow_gets_an_adaptive_card() -> None:
    """Connectors, which took MessageCards, are being retired by Microsoft."""
    message = json.loads(render(a_notice(), Target(type="msteams", address=WORKFLOW)).body)

    assert "message" == message["type"]
    [attachment] = message["attachments"]
    assert "application/vnd.microsoft.card.adaptive" == attachment["contentType"]
    card = attachment["content"]
    assert ("AdaptiveCard", "Attention") == (card["type"], card["body"][0]["color"])
    facts = [
        {"title": "Failed check latency", "value": "700 ms, must be <= 500"},
        {"title": "What next", "value": "look"},
    ]
    assert facts == card["body"][2]["facts"]
    assert "https://grafana.test/d/x" == card["actions"][0]["url"]


def test_an_address_that_only_looks_like_a_workflow_gets_the_older_card() -> None:
    address = "https://logic.azure.com.evil.test/x"

    assert "@type" in json.loads(render(a_notice(), Target(type="msteams", address=address)).body)
