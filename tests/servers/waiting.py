"""Waiting for something to become true, with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

EVERY_S = 0.05


async def eventually(
    probe: Callable[[], Awaitable[bool]], what: str, timeout_s: float = 30.0
) -> None:
    """Returns as soon as `probe` answers True. Raises TimeoutError that says `what` never was."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await probe():  # noqa: ASYNC110  (asked of a server, nobody can tell us)
                await asyncio.sleep(EVERY_S)
    except TimeoutError:
        raise TimeoutError(f"not within {timeout_s:g} s: {what}") from None
