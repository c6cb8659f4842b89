"""A registry on a clock that the test moves, and manifests with good defaults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.sandbox.world import World

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> World:
    return World(clock)
