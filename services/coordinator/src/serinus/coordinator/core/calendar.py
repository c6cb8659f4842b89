"""Freeze windows: when nothing may start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from serinus.coordinator.core.waves import Freeze

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_END = "24:00"


def frozen_until(windows: tuple[Freeze, ...], now: float) -> tuple[float, str] | None:
    """When the window that holds `now` ends (Unix seconds), and its reason; None outside of all.

    Windows that touch or overlap are one. Raises ValueError for a window that cannot be read.
    """
    end, reason = now, ""
    for _ in range(len(windows) * len(DAYS) + 1):
        found = [(until, w.reason) for w in windows if (until := _end(w, end)) is not None]
        if not found:
            break
        until, why = max(found)
        if until <= end:
            break
        end, reason = until, reason or why
    return (end, reason) if end > now else None


def check(window: Freeze) -> str:
    """What is wrong with a window; "" if nothing is."""
    try:
        if window.days:
            _time_of_day(window.from_), _time_of_day(window.to), ZoneInfo(window.time_zone)
        elif _instant(window.from_) >= _instant(window.to):
            return f"ends at {window.to}, which is not after {window.from_}"
    except ZoneInfoNotFoundError:
        return f"no time zone {window.time_zone!r}; write one like Europe/Berlin"
    except ValueError:
        wanted = "times of day like 18:00" if window.days else "times like 2026-12-24T00:00:00Z"
        return f"from {window.from_!r} to {window.to!r}; write {wanted}"
    return ""


def _end(window: Freeze, at: float) -> float | None:
    """When this window ends if it holds `at`."""
    if not window.days:
        begin, end = _instant(window.from_), _instant(window.to)
        return end if begin <= at < end else None
    zone = ZoneInfo(window.time_zone)
    today = datetime.fromtimestamp(at, zone).date()
    # One that passes midnight may have begun yesterday.
    for day in (today - timedelta(days=1), today):
        if DAYS[day.weekday()] not in window.days:
            continue
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        opens, closes = (midnight + _time_of_day(text) for text in (window.from_, window.to))
        if closes <= opens:
            closes += timedelta(days=1)
        if opens.timestamp() <= at < closes.timestamp():
            return closes.timestamp()
    return None


def _instant(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _time_of_day(text: str) -> timedelta:
    if text == DAY_END:
        return timedelta(days=1)
    found = datetime.strptime(text, "%H:%M").replace(tzinfo=UTC)
    return timedelta(hours=found.hour, minutes=found.minute)
