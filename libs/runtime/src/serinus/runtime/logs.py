"""Logs: one JSON object per line on standard error.

Message texts are constants; what varies goes into `extra`. INFO is a fact, WARNING says that a
person may want to look, ERROR that a person must.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import msgspec

from serinus.runtime import context
from serinus.runtime.clock import rfc3339

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode = msgspec.json.Encoder(enc_hook=repr).encode


class JsonLines(logging.Formatter):
    """A record as one line: ts, level, service, msg, canary, trace_id, reason, then its extras."""

    def format(self, record: logging.LogRecord) -> str:
        extras = {k: v for k, v in vars(record).items() if k not in _OWN}
        line: dict[str, Any] = {
            "ts": rfc3339(record.created),
            "level": record.levelname,
            "service": context.service.get(),
            "msg": record.getMessage(),
            "canary": extras.pop("canary", "") or context.canary.get(),
            "trace_id": context.trace_id(),
            "reason": extras.pop("reason", ""),
            "logger": record.name,
            **extras,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line).decode()


def configure(level: str, stream: TextIO | None = None) -> None:
    """Sends every record of the process to `stream` as JSON lines. Raises ValueError on `level`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("nats", "aiohttp.access", "kubernetes_asyncio", "urllib3"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
