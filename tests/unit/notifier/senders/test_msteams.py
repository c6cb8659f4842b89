"""Teams' cards."""

from __future__ import annotations

import json

from tests.unit.notifier.helpers import WEB

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
