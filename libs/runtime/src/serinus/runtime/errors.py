"""The three words a handler can end with, beside returning.

    SerinusError
    ├── Retry(after_s)    their fault or nobody's: time may help
    ├── Refuse(reason)    the request's fault: time will not help
    └── Stale             nobody's fault: a newer truth exists

Anything else that is raised is our fault: logged with the message, retried a bounded number of
times, then parked and counted.
"""

from __future__ import annotations


class SerinusError(Exception):
    """Ours, with a reason fit for people."""


class Retry(SerinusError):
    """Try this message again after `after_s` seconds."""

    def __init__(self, reason: str, after_s: float = 1.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s


class Refuse(SerinusError):
    """This message will never work: it is parked with the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stale(SerinusError):
    """This message was made from an old view; fresh news is coming, drop it."""
