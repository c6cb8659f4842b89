"""What the API server can answer, by meaning, and what each means to a handler.

Conflict, Gone   -> Stale     a newer truth exists
NotFound         -> decided where it happens
Denied, Invalid  -> Refuse    the request's fault
Unreachable      -> Retry     time may help
"""

from __future__ import annotations

from serinus.runtime.errors import Refuse, Retry, SerinusError, Stale


class NotFound(SerinusError):
    """There is no such object (or kind)."""


class Conflict(Stale):
    """The object changed since it was read, exists already, or another manager owns the field."""


class Gone(Stale):
    """The resourceVersion is too old: list again."""


class Denied(Refuse):
    """401 or 403: our account may not do this."""


class Invalid(Refuse):
    """400 or 422: the API server will not have this object."""


class Unreachable(Retry):
    """No answer, 429 or 5xx."""
