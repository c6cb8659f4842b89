"""What chat and incident services demand of a request, from their published references.

`complaints` is what the service would refuse: limits of length, counts and types. Each rule names
nothing but what its vendor documents; what a vendor leaves open is left open here, too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema
from cloudevents.v1.http import from_http

Obj = dict[str, Any]
Schema = Mapping[str, Any]


def text(most: int = 0, least: int = 1, **more: Any) -> Schema:
    return {"type": "string", "minLength": least, **({"maxLength": most} if most else {}), **more}


def obj(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Schema:
    """An object with these members and no other."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def array(items: Any, most: int = 0, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least} | (
        {"maxItems": most} if most else {}
    )


ANY: Schema = {}
STRING = text(least=0)
COLOUR = text(pattern=r"^(good|warning|danger|#[0-9A-Fa-f]{6})$")


def _attachments(most: int, author: int, body: int, fields: int, title: int, value: int) -> Schema:
    """Slack's attachments, which Discord and Rocket.Chat take with limits of their own."""
    field = obj({"title": text(title), "value": text(value), "short": {"type": "boolean"}})
    one = obj(
        {"text": text(body), "color": COLOUR},
        {
            "author_name": text(author),
            "mrkdwn_in": array(STRING),
            "fields": array(field, fields),
            "fallback": STRING,
        },
    )
    return obj(
        {"attachments": array(one, most, 1)},
        {
            "channel": STRING,
            "username": text(80),
            "icon_url": STRING,
            "icon_emoji": STRING,
            "text": STRING,
        },
    )


MARKDOWN = obj({"type": {"const": "mrkdwn"}, "text": text(3000)}, {"verbatim": {"type": "boolean"}})
PLAIN = obj({"type": {"const": "plain_text"}, "text": text(75)}, {"emoji": {"type": "boolean"}})
SHORT = obj({"type": {"const": "mrkdwn"}, "text": text(2000)}, {"verbatim": {"type": "boolean"}})
BUTTON = obj(
    {"type": {"const": "button"}, "text": PLAIN, "action_id": text(255)},
    {"url": text(3000), "value": text(2000)},
)
BLOCK = {
    "anyOf": [
        obj({"type": {"const": "section"}, "text": MARKDOWN}),
        obj({"type": {"const": "section"}, "fields": array(SHORT, 10, 1)}),
        obj({"type": {"const": "context"}, "elements": array(MARKDOWN, 10, 1)}),
        obj({"type": {"const": "actions"}, "elements": array(BUTTON, 25, 1)}),
    ]
}
BOT = obj(
    {"channel": text(), "text": text(40_000), "blocks": array(BLOCK, 50, 1)},
    {"ts": text(), "thread_ts": text(), "client_msg_id": text(36, 36)},
)

