"""A webhook of one's own: the whole notice as JSON, for programs rather than for eyes.

`id` is the same for every repeat of a notice, so a receiver can tell one from news.
"""

from __future__ import annotations

import msgspec

from serinus.notifier.core.alerts import Notice
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest


def render(notice: Notice, target: Target) -> HttpRequest:
    body = {
        "id": notice.id,
        "name": notice.canary.name,
        "namespace": notice.canary.namespace,
        "cluster": notice.cluster,
        "severity": notice.severity,
        "message": notice.message,
        "phase": notice.phase,
        "checksum": notice.checksum,
        "revision": notice.revision,
        "timestamp": str(round(notice.at * 1000)),
        "fields": [{"name": f.name, "value": f.value} for f in notice.fields],
        "failedChecks": [
            {
                "metric": m.metric,
                "outcome": m.outcome,
                "value": m.value,
                "unit": m.unit,
                "bound": m.bound,
                "interval": m.interval,
                "cause": m.cause,
            }
            for m in notice.evidence
        ],
    }
    headers = {"Content-Type": "application/json"}
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    return HttpRequest(
        url=target.address,
        method="POST",
        headers=headers,
        body=msgspec.json.encode(body),
        proxy=target.proxy,
    )
