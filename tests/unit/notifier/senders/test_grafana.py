"""Grafana's annotations."""

from __future__ import annotations

import json

from tests.unit.notifier.helpers import a_notice

from serinus.notifier.core.audience import Target
from serinus.notifier.senders.grafana import render


def test_a_notice_is_an_annotation_on_all_dashboards() -> None:
    request = render(a_notice(), Target(type="grafana", address="http://g.test/", token="glsa"))

    assert "http://g.test/api/annotations" == request.url
    assert "Bearer glsa" == request.headers["Authorization"]
    body = json.loads(request.body)
    assert 1767225600000 == body["time"]
    assert ["serinus", "prod", "web", "error", "east-1"] == body["tags"]
    assert body["text"].startswith("web.prod: Failed checks threshold reached 5\nFailed check")
    assert "dashboardUID" not in body


def test_the_channel_names_one_dashboard() -> None:
    target = Target(type="grafana", address="http://g.test", channel="abc")

    assert "abc" == json.loads(render(a_notice(), target).body)["dashboardUID"]
