"""JSON Schemas of the messages, and the AsyncAPI 3 document that says where they travel."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from serinus.events import TABLE, Parked, Row
from serinus.events.facts import Fact
from serinus.events.subjects import ROOT as SUBJECT_ROOT
from serinus.events.subjects import SERVICES

FOLDER = "libs/events/schema"
ASYNCAPI = f"{FOLDER}/asyncapi.json"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def files() -> dict[str, str]:
    """A schema per message of the table, one of parked messages, and the AsyncAPI document."""
    schemas = {path_of(tag): schema for tag, schema in all_schemas().items()}
    return {path: _json(body) for path, body in {**schemas, ASYNCAPI: asyncapi()}.items()}


def path_of(tag: str) -> str:
    return f"{FOLDER}/{tag}.json"


def all_schemas() -> dict[str, Schema]:
    """The schema of every message by its tag."""
    messages: list[type[Any]] = [*(row.message for row in TABLE), Parked]
    return {tag_of(message): schema(message) for message in messages}


def tag_of(message: type[Any]) -> str:
    return str(message.__struct_config__.tag)


def schema(message: type[Any]) -> Schema:
    """The schema of one message: the message itself at the root, its parts under `$defs`."""
    (_,), parts = msgspec.json.schema_components([message], ref_template="#/$defs/{name}")
    parts = {name: _tidy(part) for name, part in parts.items()}
    root = parts.pop(message.__name__)
    head = {"$schema": _DRAFT, "$id": f"{tag_of(message)}.json"}
    return {**head, **root, **({"$defs": dict(sorted(parts.items()))} if parts else {})}


def asyncapi() -> Schema:
    """Channels, messages and who sends them, from the subject table."""
    rows = {row.message.__name__: row for row in TABLE}
    channels: dict[str, Schema] = {}
    for name, row in rows.items():
        channel = channels.setdefault(channel_name(row), _channel(row))
        channel["messages"][name] = {"$ref": f"#/components/messages/{name}"}
    channels["dead"] = _dead_channel()
    messages = {name: _message(row.message) for name, row in rows.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Serinus",
            "version": "1.0.0",
            "description": "What the five services tell each other, and what anybody may follow.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": dict(_operations()),
        "components": {"messages": {**messages, "Parked": _message(Parked)}},
    }


def channel_name(row: Row) -> str:
    return row.prefix.removeprefix(f"{SUBJECT_ROOT}.")


def summary_of(message: type[Any]) -> str:
    """The first sentence of a message's docstring."""
    return inspect.cleandoc(message.__doc__ or "").split("\n", 1)[0]


def _channel(row: Row) -> Schema:
    return {
        "address": f"{row.prefix}.{{namespace}}.{{name}}",
        "parameters": {
            "namespace": {"description": "The canary's namespace; `.` is written as `_`."},
            "name": {"description": "The canary's name; `.` is written as `_`."},
        },
        "messages": {},
        "x-stream": row.stream,
    }


def _dead_channel() -> Schema:
    return {
        "address": f"{SUBJECT_ROOT}.dead.{{service}}",
        "parameters": {"service": {"enum": list(SERVICES)}},
        "messages": {"Parked": {"$ref": "#/components/messages/Parked"}},
        "x-stream": "FACTS",
    }


def _operations() -> Iterator[tuple[str, Schema]]:
    for row in TABLE:
        name, channel = row.message.__name__, channel_name(row)
        yield (
            f"{row.publisher}.{name}",
            {
                "action": "send",
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"}],
                "tags": [{"name": row.publisher}],
            },
        )
    for service in SERVICES:
        yield (
            f"{service}.Parked",
            {
                "action": "send",
                "channel": {"$ref": "#/channels/dead"},
                "messages": [{"$ref": "#/channels/dead/messages/Parked"}],
                "tags": [{"name": service}],
            },
        )


def _message(message: type[Any]) -> Schema:
    return {
        "name": tag_of(message),
        "title": message.__name__,
        "summary": summary_of(message),
        "headers": _headers(message),
        "payload": {"$ref": f"./{tag_of(message)}.json"},
        "tags": [{"name": "fact" if issubclass(message, Fact) else "last value"}],
    }


def _headers(message: type[Any]) -> Schema:
    """CloudEvents attributes as headers, the JetStream id and the trace context."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["Nats-Msg-Id", "ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time"],
        "properties": {
            "Nats-Msg-Id": {**text, "description": "Equal for equal news."},
            "ce-specversion": {"const": "1.0"},
            "ce-id": {**text, "description": "The same as Nats-Msg-Id."},
            "ce-type": {"const": f"dev.serinus.{tag_of(message)}"},
            "ce-source": {**text, "description": "/serinus/<service>"},
            "ce-subject": {**text, "description": "The NATS subject."},
            "ce-time": {**text, "format": "date-time"},
            "ce-dataschema": {
                **text,
                "description": "The schema; the last part is its file.",
            },
            "serinus-cause": {**text, "description": "Id of the message that led to this one."},
            "traceparent": {**text, "description": "W3C trace context."},
        },
    }


def _tidy(node: Any) -> Any:
    """Descriptions without the indentation of the source, everything else as it is."""
    if isinstance(node, dict):
        return {
            key: inspect.cleandoc(value)
            if key == "description" and isinstance(value, str)
            else _tidy(value)
            for key, value in node.items()
        }
    return [_tidy(item) for item in node] if isinstance(node, list) else node


def _json(body: Schema) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"
