"""What each sender makes of the same alerts: it says why, and the vendor would take it.

`tests/unit/notifier/senders/golden` is written by `make gen` and compared by the contract tests.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.gen.messages import OCCASIONS, TARGETS, rendered, request, told
from tests.servers.vendors import complaints

from serinus.notifier.core.alerts import Field, Notice
from serinus.notifier.senders import slackbot
from serinus.notifier.senders.catalog import SENDERS

BY_REQUEST = [kind for kind in TARGETS if kind not in ("slackbot", "email", "apprise")]
REASONS = {
    "what happened": "Failed checks threshold reached 5",
    "the check": "request-success-rate",
    "its value": "91.25",
    "its bound": ">= 99",
    "on how much": "1200",
    "the image": "shop/web:2.0.1",
    "who": "ann",
    "by what": "argocd-controller",
    "the commit": "4be1c2d",
    "the dashboard": "https://grafana.test/d/canary?ns=shop",
    "what next": "kubectl -n shop describe canary web",
}


def sent(kind: str, said: Notice) -> tuple[dict[str, str], bytes]:
    """Headers and body as they go out."""
    if kind == "slackbot":
        body = {"channel": "ops", **slackbot.message(said)}
        headers = {"Content-Type": "application/json", "Authorization": "Bearer xoxb-1"}
        return headers, json.dumps(body).encode()
    made = request(kind, said)
    return dict(made.headers), made.body


def unescaped(text: str) -> str:
    for escape, sign in (("\\u003e", ">"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(escape, sign)
    return text


@pytest.mark.parametrize("kind", TARGETS)
def test_a_rollback_says_why_wherever_it_is_told(kind: str) -> None:
    shown = unescaped(json.dumps(rendered(kind, told("condemned")), ensure_ascii=False))

    assert {} == {what: text for what, text in REASONS.items() if text not in shown}


@pytest.mark.parametrize("kind", [kind for kind in TARGETS if SENDERS[TARGETS[kind].type].groups])
def test_a_crowd_is_counted_and_listed_wherever_people_read(kind: str) -> None:
    shown = json.dumps(rendered(kind, told("crowd")))

    assert "50 canaries" in shown
    assert "image registry.test/shop/web:2.0.1" in shown
    assert [] == [n for n in range(50) if f"web-{n:02}" not in shown]


def hostile() -> Notice:
    """Longer than any service takes, in letters that take more bytes than one."""
    fields = tuple(Field(f"field {n}" * 60, "ä<&>" * 3000) for n in range(300))
    return msgspec.structs.replace(
        told("condemned"), message="ü<&>" * 20_000, fields=fields, details=fields
    )


NOTICES: dict[str, Notice] = {
    **{occasion: told(occasion) for occasion in OCCASIONS},
    "hostile": hostile(),
}


@pytest.mark.parametrize("kind", [*BY_REQUEST, "slackbot"])
def test_the_vendor_takes_it(kind: str) -> None:
    row = SENDERS[TARGETS[kind].type]
    refused: dict[str, Any] = {
        occasion: wrong
        for occasion, said in NOTICES.items()
        if row.hears(said) and (wrong := complaints(kind, *sent(kind, said)))
    }

    assert {} == refused


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("slack", {"attachments": [{"text": "x", "color": "blue"}]}),
        ("discord", {"attachments": [{"text": "x" * 4097, "color": "good"}], "username": "u"}),
        ("msteams", {"@type": "MessageCard", "sections": []}),
        ("pagerduty", {"routing_key": "k", "event_action": "trigger"}),
        ("opsgenie", {"message": "x" * 131}),
        ("slackbot", {"channel": "c", "text": "t", "blocks": [{"type": "section"}]}),
    ],
)
def test_what_a_vendor_does_not_take_is_noticed(kind: str, body: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json", "Authorization": "GenieKey x"}

    assert [] != complaints(kind, headers, json.dumps(body).encode())
