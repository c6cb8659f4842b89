"""What the tests of the runtime share: messages by one line, a bus to look at, settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from serinus.events import (
    CanaryGone,
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    Exposure,
    Intent,
    ObjectRef,
    RolloutStarted,
    RoutesObserved,
    Workload,
)
from serinus.runtime.bus import Bus, Delivery

WEB = CanaryRef("shop", "web", "uid-1")
API = CanaryRef("shop", "api", "uid-2")
TARGET = ObjectRef(api_version="apps/v1", kind="Deployment", name="web")


def snapshot(version: int = 1, canary: CanaryRef = WEB) -> CanaryObserved:
    return CanaryObserved(
        canary=canary, resource_version=str(version), spec=CanarySpec(target_ref=TARGET)
    )


def gone(canary: CanaryRef = WEB) -> CanaryGone:
    return CanaryGone(canary=canary)


def routes(weight: int = 0, canary: CanaryRef = WEB) -> RoutesObserved:
    return RoutesObserved(canary=canary, intent="i", canary_weight=weight)


def intent(version: int = 1, canary: CanaryRef = WEB) -> Intent:
    return Intent(
        canary=canary,
        workload=Workload(target=TARGET),
        exposure=Exposure(mesh="kubernetes", namespace="shop", name="web"),
        version=str(version),
    )


def fact(number: int = 1, canary: CanaryRef = WEB) -> RolloutStarted:
    return RolloutStarted(canary=canary, id=f"{canary.name}-{number}", text=f"fact {number}")


async def take(
    deliveries: AsyncIterator[Delivery], count: int, within_s: float = 10.0
) -> list[Any]:
    """The next `count` deliveries; TimeoutError when they do not come."""
    found = []
    async with asyncio.timeout(within_s):
        async for delivery in deliveries:
            found.append(delivery)
            if len(found) == count:
                return found
    raise AssertionError("the bus stopped delivering")


def following(
    bus: Bus, *kinds: type[Any], durable: str = ""
) -> aclosing[AsyncGenerator[Delivery, None]]:
    """Follows while the block lasts."""
    return aclosing(cast(AsyncGenerator[Delivery, None], bus.follow(kinds, durable=durable)))
