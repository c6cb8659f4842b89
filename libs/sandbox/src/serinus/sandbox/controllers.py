"""The loop that runs controllers: changes become keys, keys become reconciliations, one at a time.

A controller is a synchronous function from a key to "look again in so many seconds" or None. It
reads and writes the registry, so a reconciliation is a transaction and cannot race another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from serinus.sandbox.errors import ApiError, Obj
from serinus.sandbox.registry import Registry, Write
from serinus.sandbox.resources import Resource
from serinus.sandbox.store import Change, Key, ResourceId

log = logging.getLogger(__name__)

Work = tuple[str, Key]
"""Which controller, and for which object."""

RETRY_S = 1.0
"""Pause before an object is tried again whose reconciliation was refused."""


class Controller:
    """One kind of tending; subclasses say what a change means to them and what to do."""

    name = ""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.write = Write("kube-controller-manager")

    def concerns(self, change: Change) -> Iterable[Key]:
        """The objects to look at because of this change."""
        raise NotImplementedError

    def reconcile(self, key: Key) -> float | None:
        """Makes one object so; seconds until another look, if time alone matters."""
        raise NotImplementedError

    # What most of them need

    def resource(self, resource: ResourceId) -> Resource:
        """The row of a built-in kind."""
        found = self.registry.kinds.by_id(resource)
        assert found is not None, resource
        return found

    def at(self, key: Key) -> Obj | None:
        """The object now."""
        return self.registry.store.get(key)

    def patch(self, key: Key, patch: Obj, subresource: str = "") -> Obj:
        """A merge patch."""
        write = Write(self.write.manager, subresource)
        return self.registry.patch(
            self.resource(key.resource), key.namespace, key.name, "merge", patch, write
        )

    def delete(self, key: Key, **options: object) -> None:
        """A background deletion."""
        self.registry.delete(
            self.resource(key.resource),
            key.namespace,
            key.name,
            {"propagationPolicy": "Background", **options},
        )

    def moment(self) -> datetime:
        """Now, to whole seconds, as objects carry it."""
        return datetime.fromisoformat(self.registry.now()).astimezone(UTC)


class Controllers:
    """Runs controllers over a registry, in the event loop."""

    def __init__(self, registry: Registry, controllers: Iterable[Controller]) -> None:
        self._registry = registry
        self._controllers: Mapping[str, Controller] = {c.name: c for c in controllers}
        self._queue: dict[Work, None] = {}
        self._timers: dict[Work, asyncio.TimerHandle] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._end: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Follows what happens and works on it, in a task."""
        self.follow()
        self._task = asyncio.create_task(self._run(), name="controllers")

    def follow(self) -> None:
        """Takes note of everything there is and of what changes from now on."""
        for key, obj in self._registry.store.everything():
            self._note(Change(0, "ADDED", key, obj))
        self._end = self._registry.store.subscribe(self._note)

    async def stop(self) -> None:
        """Stops at once; what was due stays undone."""
        self._end()
        for timer in self._timers.values():
            timer.cancel()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def settle(self) -> None:
        """Works until nothing is due, leaving out what only time will make due."""
        while self._queue:
            self._next()

    def _note(self, change: Change) -> None:
        for name, controller in self._controllers.items():
            for key in controller.concerns(change):
                self._queue.setdefault((name, key))
        if self._queue:
            self._news.set()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                work, again = self._next()
                if again is not None:
                    self._later(work, again)
                await asyncio.sleep(0)  # a storm of changes must not starve the requests

    def _next(self) -> tuple[Work, float | None]:
        work = next(iter(self._queue))
        del self._queue[work]
        name, key = work
        try:
            return work, self._controllers[name].reconcile(key)
        except ApiError as refused:
            log.warning("%s of %s was refused: %s", name, key, refused.message)
            return work, RETRY_S

    def _later(self, work: Work, seconds: float) -> None:
        if work in self._timers:
            self._timers.pop(work).cancel()

        def due() -> None:
            self._timers.pop(work, None)
            self._queue.setdefault(work)
            self._news.set()

        loop = asyncio.get_running_loop()
        self._timers[work] = loop.call_later(max(seconds, 0.01), due)
