"""Whether the API server answers. It is asked only when nothing has been heard of it for a while.

A server that hangs keeps its connections, so watches stay silent, as they do when nothing happens.
"""

from __future__ import annotations

from typing import Protocol

from serinus.kube.errors import Unreachable
from serinus.runtime.clock import Clock
from serinus.runtime.service import Health

PULSE_S = 5.0
SILENCE_S = 15.0


class Heard(Protocol):
    """A client that knows when it last heard of the API server."""

    def silent_s(self) -> float:
        """For how many seconds nothing came; endless after a request that failed."""
        ...

    async def live(self) -> None:
        """Asks for a sign of life. Raises Unreachable."""
        ...


async def pulse(client: Heard, *, clock: Clock, health: Health) -> None:
    """Keeps readiness `kube` true until cancelled: red within PULSE_S + SILENCE_S + one request."""
    while True:
        try:
            if client.silent_s() > SILENCE_S:
                await client.live()
            health.set("kube", True)
        except Unreachable as error:
            health.set("kube", False, error.reason)
        await clock.sleep(PULSE_S)
