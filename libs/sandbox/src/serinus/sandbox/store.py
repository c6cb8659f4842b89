"""What the cluster holds: objects, one version counter for all, and a bounded memory of changes.

No rules live here (see `registry`) and no I/O. Objects handed in belong to the store from then
on and are never changed again; callers copy before they edit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from msgspec import Struct

from serinus.sandbox.errors import Obj, gone

ResourceId = tuple[str, str]
"""Group and plural: all versions of a kind share their objects."""

HISTORY = 2048
"""Changes remembered per kind; who is further behind gets 410 and lists again."""


class Key(NamedTuple):
    """Where an object is: its kind, namespace ("" for cluster-wide ones) and name."""

    resource: ResourceId
    namespace: str
    name: str


class Change(Struct, frozen=True):
    """One change as the store remembers it; `previous` is missing for a creation."""

    revision: int
    verb: Literal["ADDED", "MODIFIED", "DELETED"]
    key: Key
    obj: Obj
    previous: Obj | None = None


Listener = Callable[[Change], None]


class Store:
    """Objects by kind and name, with a history to watch from."""

    def __init__(self, history: int = HISTORY, start: int = 1000) -> None:
        self._history_size = history
        self._objects: dict[ResourceId, dict[tuple[str, str], Obj]] = {}
        self._history: dict[ResourceId, deque[Change]] = {}
        self._compacted: dict[ResourceId, int] = {}
        self._by_uid: dict[str, Key] = {}
        self._listeners: list[Listener] = []
        self._start = start
        self.revision = start

    def get(self, key: Key) -> Obj | None:
        """The object at `key`, or None."""
        return self._objects.get(key.resource, {}).get((key.namespace, key.name))

    def find(self, uid: str) -> Key | None:
        """Where the object with this uid is, if it still is."""
        return self._by_uid.get(uid)

    def all(self, resource: ResourceId, namespace: str = "") -> list[Obj]:
        """All objects of a kind, of one namespace when it is named, ordered by name."""
        held = self._objects.get(resource, {})
        keys = sorted(key for key in held if not namespace or key[0] == namespace)
        return [held[key] for key in keys]

    def everything(self) -> Iterator[tuple[Key, Obj]]:
        """Every object there is; a snapshot, so that it may be changed meanwhile."""
        for resource, held in list(self._objects.items()):
            for (namespace, name), obj in list(held.items()):
                yield Key(resource, namespace, name), obj

    def put(self, key: Key, obj: Obj) -> Obj:
        """Stores `obj` under a new resourceVersion and tells the listeners."""
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        held = self._objects.setdefault(key.resource, {})
        previous = held.get((key.namespace, key.name))
        held[(key.namespace, key.name)] = obj
        self._by_uid[obj["metadata"]["uid"]] = key
        self._remember(
            Change(self.revision, "MODIFIED" if previous else "ADDED", key, obj, previous)
        )
        return obj

    def remove(self, key: Key) -> Obj:
        """Removes the object at `key`, which must be there, and returns its last state."""
        last = self._objects[key.resource].pop((key.namespace, key.name))
        self._by_uid.pop(last["metadata"]["uid"], None)
        self.revision += 1
        final = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self.revision)}}
        self._remember(Change(self.revision, "DELETED", key, final, last))
        return final

    def _remember(self, change: Change) -> None:
        resource = change.key.resource
        history = self._history.setdefault(resource, deque())
        history.append(change)
        if len(history) > self._history_size:
            self._compacted[resource] = history.popleft().revision
        for listener in tuple(self._listeners):
            listener(change)

    def since(self, resource: ResourceId, revision: int) -> list[Change]:
        """The changes after `revision`, oldest first; ApiError 410 when some are forgotten."""
        oldest = self._compacted.get(resource, self._start)
        if revision < oldest:
            raise gone(revision, oldest)
        news: list[Change] = []
        for change in reversed(self._history.get(resource, ())):
            if change.revision <= revision:
                break
            news.append(change)
        return news[::-1]

    def forget(self) -> None:
        """Drops the whole history, as etcd does at compaction: every older watch gets 410."""
        for resource in self._history:
            self._history[resource].clear()
            self._compacted[resource] = self.revision

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener` at each change, in the writer's stack; returns what ends it."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end
