"""Rocket.Chat's colours."""

from __future__ import annotations

import json

import pytest
from tests.unit.notifier.helpers import WEB

from serinus.notifier.core.alerts import Notice, Severity
from serinus.notifier.core.audience import Target
from serinus.notifier.senders.rocket import render


@pytest.mark.parametrize(
    ("severity", "color"), [("info", "#0076D7"), ("warn", "#0076D7"), ("error", "#FF0000")]
)
def test_only_errors_are_red(severity: Severity, color: str) -> None:
    notice = Notice(id="f", canary=WEB, severity=severity, message="m")

    body = json.loads(render(notice, Target(type="rocket", address="http://x")).body)

    assert body["attachments"][0]["color"] == color