FACT = obj({"title": STRING, "value": STRING})
ELEMENT = {
    "anyOf": [
        obj(
            {"type": {"const": "TextBlock"}, "text": text()},
            {
                "weight": {"enum": ["Default", "Lighter", "Bolder"]},
                "size": {"enum": ["Default", "Small", "Medium", "Large", "ExtraLarge"]},
                "color": {
                    "enum": ["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"]
                },
                "wrap": {"type": "boolean"},
                "isSubtle": {"type": "boolean"},
                "spacing": {"enum": ["Default", "None", "Small", "Medium", "Large"]},
            },
        ),
        obj({"type": {"const": "FactSet"}, "facts": array(FACT, least=1)}),
    ]
}
CARD = obj(
    {
        "type": {"const": "AdaptiveCard"},
        "version": {"enum": ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"]},
        "body": array(ELEMENT, least=1),
    },
    {
        "$schema": STRING,
        "fallbackText": STRING,
        "msteams": obj({"width": {"const": "Full"}}),
        "actions": array(
            obj({"type": {"const": "Action.OpenUrl"}, "title": text(), "url": text()}), 6
        ),
    },
)
WORKFLOW = obj(
    {
        "type": {"const": "message"},
        "attachments": array(
            obj(
                {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "content": CARD,
                },
                {"contentUrl": {"type": "null"}},
            ),
            least=1,
        ),
    }
)
CONNECTOR = obj(
    {
        "@type": {"const": "MessageCard"},
        "@context": {"enum": ["http://schema.org/extensions", "https://schema.org/extensions"]},
        "summary": text(),
        "sections": array(
            obj(
                {"activityTitle": text()},
                {
                    "activitySubtitle": STRING,
                    "facts": array(obj({"name": STRING, "value": STRING})),
                },
            ),
            10,
        ),
    },
    {"themeColor": text(6, 6)},
)

CHAT_CARD = obj(
    {
        "sections": array(
            obj({"widgets": array(obj({"textParagraph": obj({"text": text()})}), 100, 1)}),
            100,
            1,
        )
    },
    {"header": obj({"title": text()}, {"subtitle": STRING, "imageUrl": STRING})},
)

EVENT = {
    "anyOf": [
        obj(
            {
                "routing_key": text(),
                "event_action": {"const": "trigger"},
                "payload": obj(
                    {
                        "summary": text(1024),
                        "source": text(),
                        "severity": {"enum": ["critical", "error", "warning", "info"]},
                    },
                    {
                        "timestamp": text(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"),
                        "component": STRING,
                        "group": STRING,
                        "class": STRING,
                        "custom_details": {"type": "object"},
                    },
                ),
            },
            {
                "dedup_key": text(255),
                "client": STRING,
                "client_url": STRING,
                "links": array(obj({"href": text()}, {"text": STRING})),
            },
        ),
        obj(
            {
                "routing_key": text(),
                "event_action": {"enum": ["acknowledge", "resolve"]},
                "dedup_key": text(255),
            }
        ),
    ]
}

ALERT = {
    "anyOf": [
        obj(
            {"message": text(130)},
            {
                "alias": text(512),
                "description": text(15_000),
                "tags": array(text(50), 20),
                "details": {"type": "object", "additionalProperties": STRING},
                "entity": text(512),
                "source": text(100),
                "priority": {"enum": ["P1", "P2", "P3", "P4", "P5"]},
            },
        ),
        obj({}, {"source": text(100), "note": text(25_000), "user": text(100)}),
    ]
}

ANNOTATION = obj(
    {"text": text()},
    {
        "time": {"type": "integer", "minimum": 1_000_000_000_000},
        "timeEnd": {"type": "integer"},
        "tags": array(STRING),
        "dashboardUID": text(40),
    },
)

# CDEvents 0.5.1; the three events that are sent have the same members.
CD_EVENT = obj(
    {
        "context": obj(
            {
                "specversion": {"const": "0.5.1"},
                "id": text(),
                "source": text(),
                "type": text(
                    pattern=r"^dev\.cdevents\.service\.(deployed|upgraded|rolledback)\.0\.3\.0$"
                ),
                "timestamp": text(
                    pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
                ),
            },
            {"schemaUri": text(), "chainId": text(), "links": array(ANY)},
        ),
        "subject": obj(
            {
                "id": text(),
                "content": obj(
                    {
                        "environment": obj({"id": text()}, {"source": text()}),
                        "artifactId": text(pattern="^pkg:"),
                    }
                ),
            },
            {"source": text()},
        ),
    },
    {"customData": {"type": "object"}, "customDataContentType": text()},
)

Check = Callable[[Obj, Mapping[str, str]], Iterator[str]]


def _discord(body: Obj, headers: Mapping[str, str]) -> Iterator[str]:
    if "discord" in body["username"].lower() or "clyde" in body["username"].lower():
        yield f"username {body['username']!r} is not allowed"
    yield from _long(sum(map(_characters, body["attachments"])), 6000, "characters of embeds")


def _rocket(body: Obj, headers: Mapping[str, str]) -> Iterator[str]:
    yield from _long(sum(map(_characters, body["attachments"])), 5000, "characters")


def _characters(attachment: Obj) -> int:
    fields = attachment.get("fields", ())
    size = len(attachment["text"]) + len(attachment.get("author_name", ""))
    return size + sum(len(f["title"]) + len(f["value"]) for f in fields)


def _bytes(most: int) -> Check:
    def check(body: Obj, headers: Mapping[str, str]) -> Iterator[str]:
        size = len(json.dumps(body, ensure_ascii=False).encode())
        yield from _long(size, most, "bytes")

    return check


def _opsgenie(body: Obj, headers: Mapping[str, str]) -> Iterator[str]:
    if not headers.get("Authorization", "").startswith("GenieKey "):
        yield "no GenieKey"
    details = body.get("details", {})
    size = sum(len(name) + len(value) for name, value in details.items())
    yield from _long(size, 8000, "characters of details")


def _bot(body: Obj, headers: Mapping[str, str]) -> Iterator[str]:
    if "client_msg_id" in body:
        uuid.UUID(body["client_msg_id"])
    if not headers.get("Authorization", "").startswith("Bearer xoxb-"):
        yield "not_authed"


def _long(size: int, most: int, what: str) -> Iterator[str]:
    if size > most:
        yield f"{size} {what}, {most} are allowed"


def _nothing(body: Obj, headers: Mapping[str, str]) -> Iterator[str]:
    yield from ()


_RULES: Mapping[str, tuple[Schema, Check]] = {
    "slack": (_attachments(100, 256, 40_000, 100, 256, 40_000), _bytes(40_000)),
    "slackbot": (BOT, _bot),
    "msteams": (CONNECTOR, _bytes(28_000)),
    "workflow": (WORKFLOW, _bytes(28_000)),
    "discord": (_attachments(10, 256, 4096, 25, 256, 1024), _discord),
    "rocket": (_attachments(10, 256, 5000, 100, 256, 5000), _rocket),
    "gchat": (obj({"cards": array(CHAT_CARD, least=1)}), _bytes(32_000)),
    "pagerduty": (EVENT, _bytes(512_000)),
    "opsgenie": (ALERT, _opsgenie),
    "grafana": (ANNOTATION, _nothing),
    "cdevents": (CD_EVENT, _bytes(64_000)),
    "webhook": ({"type": "object"}, _nothing),
    "apprise": ({"type": "object"}, _nothing),
}


def complaints(kind: str, headers: Mapping[str, str], body: bytes) -> list[str]:
    """Why the service would refuse this request; empty where it would take it."""
    schema, more = _RULES[kind]
    headers = {name.title(): value for name, value in headers.items()}
    wanted = "application/cloudevents+json" if kind == "cdevents" else "application/json"
    if not headers.get("Content-Type", "").startswith(wanted):
        return [f"Content-Type is {headers.get('Content-Type')}"]
    found = json.loads(body)
    if kind == "cdevents":
        event = from_http(headers, body)  # CloudEvents' own library: raises what it does not take
        found = event.data
        if (event["type"], event["id"]) != (found["context"]["type"], found["context"]["id"]):
            return ["CloudEvent and CDEvent do not agree"]
    validator = jsonschema.Draft202012Validator(schema)
    wrong = [f"{e.json_path}: {e.message[:300]}" for e in validator.iter_errors(found)]
    return wrong or list(more(found, headers))
