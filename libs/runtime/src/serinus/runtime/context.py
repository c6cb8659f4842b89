"""What is being handled right now: follows a message through every task that it starts.

Set by the mailbox around each handler; read by log lines, by the bus (cause and trace of what is
published) and by outbound requests.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

TRACEPARENT = "traceparent"
_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

service: ContextVar[str] = ContextVar("service", default="")
canary: ContextVar[str] = ContextVar("canary", default="")
cause: ContextVar[str] = ContextVar("cause", default="")
trace: ContextVar[str] = ContextVar("trace", default="")
"""The W3C traceparent in force, "" where nothing is traced."""


def extract(headers: Mapping[str, str]) -> str:
    """The traceparent in a message's headers; "" where there is none or it is malformed."""
    found = headers.get(TRACEPARENT, "")
    return found if _FORM.fullmatch(found) else ""


def new_trace() -> str:
    """A traceparent that begins a trace nobody records; its id still ties log lines together."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def trace_id() -> str:
    """The id of the trace in force, or ""."""
    return trace.get()[3:35]


@contextmanager
def handling(key: str, message_id: str, traceparent: str) -> Iterator[None]:
    """While inside, this canary, cause and trace are the current ones."""
    tokens = (canary.set(key), cause.set(message_id), trace.set(traceparent))
    try:
        yield
    finally:
        canary.reset(tokens[0])
        cause.reset(tokens[1])
        trace.reset(tokens[2])
