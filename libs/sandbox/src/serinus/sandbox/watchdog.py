"""The program behind `leash`: ends orphaned process groups when its standard input closes.

Lines are `+PID` and `-PID`. It imports next to nothing, to cost next to nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 2.0
"""Seconds between SIGTERM and SIGKILL for orphans."""


def held_at_the_end(lines: Iterable[bytes]) -> set[int]:
    """Follows the list until the input closes; what is still on it then."""
    held: set[int] = set()
    for line in lines:
        text = line.decode().strip()
        if text[:1] == "+":
            held.add(int(text[1:]))
        elif text[:1] == "-":
            held.discard(int(text[1:]))
    return held


def end(groups: set[int]) -> None:
    """SIGTERM to all, then SIGKILL to those that stay."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            _signal(group, number)
        deadline = time.monotonic() + GRACE_S
        while groups and number == signal.SIGTERM and time.monotonic() < deadline:
            groups = {group for group in groups if _signal(group, 0)}
            time.sleep(0.05)


def _signal(group: int, number: int) -> bool:
    """Whether there is anybody to receive it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    end(held_at_the_end(sys.stdin.buffer))
