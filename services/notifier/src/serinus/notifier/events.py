"""Writes Kubernetes Events: one request for each sentence, repeats counted up."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable

from serinus.events import Fact
from serinus.kube.cluster import Cluster
from serinus.kube.errors import Conflict, NotFound
from serinus.kube.refs import ref_of
from serinus.notifier.core.outcomes import Again, Outcome, Refused, Sent
from serinus.notifier.senders.kubeevent import (
    Key,
    Written,
    key_of,
    new_event,
    once_more,
    repeats,
)
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Refuse, Retry

MANAGER = "serinus-notifier"


class EventWriter:
    """Remembers the Events it wrote, up to `limit` of them, to count repeats up.

    The memory is this process's: after a restart a repeat is a new Event, which says the same.
    `on_reach` hears whether the API server answered and, if not, why.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        *,
        limit: int = 5000,
        on_reach: Callable[[bool, str], None] | None = None,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._written: OrderedDict[Key, Written] = OrderedDict()
        self._limit = limit
        self._on_reach = on_reach or (lambda ok, why: None)

    async def write(self, fact: Fact, fact_id: str, uid: str) -> Outcome:
        """Writes the sentence of `fact`. `uid` is the Canary's, for facts that do not carry it."""
        outcome = await self._write(fact, fact_id, uid)
        if isinstance(outcome, Again):
            self._on_reach(False, outcome.why)
        else:
            self._on_reach(True, "")
        return outcome

    async def _write(self, fact: Fact, fact_id: str, uid: str) -> Outcome:
        at = fact.at or self._clock.now()
        key = key_of(fact)
        written = self._written.get(key)
        try:
            if written is not None and repeats(written, at):
                if written.fact_id == fact_id:
                    return Sent()  # the memory of what was told is gone, ours is not
                patch, counted = once_more(written, fact_id, at)
                try:
                    await self._cluster.patch(written.ref, patch, manager=MANAGER)
                except NotFound:
                    del self._written[key]  # its time to live has passed: say it anew
                else:
                    self._keep(key, counted)
                    return Sent()
            event = new_event(fact, fact_id, fact.canary.uid or uid, at)
            # A conflict means that it was written before a crash: its name follows from the fact.
            with contextlib.suppress(Conflict):
                await self._cluster.create(event)
            self._keep(key, Written(ref_of(event), 1, at, at, fact_id))
        except NotFound as error:
            return Refused(f"the namespace is gone: {error}")
        except Retry as error:
            return Again(error.reason, error.after_s)
        except Refuse as error:
            return Refused(error.reason)
        return Sent()

    def _keep(self, key: Key, written: Written) -> None:
        self._written[key] = written
        self._written.move_to_end(key)
        if len(self._written) > self._limit:
            self._written.popitem(last=False)
