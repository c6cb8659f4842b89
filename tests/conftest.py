"""What all tests share."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, settings

# looptime looks for an event loop around tests that have none, and Python 3.11 then makes one that
# nobody closes: a ResourceWarning, which is an error here. Once a loop was set, none is made.
asyncio.set_event_loop(None)

# Deadlines and "too slow" would say something about the machine's other work, not about the code.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")
