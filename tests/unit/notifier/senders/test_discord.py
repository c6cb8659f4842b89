"""Discord's Slack-compatible door."""

from __future__ import annotations

import pytest

from serinus.notifier.senders.discord import slack_door


@pytest.mark.parametrize(
    ("address", "door"),
    [
        ("https://d.test/api/webhooks/1/t", "https://d.test/api/webhooks/1/t/slack"),
        ("https://d.test/api/webhooks/1/t/", "https://d.test/api/webhooks/1/t/slack"),
        ("https://d.test/api/webhooks/1/t/slack", "https://d.test/api/webhooks/1/t/slack"),
        ("https://d.test/w?wait=true", "https://d.test/w/slack?wait=true"),
    ],
)
def test_the_path_ends_with_slack(address: str, door: str) -> None:
    assert slack_door(address) == door
