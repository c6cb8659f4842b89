"""PagerDuty's events. Facts of the API: its reference of POST /v2/enqueue."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.notifier.helpers import PROMOTED, a_notice

from serinus.notifier.core.audience import Target
from serinus.notifier.senders.pagerduty import ADDRESS, KEY_MAX, SUMMARY_MAX, render

TARGET = Target(type="pagerduty", address=ADDRESS, token="routing-key")


def event(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render(a_notice(**fields), TARGET).body)
    return found


def test_trouble_triggers_an_incident_with_its_reasons() -> None:
    assert {
        "routing_key": "routing-key",
        "event_action": "trigger",
        "dedup_key": "serinus/east-1/prod/web",
        "payload": {
            "summary": "web.prod: Failed checks threshold reached 5",
            "source": "web.prod",
            "severity": "error",
            "timestamp": "2026-01-01T00:00:00.000+00:00",
            "component": "web",
            "group": "east-1",
            "class": "Failed",
            "custom_details": {
                "Failed check latency": "700 ms, must be <= 500",
                "What next": "look",
            },
        },
        "client": "Serinus",
        "links": [{"href": "https://grafana.test/d/x", "text": "dashboard"}],
    } == event()


def test_a_canary_that_is_well_again_resolves_the_same_incident() -> None:
    resolved = event(**PROMOTED)

    assert "resolve" == resolved["event_action"]
    assert event()["dedup_key"] == resolved["dedup_key"]
    assert "payload" not in resolved


@pytest.mark.parametrize(("severity", "word"), [("info", "info"), ("warn", "warning")])
def test_severities_are_pagerdutys_words(severity: str, word: str) -> None:
    assert word == event(severity=severity, kind="rollout.awaited")["payload"]["severity"]


def test_what_is_too_long_for_the_api_is_cut() -> None:
    found = event(message="x" * 5000, cluster="c" * 500)

    assert SUMMARY_MAX == len(found["payload"]["summary"])
    assert KEY_MAX == len(found["dedup_key"])
