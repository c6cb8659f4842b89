"""What all tests share."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# looptime looks for an event loop around tests that have none, and Python 3.11 then makes one that
# nobody closes: a ResourceWarning, which is an error here. Once a loop was set, none is made.
asyncio.set_event_loop(None)

# Deadlines and "too slow" would say something about the machine's other work, not about the code.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several workers share the files, those that may take longest begin first: else one of
    them would be at the last one long after the others are done."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    count = Counter(item.path for item in items)
    longest: dict[Path, float] = dict.fromkeys(count, 0.0)
    for item in items:
        if (bound := item.get_closest_marker("timeout")) is not None:
            longest[item.path] = max(longest[item.path], bound.args[0])
    items.sort(key=lambda item: (-longest[item.path], -count[item.path]))
