"""Opsgenie's alerts. Facts of the API: its reference of Create Alert and Close Alert."""

from __future__ import annotations

import json

from tests.unit.notifier.helpers import PROMOTED, a_notice

from serinus.notifier.core.audience import Target
from serinus.notifier.senders.opsgenie import ADDRESS, ALIAS_MAX, MESSAGE_MAX, render

TARGET = Target(type="opsgenie", address=ADDRESS, token="key")


def test_trouble_makes_an_alert_of_which_opsgenie_keeps_one() -> None:
    request = render(a_notice(), TARGET)

    assert ADDRESS == request.url
    assert "GenieKey key" == request.headers["Authorization"]
    body = json.loads(request.body)
    assert ("serinus/east-1/prod/web", "P2") == (body["alias"], body["priority"])
    assert {
        "Failed check latency": "700 ms, must be <= 500",
        "What next": "look",
    } == body["details"]
    assert body["description"].endswith("What next: look\nhttps://grafana.test/d/x")


def test_a_canary_that_is_well_again_closes_it() -> None:
    request = render(a_notice(**PROMOTED), TARGET)

    alias = "serinus%2Feast-1%2Fprod%2Fweb"
    assert f"{ADDRESS}/{alias}/close?identifierType=alias" == request.url
    assert {"source", "note"} == json.loads(request.body).keys()


def test_what_is_too_long_for_the_api_is_cut() -> None:
    body = json.loads(render(a_notice(message="x" * 999, cluster="c" * 999), TARGET).body)

    assert (MESSAGE_MAX, ALIAS_MAX) == (len(body["message"]), len(body["alias"]))
