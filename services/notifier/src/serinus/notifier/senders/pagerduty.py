"""PagerDuty's Events API v2: an incident per canary, triggered and resolved.

Limits and field names: PagerDuty's reference of "Send an Alert Event"
(POST /v2/enqueue). The routing key is the token of the provider's Secret.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from serinus.notifier.core.alerts import Limits, Notice, cut, limited
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest

ADDRESS = "https://events.pagerduty.com/v2/enqueue"
SUMMARY_MAX, KEY_MAX = 1024, 255
# An event holds 512 KB.
LIMITS = Limits(text=20_000, fields=100, value=5000, total=50_000)
SEVERITIES = {"info": "info", "warn": "warning", "error": "error"}


def render(notice: Notice, target: Target) -> HttpRequest:
    """A trigger for trouble, a resolve once the canary is well again."""
    notice = limited(notice, LIMITS)
    event: dict[str, object] = {
        "routing_key": target.token,
        "event_action": "resolve" if notice.resolves else "trigger",
        "dedup_key": cut(notice.incident, KEY_MAX),
    }
    if not notice.resolves:
        event |= {"payload": _payload(notice), "client": "Serinus", "links": _links(notice)}
    return HttpRequest(
        url=target.address,
        method="POST",
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode(event),
        proxy=target.proxy,
    )


def _payload(notice: Notice) -> dict[str, object]:
    return {
        "summary": cut(f"{notice.canary}: {notice.message}", SUMMARY_MAX),
        "source": str(notice.canary),
        "severity": SEVERITIES[notice.severity],
        "timestamp": datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds"),
        "component": notice.canary.name,
        "group": notice.cluster or notice.canary.namespace,
        "class": notice.phase,
        "custom_details": {f.name: f.value for f in (*notice.fields, *notice.details)},
    }


def _links(notice: Notice) -> list[dict[str, str]]:
    return [{"href": notice.link, "text": "dashboard"}] if notice.link else []
