"""Google Chat: a card with one section for the message and one per field."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from serinus.notifier.core.alerts import Limits, Notice, limited
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest

# A message holds 32,000 bytes, cards included; escaped text takes more than its characters.
LIMITS = Limits(text=3000, fields=40, value=1500, total=5000)
HOST = "chat.googleapis.com"
_ICON = "https://flagger.app/favicon.png"


def render(notice: Notice, target: Target) -> HttpRequest:
    notice = limited(notice, LIMITS)
    lines = [_bold(notice.message)]
    lines.extend(f"{html.escape(f.name, quote=False)}<br>{_bold(f.value)}" for f in notice.shown)
    header = {"title": "Flagger", "subtitle": notice.subject, "imageUrl": _ICON}
    card = {"cards": [{"header": header, "sections": [_section(line) for line in lines]}]}
    return HttpRequest(
        url=once(target.address, notice.id),
        method="POST",
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode(card),
        proxy=target.proxy,
    )


def once(address: str, id: str) -> str:
    """Google's own address with a `requestId`: of two requests with one id it takes the first."""
    parts = urlsplit(address)
    if parts.hostname != HOST:
        return address
    query = "&".join(filter(None, (parts.query, urlencode({"requestId": id}))))
    return urlunsplit(parts._replace(query=query))


def _bold(text: str) -> str:
    return f"<font color=#848484><strong>{html.escape(text, quote=False)}</strong></font>"


def _section(text: str) -> dict[str, Any]:
    return {"widgets": [{"textParagraph": {"text": text}}]}
