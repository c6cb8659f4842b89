"""Grafana: an annotation per notice, so that dashboards show when releases happened.

Grafana's HTTP API, "Create Annotation" (POST /api/annotations). `address` is the URL of Grafana,
`channel` the UID of one dashboard, empty for all; the token is a service account's.
"""

from __future__ import annotations

import msgspec

from serinus.notifier.core.alerts import Notice
from serinus.notifier.core.audience import DEFAULT_CHANNEL, Target
from serinus.runtime.http import HttpRequest


def render(notice: Notice, target: Target) -> HttpRequest:
    tags = ["serinus", notice.canary.namespace, notice.canary.name, notice.severity]
    body: dict[str, object] = {
        "time": round(notice.at * 1000),
        "tags": [*tags, *([notice.cluster] if notice.cluster else [])],
        "text": "\n".join(
            [f"{notice.canary}: {notice.message}", *notice.lines, notice.link]
        ).rstrip(),
    }
    if target.channel != DEFAULT_CHANNEL:
        body["dashboardUID"] = target.channel
    headers = {"Content-Type": "application/json"}
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    return HttpRequest(
        url=target.address.rstrip("/") + "/api/annotations",
        method="POST",
        headers=headers,
        body=msgspec.json.encode(body),
        proxy=target.proxy,
    )
