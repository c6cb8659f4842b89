"""Opsgenie's Alert API: an alert per canary, created and closed.

Limits and field names: Opsgenie's reference of "Create Alert" and "Close Alert". The API key is the
token of the provider's Secret; accounts in the EU set the address to theirs.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from serinus.notifier.core.alerts import Limits, Notice, cut, limited
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest

ADDRESS = "https://api.opsgenie.com/v2/alerts"
MESSAGE_MAX, ALIAS_MAX, TAG_MAX = 130, 512, 50
# 15,000 characters of description, 8,000 of details, which hold the same fields.
LIMITS = Limits(text=6000, fields=50, value=2000, total=7500)
PRIORITIES = {"info": "P5", "warn": "P3", "error": "P2"}


def render(notice: Notice, target: Target) -> HttpRequest:
    """A new alert (Opsgenie counts repeats of one alias), or the end of it."""
    notice = limited(notice, LIMITS)
    alias = cut(notice.incident, ALIAS_MAX)
    base = target.address.rstrip("/")
    body: dict[str, object] = {"source": "serinus", "note": notice.message}
    url = f"{base}/{quote(alias, safe='')}/close?identifierType=alias"
    if not notice.resolves:
        url = base
        body = {
            "message": cut(f"{notice.canary}: {notice.message}", MESSAGE_MAX),
            "alias": alias,
            "description": "\n".join([notice.message, *notice.lines, notice.link]).rstrip(),
            "details": {f.name: f.value for f in (*notice.fields, *notice.details)},
            "entity": str(notice.canary),
            "source": "serinus",
            "priority": PRIORITIES[notice.severity],
            "tags": [
                cut(tag, TAG_MAX)
                for tag in ("serinus", notice.cluster, notice.canary.namespace)
                if tag
            ],
        }
    return HttpRequest(
        url=url,
        method="POST",
        headers={"Content-Type": "application/json", "Authorization": f"GenieKey {target.token}"},
        body=msgspec.json.encode(body),
        proxy=target.proxy,
    )
