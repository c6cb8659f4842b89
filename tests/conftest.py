"""What all tests share."""

from __future__ import annotations

import asyncio

# looptime looks for an event loop around tests that have none, and Python 3.11 then makes one that
# nobody closes: a ResourceWarning, which is an error here. Once a loop was set, none is made.
asyncio.set_event_loop(None)
