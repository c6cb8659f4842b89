"""What a watch has seen: objects by reference, with indexes, and our own writes at once.

`resourceVersion` is opaque: it is compared for equality only. After a write of our own the answer
goes in with `put_written`; news of that object is then older than what we know until the written
version itself has come by, and is passed over. A relist that began after the write, or a DELETED
of the same object, ends that, so a version that never comes cannot blind us.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from serinus.kube.cluster import Change
from serinus.kube.refs import Obj, Ref, ref_of

# How an object is found again: index name -> keys of an object (none: it is not in that index).
Keys = Callable[[Obj], Iterable[str]]
# (before, after): None before: new; None after: gone.
OnChange = Callable[[Obj | None, Obj | None], None]
Transform = Callable[[Obj], Obj]

# Versions that went by lately, kept so that the answer to a write may come after its own event.
REMEMBERED_VERSIONS = 2048


class _Written(NamedTuple):
    version: str
    listing: int


class Store:
    """Objects of one kind. Not thread-safe; everything happens on one event loop.

    transform  trims an object before it is kept; metadata's name, namespace, uid and
               resourceVersion must survive it
    """

    def __init__(
        self,
        *,
        indexes: Mapping[str, Keys] | None = None,
        transform: Transform | None = None,
        on_change: OnChange | None = None,
    ) -> None:
        self.resource_version = ""
        self._objects: dict[Ref, Obj] = {}
        self._keys = dict(indexes or {})
        self._indexes: dict[str, dict[str, dict[Ref, Obj]]] = {name: {} for name in self._keys}
        self._transform = transform
        self._listeners = [on_change] if on_change else []
        self._written: dict[Ref, _Written] = {}
        self._went_by: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._listings = 0
        self._synced = asyncio.Event()

    def subscribe(self, on_change: OnChange) -> None:
        """Calls back for every object that came, changed or went, from now on."""
        self._listeners.append(on_change)

    def get(self, ref: Ref) -> Obj | None:
        return self._objects.get(ref)

    def by(self, index: str, key: str) -> list[Obj]:
        """The objects with this key in this index, in no particular order."""
        return list(self._indexes[index].get(key, {}).values())

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Obj]:
        return iter(list(self._objects.values()))

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._objects

    @property
    def is_synced(self) -> bool:
        """Whether the first list is in (or the kind turned out not to be served)."""
        return self._synced.is_set()

    async def synced(self) -> None:
        await self._synced.wait()

    def put_written(self, obj: Obj) -> None:
        """Takes the answer to a write of our own: what is read from now on is at least as new."""
        ref, version = ref_of(obj), _version(obj)
        if (_uid(obj), version) in self._went_by:
            return  # Its own event was faster: what is kept is this version or a newer one.
        self._written[ref] = _Written(version, self._listings)
        self._put(ref, self._trim(obj))

    def forget(self, ref: Ref) -> None:
        """Takes our own deletion of an object: it is gone unless the watch says otherwise."""
        self._written.pop(ref, None)
        self._remove(ref)

    def begin_listing(self) -> None:
        """A list is about to be asked for: writes from now on may not be in it."""
        self._listings += 1

    def replace(self, objects: Iterable[Obj], resource_version: str) -> None:
        """Takes a whole list: what is not in it is gone, but for what we wrote meanwhile."""
        newer = {r: w for r, w in self._written.items() if w.listing >= self._listings}
        self._written = newer
        listed: set[Ref] = set()
        for obj in objects:
            ref = ref_of(obj)
            listed.add(ref)
            self._remember(obj)
            if ref in newer and newer[ref].version != _version(obj):
                continue
            newer.pop(ref, None)
            self._put(ref, obj)
        for ref in [r for r in self._objects if r not in listed and r not in newer]:
            self._remove(ref)
        self.resource_version = resource_version
        self.mark_synced()

    def mark_synced(self) -> None:
        self._synced.set()

    def trim(self, obj: Obj) -> Obj:
        """An object as it would be kept; for lists that are trimmed page by page."""
        return self._trim(obj)

    def take(self, change: Change) -> None:
        """Takes one change of the watch, in the order in which they come."""
        version = _version(change.object)
        if version:
            self.resource_version = version
        if change.type == "BOOKMARK":
            return
        ref = ref_of(change.object)
        if change.type == "DELETED":
            self._take_deleted(ref, change.object)
            return
        self._remember(change.object)
        written = self._written.get(ref)
        if written is not None:
            if written.version != version:
                return
            del self._written[ref]
        self._put(ref, self._trim(change.object))

    def _take_deleted(self, ref: Ref, obj: Obj) -> None:
        kept = self._objects.get(ref)
        if kept is not None and _uid(kept) != _uid(obj):
            return  # An earlier object of that name; ours was created after it went.
        self._written.pop(ref, None)
        self._remove(ref)

    def _remember(self, obj: Obj) -> None:
        self._went_by[_uid(obj), _version(obj)] = None
        while len(self._went_by) > REMEMBERED_VERSIONS:
            self._went_by.popitem(last=False)

    def _trim(self, obj: Obj) -> Obj:
        return self._transform(obj) if self._transform else obj

    def _put(self, ref: Ref, obj: Obj) -> None:
        before = self._objects.get(ref)
        if before is not None and _same(before, obj):
            return
        self._objects[ref] = obj
        self._reindex(ref, before, obj)
        self._tell(before, obj)

    def _remove(self, ref: Ref) -> None:
        before = self._objects.pop(ref, None)
        if before is not None:
            self._reindex(ref, before, None)
            self._tell(before, None)

    def _reindex(self, ref: Ref, before: Obj | None, after: Obj | None) -> None:
        for name, keys in self._keys.items():
            index = self._indexes[name]
            if before is not None:
                for key in keys(before):
                    bucket = index.get(key, {})
                    bucket.pop(ref, None)
                    if not bucket:
                        index.pop(key, None)
            if after is not None:
                for key in keys(after):
                    index.setdefault(key, {})[ref] = after

    def _tell(self, before: Obj | None, after: Obj | None) -> None:
        for listener in self._listeners:
            listener(before, after)


def _version(obj: Obj) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _uid(obj: Obj) -> str:
    return str(obj["metadata"].get("uid", ""))


def _same(one: Obj, other: Obj) -> bool:
    return bool(_version(one)) and _version(one) == _version(other) and _uid(one) == _uid(other)
