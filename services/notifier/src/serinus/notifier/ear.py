"""Follows the facts: each is acknowledged when everything it calls for is told or given up.

Acknowledging late is what makes a crash harmless: what was under way comes back and the memory of
things told leaves out what had arrived.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from serinus.events import Fact, message_id
from serinus.notifier.core.outcomes import Outcome
from serinus.notifier.voice import HEARD, Voice
from serinus.runtime.bus import Bus, Delivery
from serinus.runtime.errors import Retry

log = logging.getLogger(__name__)

DURABLE = "notifier"
TRIES = 5
PAUSE_S = 5.0


class Ear:
    """One loop over all facts, which never waits for a sender."""

    def __init__(self, bus: Bus, voice: Voice, *, durable: str = DURABLE) -> None:
        self._bus = bus
        self._voice = voice
        self._durable = durable
        self._under_way: set[str] = set()
        self._settling: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """For ever."""
        async for delivery in self._bus.follow(HEARD, durable=self._durable):
            await self.hear(delivery)

    async def hear(self, delivery: Delivery) -> None:
        """Queues what one fact calls for; acknowledges it when that has ended."""
        fact: Fact = delivery.message
        fact_id = message_id(fact)
        if fact_id in self._under_way:
            return  # brought again while it is being told: the first one acknowledges
        try:
            endings = await self._voice.tell(fact)
        except Retry as error:
            await delivery.nak(error.after_s)
            return
        except Exception:
            # Ours: one fact that we cannot read must not make us deaf for the others.
            log.exception("a fact could not be handled", extra={"canary": fact.canary.key})
            if delivery.delivered < TRIES:
                await delivery.nak(PAUSE_S)
            else:
                await delivery.ack()
            return
        if not endings:
            await delivery.ack()
            return
        self._under_way.add(fact_id)
        task = asyncio.create_task(
            self._settle(delivery, fact_id, endings), name=f"settle {fact_id}"
        )
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def drain(self) -> None:
        """Waits for the acknowledgements of what has ended; call it after the courier's drain."""
        if self._settling:
            await asyncio.gather(*self._settling, return_exceptions=True)

    async def _settle(
        self, delivery: Delivery, fact_id: str, endings: Iterable[asyncio.Future[Outcome]]
    ) -> None:
        ended = await asyncio.gather(*endings, return_exceptions=True)
        self._under_way.discard(fact_id)
        if any(isinstance(one, BaseException) for one in ended):
            return  # stopped in the middle: it comes back after the restart
        try:
            await delivery.ack()
        except Retry as error:
            log.warning("cannot acknowledge a fact", extra={"reason": error.reason})
