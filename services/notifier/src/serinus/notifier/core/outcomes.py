"""What an attempt to tell came to, and how long to wait before the next one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from msgspec import Struct

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
REASON_LIMIT = 200
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class Sent(Struct, frozen=True):
    """The other side took it. `problem` is what was not as the manifest asks, "" where all was."""

    problem: str = ""


class Again(Struct, frozen=True):
    """Not taken, but time may help. `after_s` is how long the other side asks us to wait.

    answered  it was refused by an answer, so the other side has seen it
    """

    why: str
    after_s: float = 0.0
    answered: bool = False


class Refused(Struct, frozen=True):
    """Not taken, and asking again will not change that."""

    why: str


class Known(Struct, frozen=True):
    """Told before, or nothing that this audience is told; nothing was sent."""


Outcome = Sent | Again | Refused | Known


def outcome(status: int, headers: Mapping[str, str], text: str, now: float) -> Outcome:
    """What an HTTP answer means. `now` is Unix seconds, for a Retry-After that is a date."""
    if 200 <= status < 300:
        return Sent()
    said = " ".join(text.split())[:REASON_LIMIT]
    why = f"status {status}: {said}" if said else f"status {status}"
    if status in _AGAIN or status > 504:
        return Again(why, after_s=retry_after_s(headers, now), answered=True)
    return Refused(why)


def retry_after_s(headers: Mapping[str, str], now: float) -> float:
    """Seconds that a Retry-After header asks for; 0 where there is none or it makes no sense."""
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        when: datetime = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, when.timestamp() - now)


def pause_s(attempt: int, after_s: float) -> float:
    """How long to wait after the attempt of this number (1 is the first), in seconds.

    Doubles from one second to a minute; a longer wish of the other side is granted.
    """
    grown = FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 10)
    return max(min(grown, LONGEST_PAUSE_S), after_s)
