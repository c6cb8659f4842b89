"""Opsgenie's Alert API: an alert per canary, created and closed.

Limits and field names: Opsgenie's reference of "Create Alert" and "Close Alert". The API key is the
token of the provider's Secret; accounts in the EU set the address to theirs.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from serinus.notifier.core.alerts import Notice, cut
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest

ADDRESS = "https://api.opsgenie.com/v2/alerts"
MESSAGE_MAX, ALIAS_MAX, DETAIL_MAX = 130, 512, 8000
PRIORITIES = {"info": "P5", "warn": "P3", "error": "P2"}


def render(notice: Notice, target: Target) -> HttpRequest:
    """A new alert (Opsgenie counts repeats of one alias), or the end of it."""
    alias = cut(notice.incident, ALIAS_MAX)
    base = target.address.rstrip("/")
    body: dict[str, object] = {"source": "serinus", "note": notice.message}
    url = f"{base}/{quote(alias, safe='')}/close?identifierType=alias"
    if not notice.resolves:
        url = base
        body = {
            "message": cut(f"{notice.canary}: {notice.message}", MESSAGE_MAX),
            "alias": alias,
            "description": "\n".join([notice.message, *notice.lines]),
            "details": {f.name: cut(f.value, DETAIL_MAX) for f in notice.fields},
            "entity": str(notice.canary),
            "source": "serinus",
            "priority": PRIORITIES[notice.severity],
            "tags": [tag for tag in ("serinus", notice.cluster, notice.canary.namespace) if tag],
        }
    return HttpRequest(
        url=url,
        method="POST",
        headers={"Content-Type": "application/json", "Authorization": f"GenieKey {target.token}"},
        body=msgspec.json.encode(body),
        proxy=target.proxy,
    )
